"""Tests what is supported: `make test-all` every version, `make test-edges` oldest and newest."""

from __future__ import annotations

import os
import sys
from itertools import chain
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv"
nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["everywhere", "oldest"]

SUPPORTED = {"3.11": ["5.2"], "3.12": ["5.2", "6.0", "6.1"], "3.13": ["5.2", "6.0", "6.1"]}
"""Django's versions by Python's: Django 6.0 and later need Python 3.12."""

OLDEST = "3.11"
NEWEST = ("3.13", "6.1")
WHOLE = [(OLDEST, "5.2"), ("3.12", "6.0"), NEWEST]
"""With each Python and each Django once, everything; with other pairs what reads and writes."""
EXTRAS = "api,metrics,redis,schema"
PROJECT = nox.project.load_toml("pyproject.toml")

# Interpreters that pyenv keeps, or that lie beside this one, are as good as those of the system.
_homes = (Path.home() / ".pyenv" / "versions", Path(sys.base_prefix).parent)
_kept = sorted({path for home in _homes for path in home.glob("3.*/bin")})
os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *map(str, _kept)])


@nox.session
@nox.parametrize(
    ("python", "django"),
    [(python, v) for python, vs in reversed(SUPPORTED.items()) for v in reversed(vs)],
)
def everywhere(session: nox.Session, django: str) -> None:
    """`make test` on every database, with one Python and one Django; the newest first."""
    _install(session, f"django~={django}.0")
    whole = (str(session.python), django) in WHOLE
    _test(session, *([] if whole else DATABASES_ALONE))


@nox.session(python=NEWEST[0])
def newest(session: nox.Session) -> None:
    """The newest Python and Django, on PostgreSQL."""
    _install(session, f"django~={NEWEST[1]}.0")
    _test(session, "--on", "PostgreSQL", *DATABASES_ALONE)


@nox.session(python=OLDEST)
def oldest(session: nox.Session) -> None:
    """The oldest of everything that `pyproject.toml` allows, on SQLite."""
    _install(session, *_lowest())
    _test(session, "--on", "SQLite", *DATABASES_ALONE)


CRASHES = (
    "batches_crash",
    "chaos",
    "crash",
    "deploy",
    "hosts",
    "machine",
    "many_drains",
    "order_crash",
)
"""What kills processes takes minutes, and `make test` does it."""
DATABASES_ALONE = [
    *("-m", "not nightly and not everywhere_once and not nightly_on_servers"),
    *(f"--ignore=tests/test_{name}.py" for name in CRASHES),
]
"""What depends on the database, and is quick."""


def _install(session: nox.Session, *pinned: str) -> None:
    groups = [f"--group={name}" for name in ("docs", "lint", "test", "mariadb")]
    session.install("--editable", f".[{EXTRAS}]", *groups, *pinned)


def _lowest() -> list[str]:
    """Each requirement at the lowest version that it allows."""
    project = PROJECT["project"]
    every = chain(project["dependencies"], *project["optional-dependencies"].values())
    return [requirement.replace(">=", "==") for requirement in every]


def _test(session: nox.Session, *chosen: str) -> None:
    """As `python -X dev`, but for its allocator, which finds faults of C in a third more time."""
    session.run(
        *("python", "-m", "tests.everywhere", *chosen, *session.posargs),
        env={"PYTHONDEVMODE": "1", "PYTHONMALLOC": "pymalloc"},
    )
