"""Pages of the documentation, as tests read them: code, tables, commands, links, named tests."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from django.core.management import load_command_class

from example_project.settings import BASE_DIR
from webhook_delivery.management.verbs import VERBS

DOCS = BASE_DIR / "docs"
TESTS = BASE_DIR / "tests"
APPS = {"webhooks": "webhook_delivery", "qcluster": "django_q"}
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TABLE = re.compile(r"^\|.*\n\|[-| :]+\|\n(?:\|.*\n?)+", re.MULTILINE)
VERB = {verb.name: verb for verb in VERBS}

Row = dict[str, str]


@dataclass(frozen=True)
class Page:
    """One page, by its name below `docs`."""

    name: str

    @property
    def path(self) -> Path:
        return DOCS / self.name

    @cached_property
    def text(self) -> str:
        return self.path.read_text()

    @cached_property
    def prose(self) -> str:
        """On one line, without code in fences."""
        return " ".join(FENCE.sub("", self.text).split())

    def section(self, heading: str) -> str:
        """What stands under a heading of the second order, up to the next."""
        return self.text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]

    def run(self) -> types.ModuleType:
        """All its Python, in one module; its shop is that of the example project."""
        module = types.ModuleType(self.path.stem)
        blocks = [text for language, text in FENCE.findall(self.text) if language == "python"]
        code = "\n".join(blocks).replace("from shop.", "from example_project.shop.")
        exec(compile(code, str(self.path), "exec", dont_inherit=True), vars(module))
        return module

    def typed(self) -> list[str]:
        """What a reader types after `$ python`, up to where the shell takes over."""
        blocks = "\n".join(text for language, text in FENCE.findall(self.text))
        lines = re.findall(r"^\$ python manage\.py (.+)$", blocks, re.MULTILINE)
        return [line.partition(" | ")[0].partition(" > ")[0] for line in lines]

    def mentioned(self) -> list[str]:
        """Commands of ours in the middle of a sentence."""
        return re.findall(r"`(webhooks [a-z][^`]*)`", self.prose)

    def named_tests(self) -> list[tuple[str, str]]:
        return sorted(set(re.findall(r"`(?:tests/)?(test_\w+\.py)(?:::(test_\w+))?`", self.text)))


def tables(text: str) -> Iterator[list[Row]]:
    """Every table, as a list of rows by the names of the columns."""
    for found in TABLE.findall(text):
        names, _, *lines = [cells(line) for line in found.strip().splitlines()]
        yield [dict(zip(names, line, strict=True)) for line in lines]


def table(text: str, *columns: str) -> list[Row]:
    """The one table that begins with these columns."""
    fitting = [rows for rows in tables(text) if tuple(rows[0])[: len(columns)] == columns]
    assert len(fitting) == 1, f"{len(fitting)} tables begin with {columns}"
    return fitting[0]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip()[1:-1])]


def codes(cell: str) -> list[str]:
    """What is written as code in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def headings(text: str) -> list[str]:
    """All of them, without their marks."""
    return re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)


def missing_tests(page: Page) -> list[str]:
    return [f"{file}::{name}" for file, name in page.named_tests() if not _is_there(file, name)]


def _is_there(file: str, name: str) -> bool:
    path = TESTS / file
    if not path.exists() or not name:
        return path.exists()
    nodes = ast.walk(ast.parse(path.read_text()))
    return name in {node.name for node in nodes if isinstance(node, ast.FunctionDef)}


def understood(line: str) -> argparse.Namespace:
    """What the real parser makes of a command; raises CommandError if it makes nothing of it."""
    name, *arguments = shlex.split(line)
    command = load_command_class(APPS.get(name, "django.core"), name)
    return command.create_parser("manage.py", name).parse_args(arguments)


def misunderstood(page: Page) -> list[str]:
    """Of the commands in sentences: verbs that do not exist. Those with arguments are parsed."""
    for line in page.typed():
        understood(line)
    wrong = []
    for command in page.mentioned():
        verb, *arguments = command.split()[1:]
        if verb not in VERB:
            wrong.append(command)
        elif arguments:
            understood(command)
    return wrong
