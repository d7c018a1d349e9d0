"""The README is true: a newcomer's walk through it works, and its tables are those of the code."""

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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from example_project.settings import BASE_DIR
from webhook_delivery.conf import KNOWN, Settings

README = (BASE_DIR / "README.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block, and the file that the words before it name, if they do."""

    language: str
    text: str
    file: str


def section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def blocks(text: str) -> Iterator[Block]:
    last = 0
    for found in BLOCK.finditer(text):
        files = re.findall(r"`(\w+/\w+\.py)`", text[last : found.start()])
        yield Block(found[1], found[2], files[0] if files else "")
        last = found.end()


def commands(block: Block) -> list[str]:
    """What the newcomer types: each command with its continuation lines."""
    return [text.strip() for text in re.split(r"^\$ ", block.text, flags=re.MULTILINE) if text]


class Newcomer:
    """Somebody with an empty folder, a Python, and this README."""

    def __init__(self, folder: Path, wheels: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen[bytes]] = []
        links = f"{wheels} {os.environ.get('PIP_FIND_LINKS', '')}".strip()
        here = str(Path(sys.executable).resolve().parent)
        virtual = str(folder / ".venv" / "bin")
        plain = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("DJANGO", "DATABASE", "PYTEST"))
        }
        path = f"{virtual}:{here}:{os.environ['PATH']}"
        self.env = {**plain, "PATH": path, "PIP_FIND_LINKS": links, "PYTHONWARNINGS": "default"}
        self.env.pop("VIRTUAL_ENV", None)

    def follow(self, text: str) -> None:
        """Do what each block says, in order; a shell reads the block after it."""
        waiting = ""
        for block in blocks(text):
            if block.language == "console":
                *before, waiting = commands(block)
                for command in before:
                    self.run(command)
                if not waiting.endswith("manage.py shell"):
                    self.start_or_run(waiting)
            elif block.file:
                self.write(block)
            elif block.language == "python":
                self.run(waiting, typed=block.text)

    def write(self, block: Block) -> None:
        """Settings are added to what Django has made; other files are new."""
        file = self.folder / block.file
        mode = "a" if file.name == "settings.py" else "w"
        with file.open(mode) as opened:
            opened.write(f"\n{block.text}")

    def run(self, command: str, *, typed: str = "") -> str:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.env,
            input=typed,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start_or_run(self, command: str) -> None:
        if "serve_forever" not in command and "qcluster" not in command:
            self.run(command)
            return
        with (self.folder / f"terminal-{len(self.running)}.log").open("wb") as log:
            self.running.append(
                subprocess.Popen(
                    ["bash", "-c", command],
                    cwd=self.folder,
                    env=self.env,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def terminal(self, number: int) -> str:
        return (self.folder / f"terminal-{number}.log").read_text()

    def leave(self) -> None:
        for process in self.running:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    wheels = tmp_path / "wheels"
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(wheels), str(BASE_DIR)],
        check=True,
        capture_output=True,
    )
    folder = tmp_path / "project"
    folder.mkdir()
    somebody = Newcomer(folder, wheels)
    yield somebody
    somebody.leave()


def eventually(look, wanted: str, *, seconds: float = 30) -> str:
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


@pytest.mark.everywhere_once
def test_a_newcomer_follows_the_quick_start_and_the_webhook_arrives(newcomer):
    newcomer.follow(section("Five minutes").replace("9000", free_port()))

    arrived = eventually(lambda: newcomer.terminal(0), "order.created")
    assert '"data":{"number":7,"status":"new","total":"19.90"}' in arrived
    listed = eventually(lambda: newcomer.run("python manage.py webhooks list"), "delivered")
    assert "order.created" in listed
    assert arrived.startswith("evt_")
    assert newcomer.run("python manage.py check") == (
        "System check identified no issues (0 silenced).\n"
    )
    assert newcomer.run("python manage.py webhooks health") == "Healthy.\n"
    assert "Ran 1 test" in what_django_tests(newcomer)
    assert "1 passed" in what_pytest_tests(newcomer)


def in_the_guide(heading: str) -> str:
    """The first code under a heading of the guide to testing."""
    guide = (BASE_DIR / "docs" / "testing.md").read_text().partition(f"\n## {heading}\n")[2]
    return next(block.text for block in blocks(guide) if block.language == "python")


def what_django_tests(newcomer: Newcomer) -> str:
    (newcomer.folder / "shop" / "tests.py").write_text(in_the_guide("With TestCase"))
    return newcomer.run("python manage.py test shop 2>&1")


def what_pytest_tests(newcomer: Newcomer) -> str:
    """Its fixture is there because the package is installed, and disturbs nobody else's tests."""
    newcomer.run("pip install pytest-django")
    newcomer.run('python -c "from webhook_delivery.testing import vectors; assert vectors()"')
    (newcomer.folder / "test_else.py").write_text("def test_else(): pass\n")
    assert "1 passed" in newcomer.run("python -m pytest -W error -p no:django test_else.py")
    (newcomer.folder / "shop" / "test_orders.py").write_text(in_the_guide("With pytest"))
    return newcomer.run("python -m pytest --ds=mysite.settings shop/test_orders.py")


@pytest.mark.everywhere_once
def test_the_settings_table_is_that_of_the_code():
    rows = re.findall(r"^\| `([A-Z_]+)` \| `(.+?)` \|", section("Settings"), re.MULTILINE)

    documented = {name: eval(default, {}) for name, default in rows}
    assert documented == {name: vars(Settings)[name] for name in KNOWN}


@pytest.mark.everywhere_once
def test_every_make_target_named_exists():
    targets = set(re.findall(r"^([a-z-]+):", (BASE_DIR / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE)) <= targets


@pytest.mark.everywhere_once
def test_every_file_linked_exists():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)

    assert [link for link in links if not (BASE_DIR / link).exists()] == []
