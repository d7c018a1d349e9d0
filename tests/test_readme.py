"""The README is true: a newcomer's walk through it works, and its tables are those of the code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from example_project.settings import BASE_DIR
from tests.newcomer import Newcomer, blocks, eventually, free_port, newcomer_in
from tests.pages import broken_links
from webhook_delivery.conf import KNOWN, Settings

README = (BASE_DIR / "README.md").read_text()


def section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    with newcomer_in(tmp_path) as somebody:
        yield somebody


@pytest.mark.everywhere_once
def test_a_newcomer_follows_the_quick_start_until_a_dead_letter_has_arrived(newcomer):
    newcomer.follow(section("Five minutes").replace("9000", free_port()))

    eventually(lambda: states_of(newcomer), "delivered, delivered")
    arrived = newcomer.terminal(0)
    assert '"data":{"number":7,"status":"new","total":"19.90"}' in arrived
    assert arrived.startswith("evt_")
    assert arrived.count('"number":8') == 2
    [redelivered] = json.loads(newcomer.run("python manage.py webhooks show 2 --json"))
    assert [(each["status"], each["trigger"]) for each in redelivered["log"]] == [
        (404, "schedule"),
        (204, "redelivery"),
    ]
    assert newcomer.run("python manage.py check") == (
        "System check identified no issues (0 silenced).\n"
    )
    assert newcomer.run("python manage.py webhooks health") == "Healthy.\n"
    assert "Ran 1 test" in what_django_tests(newcomer)
    assert "1 passed" in what_pytest_tests(newcomer)


def states_of(newcomer: Newcomer) -> str:
    listed = json.loads(newcomer.run("python manage.py webhooks list --json"))
    return ", ".join(each["state"] for each in listed)


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
    assert broken_links(BASE_DIR / "README.md") == []
