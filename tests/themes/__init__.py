"""The console under other skins of the admin, and under each Django that we support."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from example_project.settings import BASE_DIR

STOCK = "stock"
THEMES = {
    STOCK: [],
    "unfold": ["unfold"],
    "jazzmin": ["jazzmin"],
    "grappelli": ["grappelli"],
}
"""What each puts before `django.contrib.admin`."""
DJANGOS = {"5.2": (3, 11), "6.0": (3, 12), "6.1": (3, 12)}
"""The Djangos, and the oldest Python of each."""
NEEDED = [
    "django-unfold",
    "django-jazzmin",
    "django-grappelli",
    "dj-database-url>=3",
    "standardwebhooks>=1.1",
]
HOME = BASE_DIR / ".build" / "themes"

Screens = dict[str, dict[str, Any]]


class NoPython(Exception):
    """No Python on this machine is new enough."""


def screens(django: str, theme: str) -> Screens:
    """Open every screen in that environment; by name: the status, and what of ours is on it."""
    python = environment(django)
    with tempfile.TemporaryDirectory(prefix="webhook-theme-") as folder:
        plain = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        done = subprocess.run(
            [python, "-m", "tests.themes"],
            cwd=BASE_DIR,
            env={**plain, "WEBHOOK_TEST_FOLDER": folder, "WEBHOOK_TEST_THEME": theme},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    found: Screens = json.loads(done.stdout)
    return found


def environment(django: str) -> str:
    """The Python of an environment with that Django and all themes; made if it is not there."""
    home = HOME / f"django-{django}"
    python, ready = home / "bin" / "python", home / ".ready"
    wanted = "\n".join([f"django=={django}.*", *NEEDED])
    if not ready.exists() or ready.read_text() != wanted:
        shutil.rmtree(home, ignore_errors=True)
        run(newest_python(DJANGOS[django]), "-m", "venv", str(home))
        run(str(python), "-m", "pip", "install", "-q", *wanted.split("\n"), "-e", str(BASE_DIR))
        ready.write_text(wanted)
    return str(python)


def newest_python(oldest: tuple[int, int]) -> str:
    """The newest Python that is at least so new. Raises NoPython."""
    found = {version: path for path in pythons() if (version := version_of(path)) >= oldest}
    if not found:
        needed = ".".join(map(str, oldest))
        raise NoPython(f"no Python {needed} or newer is on the PATH or in ~/.pyenv/versions")
    return found[max(found)]


def pythons() -> Iterator[str]:
    for minor in (11, 12, 13):
        if found := shutil.which(f"python3.{minor}"):
            yield found
        yield from map(str, Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python"))


def version_of(python: str) -> tuple[int, int]:
    said = subprocess.run(
        [python, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True
    )
    if said.returncode:
        return (0, 0)  # a shim for a version that is not installed
    major, minor = said.stdout.split()
    return int(major), int(minor)


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
