"""What a page claims to be measured stands in the results, and what it calls a default is one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import django
import pytest

from benchmarks.scenarios import NAMES
from example_project.settings import BASE_DIR
from webhook_delivery.conf import Settings

pytestmark = pytest.mark.everywhere_once

RESULTS = (BASE_DIR / "benchmarks" / "RESULTS.md").read_text()
PAGES = [BASE_DIR / "README.md", *sorted((BASE_DIR / "docs").rglob("*.md"))]
COMMAND = re.compile(r"make bench ONLY=(\w+)")
FIGURE = re.compile(r"(?<![\w.`])(\d[\d ,]*(?:\.\d+)?)\s?(×|%|/s|s|ms|MB|GB)(?![\w/])")
"""A number with a unit in which something is measured."""


def section(scenario: str) -> str:
    """What the results say of a scenario: its goals, and its own chapter."""
    goals = [line for line in RESULTS.splitlines() if line.startswith(f"| [{scenario}]")]
    return "\n".join([*goals, RESULTS.partition(f"\n## {scenario}\n")[2].partition("\n## ")[0]])


def claims() -> Iterator[tuple[Path, str, str]]:
    """Each line that names a scenario, with what it claims."""
    for page in PAGES:
        for line in page.read_text().splitlines():
            for scenario in COMMAND.findall(line):
                yield page, scenario, line


@pytest.mark.parametrize(
    ("page", "scenario", "line"),
    [*claims()],
    ids=lambda it: it.name if isinstance(it, Path) else None,
)
def test_what_is_said_to_be_measured_stands_in_the_results(page, scenario, line):
    assert scenario in NAMES
    assert [
        number for number, _unit in FIGURE.findall(line) if not measured(number, scenario)
    ] == []


def measured(number: str, scenario: str) -> bool:
    """Whether the results have it, or a number that is rounded to it."""
    said = number.replace(" ", "").replace(",", "")
    digits = len(said.partition(".")[2])
    found = re.findall(r"\d[\d,]*(?:\.\d+)?", section(scenario))
    return any(f"{float(each.replace(',', '')):.{digits}f}" == said for each in found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_ratio_names_the_scenario_that_measures_it(page):
    unnamed = [
        line
        for line in page.read_text().splitlines()
        if re.search(r"\d ×(?! ?\(?\d)", line) and not COMMAND.search(line)
    ]

    assert unnamed == []


def test_a_figure_that_was_not_measured_is_found_out():
    assert not measured("123456789", "drain")


SCHEDULE: tuple[float, ...] = vars(Settings)["RETRY_SCHEDULE"]
README = (BASE_DIR / "README.md").read_text()


def clock(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min"


def test_the_schedule_told_is_the_default():
    waits = [spelt(seconds) for seconds in SCHEDULE]

    assert ", ".join(waits[:-1]) in README
    assert f"ten attempts in {clock(sum(SCHEDULE))}, or up to a fifth more, then dead" in README
    assert vars(Settings)["RETRY_JITTER"] == 1 / 5
    assert len(waits) == 9


def spelt(seconds: float) -> str:
    for unit, name in ((3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


NEEDS = re.compile(
    r"^\| (\d\.\d) \| ([\d., ]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", re.MULTILINE
)
"""Of each Django: the Pythons, and the oldest SQLite, PostgreSQL and MariaDB."""


def oldest(features: Any) -> str:
    """As this Django says, of any server of the kind."""
    there = SimpleNamespace(mysql_is_mariadb=True)
    return ".".join(map(str, features.DatabaseFeatures(there).minimum_database_version))


def test_what_is_needed_is_what_this_django_asks_for():
    told = {django: versions for django, _pythons, *versions in NEEDS.findall(README)}
    backends = ("sqlite3", "postgresql", "mysql")

    assert told[".".join(map(str, django.VERSION[:2]))] == [
        oldest(import_module(f"django.db.backends.{backend}.features")) for backend in backends
    ]


def test_what_is_needed_is_what_is_tested():
    source = (BASE_DIR / "noxfile.py").read_text()
    pairs = re.search(r"^SUPPORTED = (.+)$", source, re.MULTILINE)
    supported = ast.literal_eval(pairs[1]) if pairs else {}

    assert {django: pythons.split(", ") for django, pythons, *_ in NEEDS.findall(README)} == {
        django: [python for python, djangos in supported.items() if django in djangos]
        for django in supported["3.13"]
    }
