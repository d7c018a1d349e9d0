"""Turns docstrings, as this code writes them, into Markdown."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Collection, Iterator
from itertools import pairwise, zip_longest

CODE = re.compile(r"(?<=:):\n\n((?:(?:    .*)?\n)+)")
"""What is indented after a `::`, blank lines and all."""


def markdown(text: str | None, names: Collection[str] = ()) -> str:
    """
    Write a docstring as Markdown: paragraphs, a list of its arguments, and its code in fences.

    names: the arguments that it may explain, as lines that begin with `name: `.
    """
    parts = CODE.split(inspect.cleandoc(text or "") + "\n")
    return "\n\n".join(_written(parts, names)).strip()


def _written(parts: list[str], names: Collection[str]) -> Iterator[str]:
    """Prose and code in turn."""
    for prose, code in zip_longest(parts[::2], parts[1::2]):
        for block in re.split(r"\n(?:[ \t]*\n)+", prose.strip("\n")):
            yield _paragraph(block, names)
        if code:
            yield f"```py\n{textwrap.dedent(code).strip()}\n```"


def _paragraph(block: str, names: Collection[str]) -> str:
    """Lines that begin with arguments become a list; what is indented below each belongs to it."""
    parts: list[list[str]] = [[]]
    for line in block.splitlines():
        explained = re.match(r"((?:\w+, )*\w+): (.+)", line)
        if explained and set(explained[1].split(", ")) <= set(names):
            item = f"- `{explained[1].replace(', ', '`, `')}`: {explained[2]}"
            parts = _in_a_list(parts)
            parts[-1].append(item)
        elif line.startswith(" ") and _is_list(parts[-1]):
            parts[-1].append(f"  {line.strip()}")
        else:
            parts = [*parts, []] if _is_list(parts[-1]) else parts
            parts[-1].append(line)
    return "\n\n".join("\n".join(part) for part in parts if part)


def _is_list(part: list[str]) -> bool:
    return bool(part) and part[0].startswith("- ")


def _in_a_list(parts: list[list[str]]) -> list[list[str]]:
    return parts if _is_list(parts[-1]) else [*parts, []]


def one_line(text: str | None) -> str:
    """The whole text without line breaks, for a cell of a table."""
    return " ".join(inspect.cleandoc(text or "").split()).replace("|", r"\|")


def with_names(text: str) -> str:
    """The text with the names of settings in it as code: `Q_CLUSTER['retry']`."""
    parts = re.split(r"(`[^`]*`)", text)
    name = re.compile(r"\b[A-Z]+(?:_[A-Z]+)+\b(?:\[[^\]]*\])?")
    return "".join(part if part[:1] == "`" else name.sub(r"`\g<0>`", part) for part in parts)


def of_attributes(body: list[ast.stmt]) -> dict[str, str]:
    """The texts that stand below assignments, by the names that are assigned."""
    found = {}
    for before, after in pairwise(body):
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            for name in _names(before):
                found[name] = inspect.cleandoc(str(after.value.value))
    return found


def _names(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.AnnAssign):
        return [ast.unparse(statement.target)]
    if isinstance(statement, ast.Assign):
        return [ast.unparse(target) for target in statement.targets]
    return []


def body_of(owner: type) -> list[ast.stmt]:
    """The statements of a class, as they are written."""
    [node] = ast.parse(inspect.getsource(owner)).body
    assert isinstance(node, ast.ClassDef)
    return node.body
