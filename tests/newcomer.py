"""Somebody with an empty folder and a Python, who does what a page says, and nothing else."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from example_project.settings import BASE_DIR
from tests.visitor import Visitor

PART = re.compile(
    r"^```(?P<language>\w+)\n(?P<text>.*?)^```$|^\d+\. (?P<step>[^\n]+(?:\n {3}[^\n]+)*)",
    re.MULTILINE | re.DOTALL,
)
FILE = re.compile(r"`((?:\w+/)*\w+\.py)`")
SERVERS = re.compile(r"serve_forever|qcluster|runserver")
"""What holds its terminal until it is stopped."""
LOOKS = re.compile(r"manage\.py webhooks (list|show|groups|health)\b")
"""What may be asked again until it says what the page says."""
SECRET = re.compile(r"whsec_[\w+/]+=*")


@dataclass(frozen=True)
class Block:
    """A fenced block, and the file that the words before it name, if they do; or a `step`."""

    language: str
    text: str
    file: str = ""


def blocks(text: str) -> Iterator[Block]:
    last = 0
    for found in PART.finditer(text):
        files = FILE.findall(text[last : found.start()])
        if found["step"]:
            yield Block("step", " ".join(found["step"].split()))
        else:
            yield Block(found["language"], found["text"], files[0] if files else "")
        last = found.end()


def commands(block: Block) -> list[str]:
    """What is typed: each command with its continuation lines."""
    return [text.strip() for text in re.split(r"^\$ ", block.text, flags=re.MULTILINE) if text]


def plain(text: str) -> str:
    """Each line with single blanks: how wide columns are is no matter."""
    return "\n".join(" ".join(line.split()) for line in text.splitlines())


def pattern_of(text: str) -> re.Pattern[str]:
    """These lines, one after the other, others between them; `…` stands for anything."""
    lines = [re.escape(line).replace("…", ".*") for line in plain(text).splitlines()]
    return re.compile("^" + r"$\n(?:.*\n)*?^".join(lines) + "$", re.MULTILINE)


@dataclass
class Terminal:
    """A window in which something runs until it is stopped."""

    process: subprocess.Popen[bytes]
    log: Path
    read: int = 0
    """How much of what it said the page has told of."""

    @property
    def said(self) -> str:
        return plain(self.log.read_text())

    def says(self, pattern: re.Pattern[str]) -> bool:
        found = pattern.search(self.said, self.read)
        self.read = found.end() if found else self.read
        return found is not None


class Newcomer:
    """Types what is in `console` blocks, writes files, waits for what `text` blocks say."""

    def __init__(self, folder: Path, wheels: Path) -> None:
        self.folder = folder
        self.terminals: list[Terminal] = []
        self.visitor = Visitor()
        self.typed = self.said = self.secret = ""
        self.env = _environment(folder, wheels)

    def follow(self, text: str) -> None:
        """Do what each block says, in order; a shell reads the block after it."""
        for block in blocks(text):
            match block.language:
                case "console":
                    for command in commands(block):
                        self.type(command)
                case "python" if block.file:
                    self.write(block)
                case "python":
                    self.hear(self.run(self.typed, typed=block.text))
                case "text":
                    self.see(block.text)
                case "step":
                    self.visitor.do(block.text)

    def type(self, command: str) -> None:
        self.typed = command
        if SERVERS.search(command):
            self.start(command)
        elif not command.endswith("manage.py shell"):
            self.hear(self.run(command))

    def hear(self, said: str) -> None:
        """Keep in mind what was said, and the secret that was shown."""
        self.said = plain(said)
        self.secret = (SECRET.findall(said) or [self.secret])[-1]

    def write(self, block: Block) -> None:
        """Settings are added to what Django has made; other files are new."""
        file = self.folder / block.file
        mode = "a" if file.name == "settings.py" else "w"
        with file.open(mode) as opened:
            opened.write(f"\n{block.text}".replace("whsec_…", self.secret))

    def see(self, text: str, *, seconds: float = 60) -> None:
        """Wait until the last command, or what runs in a terminal, has said this."""
        pattern, ends = pattern_of(text), time.monotonic() + seconds
        while not pattern.search(self.said) and not any(t.says(pattern) for t in self.terminals):
            assert time.monotonic() < ends, f"{text}\ndid not come; instead:\n{self._all()}"
            time.sleep(0.5)
            if LOOKS.search(self.typed):
                self.said = plain(self.run(self.typed))

    def run(self, command: str, *, typed: str = "") -> str:
        done = subprocess.run(
            **self._in_bash(command), input=typed, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}\n{self._all()}"
        return done.stdout

    def start(self, command: str) -> None:
        log = self.folder.parent / f"terminal-{len(self.terminals)}.log"
        with log.open("wb") as opened:
            process = subprocess.Popen(
                **self._in_bash(command), stdout=opened, stderr=opened, start_new_session=True
            )
        self.terminals.append(Terminal(process, log))

    def _in_bash(self, command: str) -> dict[str, Any]:
        return {"args": ["bash", "-c", command], "cwd": self.folder, "env": self.env}

    def terminal(self, number: int) -> str:
        return self.terminals[number].log.read_text()

    def leave(self) -> None:
        for terminal in self.terminals:
            os.killpg(terminal.process.pid, signal.SIGKILL)
            terminal.process.wait()

    def _all(self) -> str:
        """All that is to be seen, for who looks for what is wrong."""
        return "\n--\n".join([self.said, *(terminal.said for terminal in self.terminals)])


def _environment(folder: Path, wheels: Path) -> dict[str, str]:
    """A shell in which the virtual environment is active, with nothing of this test's own."""
    ours = ("DJANGO", "DATABASE", "PYTEST", "VIRTUAL_ENV", "PYTHONPATH")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    here = str(Path(sys.executable).resolve().parent)
    return env | {
        "PATH": f"{folder / '.venv' / 'bin'}:{here}:{env['PATH']}",
        "PIP_FIND_LINKS": f"{wheels} {env.get('PIP_FIND_LINKS', '')}".strip(),
        "PYTHONWARNINGS": "default",
        "PYTHONUNBUFFERED": "1",  # as where a person looks
    }


@contextmanager
def newcomer_in(path: Path) -> Iterator[Newcomer]:
    """With the wheel of this repository, and an empty folder."""
    wheels, folder = path / "wheels", path / "project"
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(wheels), str(BASE_DIR)],
        check=True,
        capture_output=True,
    )
    folder.mkdir()
    somebody = Newcomer(folder, wheels)
    try:
        yield somebody
    finally:
        somebody.leave()


def eventually(look: Callable[[], str], wanted: str, *, seconds: float = 30) -> str:
    ends = time.monotonic() + seconds
    while wanted not in (seen := look()):
        assert time.monotonic() < ends, f"{wanted!r} did not come; instead:\n{seen}"
        time.sleep(0.5)
    return seen


def free_port() -> str:
    """One that nobody is given by chance until it is used: the system gives those above 32 767."""
    for port in random.sample(range(20_000, 30_000), 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return str(port)
    raise AssertionError("no port is free")
