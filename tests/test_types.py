"""A user's project is clean for mypy and for pyright: the example, and what the documents show."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from example_project.settings import BASE_DIR

pytestmark = pytest.mark.everywhere_once

FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SETTINGS = """
SECRET_KEY = "for a checker"
INSTALLED_APPS = [
    "django.contrib.auth", "django.contrib.contenttypes", "django_q", "webhook_delivery", "shop"
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
"""
MYPY = """
[mypy]
plugins = mypy_django_plugin.main
strict = true
[mypy-guide.*]
disallow_untyped_defs = false
disallow_incomplete_defs = false
disallow_untyped_calls = false
[mypy.plugins.django-stubs]
django_settings_module = settings
"""


WRONG = """from webhook_delivery import publish

publish(7)
"""
"""A mistake that must be found: names that are imported when they are first used have types."""


@pytest.fixture
def project(tmp_path) -> Path:
    """What a reader has typed, each block where it belongs; the rest of a page in one file."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "shop").mkdir()
    (folder / "shop" / "__init__.py").touch()
    (folder / "settings.py").write_text(SETTINGS)
    (folder / "mypy.ini").write_text(MYPY)
    (folder / "pyrightconfig.json").write_text(
        json.dumps({"typeCheckingMode": "standard", "extraPaths": [str(BASE_DIR)]})
    )
    readme = FENCE.findall((BASE_DIR / "README.md").read_text())
    for block in readme:
        if "class Order(models.Model)" in block:
            (folder / "shop" / "models.py").write_text(block)
        elif "@register(Order)" in block:
            (folder / "shop" / "webhooks.py").write_text(block)
    rest = [each for each in readme if "class Order" not in each and "INSTALLED_APPS" not in each]
    (folder / "guide").mkdir()
    (folder / "guide" / "__init__.py").touch()
    (folder / "guide" / "readme.py").write_text("\n".join(rest))
    for name in ("receiving", "testing"):
        page = (BASE_DIR / "docs" / f"{name}.md").read_text()
        (folder / "guide" / f"{name}.py").write_text("\n".join(FENCE.findall(page)))
    (folder / "wrong.py").write_text(WRONG)
    return folder


def errors(*command: str, folder: Path) -> list[str]:
    """Where a checker finds any: `models.py:7`."""
    ran = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        env={"PYTHONPATH": f"{folder}:{BASE_DIR}", "PATH": "/usr/bin:/bin", "HOME": str(folder)},
    )
    assert ran.returncode in (0, 1) and "No module named" not in ran.stderr, ran.stdout + ran.stderr
    print(ran.stdout)
    found = re.findall(r"([\w/]+\.py):(\d+)(?::\d+)?(?::| -) error", ran.stdout)
    return [f"{Path(file).name}:{line}" for file, line in found]


def test_pyright_finds_nothing_in_the_example():
    assert errors("pyright", "--project", str(BASE_DIR), folder=BASE_DIR) == []


def test_pyright_finds_nothing_but_the_mistake_in_what_a_reader_types(project):
    assert errors("pyright", "--pythonpath", sys.executable, folder=project) == ["wrong.py:3"]


def test_mypy_finds_nothing_but_the_mistake_in_what_a_reader_types(project):
    assert errors("mypy", ".", folder=project) == ["wrong.py:3"]
