"""Writes RESULTS.md and its pictures from the raw figures of all scenarios that were ever run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from benchmarks.figures import Goal, Section, Table, section_of
from benchmarks.scenarios import NAMES

INTRODUCTION = """\
# Results of the benchmarks

Measured by `make bench`, on one machine: senders, databases and receivers share its cores. A figure
is the median of its runs, with their range in parentheses. What is compared ran in turn, round by
round, and each ratio is made within a round; each measuring worker was a process of its own, and a
smaller round came first to warm up. The figures tell what to expect of one against the other, not
of your hardware."""
QUICK = "\n\n**These are quick runs, for trying the benchmarks out: their figures say little.**"
QUICKLY = " (quick: with a fifth of the counts that follow)"
VERDICTS = {True: "met", False: "**not met**", None: "–"}


def render(raw: dict[str, dict[str, Any]], *, target: Path) -> str:
    """
    Write the page, and return it.

    raw: what each scenario's file holds, by name. A scenario that has none keeps the section and
    the goals that the page has of it.
    """
    before = target.read_text() if target.exists() else ""
    told = [name for name in NAMES if name in raw or _section_in(before, name)]
    goals = [line for name in told for line in _goals(name, raw.get(name), before)]
    sections = [
        _section(name, raw[name]) if name in raw else _section_in(before, name) for name in told
    ]
    quick = QUICK if any(each["quick"] for each in raw.values()) else ""
    head = "| scenario | goal | wanted | found | |\n|---|---|---|---|---|"
    page = "\n\n".join([INTRODUCTION + quick, "\n".join(["## Goals", "", head, *goals]), *sections])
    _draw(raw, target.parent / "pictures")
    target.write_text(page + "\n")
    return page


def _goals(name: str, found: dict[str, Any] | None, before: str) -> list[str]:
    if found is None:
        return [line for line in before.splitlines() if line.startswith(f"| [{name}](#{name}) |")]
    goals = [Goal(**goal) for goal in found["section"]["goals"]]
    return [
        f"| [{name}](#{name}) | {goal.what} | {goal.wanted} | {goal.found} | {VERDICTS[goal.met]} |"
        for goal in goals
    ]


def _section_in(page: str, name: str) -> str:
    """A section as an earlier run has written it; empty if none has."""
    found = re.search(rf"^## {name}\n.*?(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    return found[0].rstrip() if found else ""


def _section(name: str, found: dict[str, Any]) -> str:
    section = section_of(found["section"])
    parts = [
        f"## {name}\n\n{found['heading']}",
        *(_table(table) for table in section.tables),
        *(f"![{picture.caption}](pictures/{picture.file})" for picture in section.pictures),
        "\n".join(f"- {note}" for note in section.notes),
        _provenance(found, section),
    ]
    return "\n\n".join(part for part in parts if part)


def _table(table: Table) -> str:
    lines = [
        _row(table.columns),
        _row(["---"] + ["--:"] * (len(table.columns) - 1)),
        *(_row([str(cell) for cell in row]) for row in table.rows),
    ]
    return "\n".join([f"{table.caption}\n"] * bool(table.caption) + lines)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _provenance(found: dict[str, Any], section: Section) -> str:
    runs = f"{found['runs']} run{'s' * (found['runs'] != 1)}{QUICKLY * found['quick']}"
    facts = [
        f"{found['when']}, {runs}, {found['machine']}.",
        "; ".join(f"{name} {value}" for name, value in found["versions"].items()) + ".",
        "; ".join(f"{name}: {value}" for name, value in section.settings.items()),
    ]
    return "<sub>" + " ".join(fact for fact in facts if fact) + "</sub>"


def _draw(raw: dict[str, dict[str, Any]], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for found in raw.values():
        for picture in section_of(found["section"]).pictures:
            (folder / picture.file).write_text(picture.svg)
