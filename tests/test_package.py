"""What is published: complete, built the same each time, described truly, with all licences."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

from example_project.settings import BASE_DIR
from tests import licences
from webhook_delivery import __version__

pytestmark = pytest.mark.everywhere_once

PYPROJECT = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())


def tool(*arguments: str) -> str:
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=BASE_DIR)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> list[Path]:
    """The sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    tool("build", "--outdir", str(folder))
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def wheel(built) -> Path:
    return next(path for path in built if path.suffix == ".whl")


@pytest.fixture(scope="module")
def inside(wheel) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if name.startswith("webhook_delivery/")}


def test_what_is_built_twice_is_the_same(built, tmp_path):
    tool("build", "--outdir", str(tmp_path))

    assert {path.name: digest(path) for path in tmp_path.iterdir()} == {
        path.name: digest(path) for path in built
    }


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_wheel_has_all_that_the_repository_has_of_the_package(inside):
    kept = subprocess.run(
        ["git", "ls-files", "webhook_delivery"], cwd=BASE_DIR, capture_output=True, text=True
    )

    assert inside == set(kept.stdout.split())


@pytest.mark.parametrize(
    "part",
    ["py.typed", "migrations/0001_initial.py", "locale/de/LC_MESSAGES/django.mo"],
)
def test_the_wheel_has_what_is_easily_forgotten(inside, part):
    assert f"webhook_delivery/{part}" in inside


def test_the_wheel_has_files_of_each_kind(inside):
    assert {Path(name).suffix for name in inside} >= {".html", ".css", ".js", ".mo", ".txt"}


def test_the_package_index_would_take_it(built, wheel):
    tool("twine", "check", "--strict", *map(str, built))
    tool("check_wheel_contents", str(wheel))


def test_it_describes_itself(wheel):
    described = of(wheel)

    assert described["Name"] == "django-webhook-delivery"
    assert described["Version"] == __version__
    assert described["License-Expression"] == "MIT"
    assert described["Description-Content-Type"] == "text/markdown"
    assert described["Description"] or described.get_payload()


def of(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


def test_the_versions_named_are_those_that_are_tested():
    classifiers = PYPROJECT["project"]["classifiers"]
    source = (BASE_DIR / "noxfile.py").read_text()
    supported = eval(source.partition("SUPPORTED = ")[2].partition("\n")[0])

    assert numbers(classifiers, "Python") == sorted(supported)
    assert numbers(classifiers, "Framework :: Django") == sorted(
        {v for vs in supported.values() for v in vs}
    )


def numbers(classifiers: list[str], of: str) -> list[str]:
    found = [re.search(rf"{of} :: (\d+\.\d+)$", each) for each in classifiers]
    return sorted(each[1] for each in found if each)


def test_each_dependency_is_listed_with_its_licence():
    assert licences.PAGE.read_text() == licences.page()
    assert "UNKNOWN" not in licences.page() and "| None |" not in licences.page()
