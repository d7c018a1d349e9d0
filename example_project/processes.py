"""Processes that run beside this one, and end with it: a cluster, a web server, a receiver."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Literal, Self

from example_project.settings import BASE_DIR
from webhook_delivery.testing.receiver import Received

Role = Literal["main", "sentinel", "worker", "pusher", "monitor"]
ROLES: dict[str, Role] = {
    "idle": "worker",
    "processing": "worker",
    "pusher": "pusher",
    "monitor": "monitor",
}
"""By the word that django-q2 puts into the title of a process."""


class Process:
    """A Python process that leads a process group of its own, and writes to a log file."""

    def __init__(
        self, *arguments: str, log: Path, env: Mapping[str, str] = os.environ, piped: bool = False
    ) -> None:
        self._log = log
        # The whole group inherits the writing end: when the last of it is gone, we read its end.
        self._lifeline, held = os.pipe()
        try:
            with log.open("ab") as output:
                self._leader = subprocess.Popen(
                    [sys.executable, *arguments],
                    cwd=BASE_DIR,
                    env={**env, "PYTHONUNBUFFERED": "1"},
                    stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                    stdout=subprocess.PIPE if piped else output,
                    stderr=output,
                    start_new_session=True,
                    pass_fds=[held],
                    text=True,
                )
        finally:
            os.close(held)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
        self.close()

    def close(self) -> None:
        """Forget the group: whether it is gone can no longer be asked."""
        os.close(self._lifeline)

    @property
    def group(self) -> int:
        return self._leader.pid

    def running(self) -> bool:
        return self._leader.poll() is None

    def wait(self) -> int:
        return self._leader.wait()

    def alive(self) -> list[int]:
        """The processes of the group that live; Linux only."""
        return [pid for pid, _ in _titles(self.group)]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every process of the group, as far as it still exists."""
        with suppress(ProcessLookupError):
            os.killpg(self._leader.pid, number)

    def kill(self) -> None:
        """End the whole group in the middle of whatever it does, as a power cut would."""
        self.signal(signal.SIGKILL)
        self._leader.wait()
        assert self.gone(seconds=10), f"process group {self._leader.pid} outlived a SIGKILL"

    def gone(self, *, seconds: float = 0) -> bool:
        """Whether no process of the group is left: not even one that outlived its leader."""
        ended, _, _ = select.select([self._lifeline], [], [], seconds)
        return bool(ended)

    def stop(self, *, seconds: float = 10) -> None:
        """Ask the leader to end; after some seconds, end whatever of its group is left."""
        with suppress(subprocess.TimeoutExpired):
            self._leader.terminate()
            self._leader.wait(seconds)
        self.kill()

    def log_tail(self, lines: int = 30) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])


class ReceiverProcess(Process):
    """`python -m example_project.receiver`, and what it has reported so far."""

    def __init__(self, *, log: Path, secret: str, scripts: Iterable[str] = ()) -> None:
        options = [option for script in scripts for option in ("--script", script)]
        module = ["-m", "example_project.receiver", "--secret", f"*={secret}"]
        super().__init__(*module, *options, log=log, piped=True)
        self.received: list[Received] = []
        self._following: list[str] = []
        self._reported = threading.Condition()
        listening = self._output.readline()
        self._url = json.loads(listening)["listening"] if listening else ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def stop(self, *, seconds: float = 10) -> None:
        super().stop(seconds=seconds)
        self._reader.join()
        self._input.close()
        self._output.close()

    def url(self, path: str = "/") -> str:
        return f"{self._url}{path}"

    def follow(self, script: str, *, seconds: float = 10) -> None:
        """Answer a path differently from now on; `PATH=503,503,200`."""
        self._input.write(f"{script}\n")
        self._input.flush()
        with self._reported:
            assert self._reported.wait_for(lambda: script in self._following, timeout=seconds)

    def wait_for(self, count: int, *, seconds: float = 10) -> list[Received]:
        """Wait until so many requests have been reported in all, and return them."""
        with self._reported:
            self._reported.wait_for(lambda: len(self.received) >= count, timeout=seconds)
            return list(self.received)

    @property
    def _input(self) -> IO[str]:
        assert self._leader.stdin
        return self._leader.stdin

    @property
    def _output(self) -> IO[str]:
        assert self._leader.stdout
        return self._leader.stdout

    def _read(self) -> None:
        for line in self._output:
            with self._reported:
                self._note(line)
                self._reported.notify_all()

    def _note(self, line: str) -> None:
        report = json.loads(line)
        if "following" in report:
            self._following.append(report["following"])
        else:
            self.received.append(Received.from_json(line))


class Cluster(Process):
    """`manage.py qcluster`, whose processes can be told apart where `setproctitle` is installed."""

    def __init__(self, *, log: Path, env: Mapping[str, str] = os.environ) -> None:
        super().__init__("manage.py", "qcluster", log=log, env=env)

    def pids(self, role: Role) -> list[int]:
        """The processes of a role that live; Linux only."""
        return [pid for pid, title in _titles(self.group) if _role(title, pid, self.group) == role]

    def signal_one(self, pid: int, number: signal.Signals) -> None:
        """Signal one of the cluster's processes, unless it is gone by now."""
        if pid in self.alive():
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def qcluster(*, log: Path, env: Mapping[str, str] = os.environ) -> Cluster:
    """Start django-q2's cluster: the process that delivers."""
    return Cluster(log=log, env=env)


def _titles(group: int) -> Iterator[tuple[int, str]]:
    """The living processes of a group, and what they call themselves."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            # state, parent and group follow the name, which stands in parentheses
            state, _, leader = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(leader) == group and state != "Z":
                title = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                yield int(folder.name), title.decode(errors="replace").strip()


def _role(title: str, pid: int, group: int) -> Role | None:
    """django-q2 titles all but its sentinel, which keeps the title that it was forked under."""
    words = title.removeprefix("qcluster ").split()
    doing = words[1] if len(words) > 1 else ""
    if pid == group:
        return "main"
    if words[:1] == ["MainProcess"]:
        return "sentinel"
    return ROLES.get(doing)
