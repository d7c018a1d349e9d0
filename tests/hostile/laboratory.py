"""Compares how attempts end, and what they cost, with what a table says they must."""

from __future__ import annotations

import base64
import json
import queue
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest

from example_project.processes import Process
from tests.hostile.misbehaviours import PLAIN, TLS, Misbehaviour
from tests.hostile.stage import GOOD, SECTIONS, name_of

TIMEOUT_SECONDS = 0.8
"""What each attempt is given."""
SOON_SECONDS = TIMEOUT_SECONDS / 2
LATE_SECONDS = 0.2
"""How late it may end."""
MOST_KIB = 2048
"""How much memory it may need."""
AT_ONCE = 20
"""Attempts that are made at the same time: most of them do nothing but wait."""
PATIENCE_SECONDS = 20


@dataclass(frozen=True)
class Found:
    """What one attempt, or several in a row, came to."""

    id: str
    ended: str
    seconds: float
    """How long the longest of them took."""
    grown_kib: int
    connected: int
    """How many connections were opened."""
    kept: bytes

    @classmethod
    def from_line(cls, line: str) -> Self:
        fields = json.loads(line)
        return cls(**{**fields, "kept": base64.b64decode(fields["kept"])})

    def late(self, for_: Misbehaviour) -> bool:
        return self.seconds > (SOON_SECONDS if for_.soon else TIMEOUT_SECONDS + LATE_SECONDS)

    @property
    def large(self) -> bool:
        return self.grown_kib >= MOST_KIB

    def doubtful(self, about: Misbehaviour) -> bool:
        """Whether what is wrong with it may be the fault of a busy machine."""
        return bool(self.complaint(about)) and (self.large or self.seconds > SOON_SECONDS)

    def complaint(self, about: Misbehaviour) -> str:
        """What is wrong; empty if nothing is."""
        ends = (about.ends,) if isinstance(about.ends, str) else about.ends
        kept = b"" if about.keeps is None else self.kept
        wrong = {
            f"ended {self.ended}, not {' or '.join(ends)}": self.ended not in ends,
            f"kept {self.kept[:40]!r}": kept != (about.keeps or b""),
            f"took {self.seconds:.2f} s": self.late(about),
            f"grew by {self.grown_kib} KiB": self.large,
            f"opened {self.connected} connections": self.connected > about.asked,
        }
        return "; ".join(words for words, true in wrong.items() if true)


class Talker(Process):
    """A process that says lines on its standard output, and may be told some."""

    def __init__(self, module: str, *, log: Path) -> None:
        super().__init__("-m", module, log=log, piped=True)
        self._said: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def tell(self, line: str) -> None:
        with suppress(BrokenPipeError):  # then there is nothing to hear either
            self._leader.stdin.write(f"{line}\n")
            self._leader.stdin.flush()

    def hear(self) -> str:
        with suppress(queue.Empty):
            if line := self._said.get(timeout=PATIENCE_SECONDS):
                return line
        raise AssertionError(f"it said nothing more, but before: {self.log_tail()}")

    def stop(self, *, seconds: float = 10) -> None:
        super().stop(seconds=seconds)
        self._reader.join()
        with suppress(BrokenPipeError):
            self._leader.stdin.close()
        self._leader.stdout.close()

    def _read(self) -> None:
        for line in self._leader.stdout:
            self._said.put(line)
        self._said.put("")


class Laboratory:
    """A stage full of receivers that misbehave, and somebody to make attempts at them."""

    def __init__(self, stage: Talker, attempts: Talker) -> None:
        played = json.loads(stage.hear())
        self._authority, self._ports = played["authority"], played["ports"]
        self._attempts = attempts

    def complaints(self, section: str, *, over: str) -> dict[str, str]:
        """
        What is wrong with the attempts at a section's receivers, by their names.

        If what was wrong may be a busy machine's fault, it is done again, alone.
        """
        them = {name: each for name, each in SECTIONS[section].items() if over in each.over}
        found = self._measured(section, them, over=over, at_once=AT_ONCE)
        doubtful = {name: each for name, each in them.items() if found[name].doubtful(each)}
        found |= self._measured(section, doubtful, over=over, at_once=1)
        complaints = {name: found[name].complaint(them[name]) for name in them}
        return {name: complaint for name, complaint in complaints.items() if complaint}

    def _measured(
        self, section: str, them: Mapping[str, Misbehaviour], *, over: str, at_once: int
    ) -> dict[str, Found]:
        """Make the attempts, so many at once; only the last of them are waited for."""
        found: dict[str, Found] = {}
        ids = {name_of(over, section, name): name for name in them}
        for number, (id_, name) in enumerate(ids.items()):
            while number - len(found) >= at_once:
                self._note(ids, found)
            self._attempts.tell(json.dumps(self._job(id_, over, them[name])))
        while len(found) < len(them):
            self._note(ids, found)
        return found

    def _note(self, ids: Mapping[str, str], found: dict[str, Found]) -> None:
        """Take down what one attempt came to, unless nobody waits for it any more."""
        new = Found.from_line(self._attempts.hear())
        if new.id in ids:
            found[ids[new.id]] = new

    def _job(self, id_: str, over: str, each: Misbehaviour) -> dict[str, Any]:
        good = [name_of(spoken, GOOD, GOOD) for spoken in (PLAIN, TLS)]
        return {
            "id": id_,
            "url": self._url(id_),
            "ordinary": [self._url(id_) for id_ in good],
            "authority": self._authority,
            "timeout": TIMEOUT_SECONDS,
            "asked": each.asked,
            "body": each.body,
        }

    def _url(self, id_: str) -> str:
        return f"{id_.partition(':')[0]}://127.0.0.1:{self._ports[id_]}/"


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    logs = tmp_path_factory.mktemp("hostile")
    with (
        Talker("tests.hostile.stage", log=logs / "stage") as stage,
        Talker("tests.hostile.attempts", log=logs / "attempts") as attempts,
    ):
        yield Laboratory(stage, attempts)
