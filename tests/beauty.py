"""Measures how the package reads; with --write it is kept in CONTRIBUTING, beside the models."""

from __future__ import annotations

import ast
import graphlib
import io
import json
import os
import re
import statistics
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.layers import imports, only_for_types

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "webhook_delivery"
PAGE = ROOT / "CONTRIBUTING.md"
HEADING = "## How it reads"
JSCPD = ROOT / ".node" / "node_modules" / ".bin" / "jscpd"
ROW = re.compile(r"^\| \*\*ours\*\* \|.*$", re.MULTILINE)

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Sources:
    """The Python files below a folder, without migrations."""

    folder: Path

    @cached_property
    def files(self) -> dict[Path, str]:
        paths = sorted(p for p in self.folder.rglob("*.py") if "migrations" not in p.parts)
        return {path: path.read_text() for path in paths}

    @cached_property
    def trees(self) -> list[ast.Module]:
        return [ast.parse(text) for text in self.files.values()]

    @cached_property
    def functions(self) -> list[Function]:
        nodes = [node for tree in self.trees for node in ast.walk(tree)]
        return [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]

    @property
    def module_lengths(self) -> list[int]:
        return sorted(len(text.splitlines()) for text in self.files.values())

    @property
    def function_lengths(self) -> list[int]:
        return sorted(map(length, self.functions))

    @property
    def comments(self) -> int:
        return sum(1 for text in self.files.values() for _ in _comments(text))

    @cached_property
    def docstring_lines(self) -> int:
        owners = [
            node for tree in self.trees for node in ast.walk(tree) if _may_have_docstring(node)
        ]
        return sum(len(found.splitlines()) for each in owners if (found := ast.get_docstring(each)))

    @property
    def code_lines(self) -> int:
        filled = [
            line for text in self.files.values() for line in text.splitlines() if line.strip()
        ]
        return len(filled) - self.docstring_lines

    @property
    def annotated(self) -> float:
        return sum(map(_is_annotated, self.functions)) / len(self.functions)

    @property
    def documented(self) -> float:
        """The share of modules that open with a sentence."""
        filled = [tree for tree in self.trees if tree.body]
        return sum(1 for tree in filled if ast.get_docstring(tree)) / len(filled)


def length(function: Function) -> int:
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (function.end_lineno or function.lineno) - body[0].lineno + 1 if body else 0


def _comments(text: str) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def _may_have_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)


def _is_annotated(function: Function) -> bool:
    spec = function.args
    named = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs, spec.vararg, spec.kwarg]
    arguments = [each for each in named if each and each.arg not in ("self", "cls")]
    return function.returns is not None and all(each.annotation for each in arguments)


def cycle(package: Path) -> list[str]:
    """One cycle of imports among the package's modules, or none; imports in functions count."""
    names = {_dotted(path): path for path in Sources(package).files}
    graph = {
        name: {m for each in imports(path) - only_for_types(path) if (m := _module(each, names))}
        for name, path in names.items()
    }
    try:
        graphlib.TopologicalSorter({k: v - {k} for k, v in graph.items()}).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def _dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _module(name: str, modules: dict[str, Path]) -> str:
    """The module that an imported name is, or is in."""
    parent = name.rpartition(".")[0]
    return name if name in modules else parent if parent in modules else ""


def duplicated(package: Path) -> float:
    """The share of lines that stand twice, in percent, as jscpd finds them (six lines and more)."""
    with TemporaryDirectory() as folder:
        options = ["--min-lines", "6", "--min-tokens", "60", "--reporters", "json", "--silent"]
        command = [str(JSCPD), str(package), "--format", "python", "--output", folder, *options]
        subprocess.run(
            [*command, "--ignore", "**/migrations/**"],
            check=True,
            env=_with_node(),
            stdout=subprocess.DEVNULL,
        )
        report = json.loads((Path(folder) / "jscpd-report.json").read_text())
    return float(report["statistics"]["total"]["percentage"])


def _with_node() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def row() -> str:
    """What is found, as the row of CONTRIBUTING's table."""
    ours, tests = Sources(PACKAGE), Sources(ROOT / "tests")
    code, lengths = ours.code_lines / 100, ours.function_lengths
    per_line = sum(tests.module_lengths) / sum(ours.module_lengths)
    cells = [
        f"{len(ours.files)}",
        f"{sum(ours.module_lengths):,}".replace(",", " "),
        f"{statistics.median(ours.module_lengths):.0f} / {ours.module_lengths[-1]}",
        f"{len(lengths)}",
        f"{statistics.median(lengths):.0f} / {lengths[len(lengths) * 9 // 10]} / {lengths[-1]}",
        f"{ours.comments / code:.1f}",
        f"{ours.docstring_lines / code:.0f}",
        f"{ours.documented:.0%}".replace("%", " %"),
        f"{ours.annotated:.0%}".replace("%", " %"),
        "none" if not cycle(PACKAGE) else " → ".join(cycle(PACKAGE)),
        f"{duplicated(PACKAGE):.1f} %",
        f"{per_line:.1f}",
    ]
    return f"| **ours** | {' | '.join(cells)} |"


def table() -> str:
    """The table of CONTRIBUTING, as it stands there."""
    section = PAGE.read_text().partition(f"{HEADING}\n")[2].partition("\n## ")[0]
    return "\n".join(line for line in section.splitlines() if line.startswith("|"))


def main(arguments: list[str]) -> int:
    found = row()
    if "--write" in arguments:
        PAGE.write_text(ROW.sub(found, PAGE.read_text()))
    print("\n".join([*table().splitlines()[:2], found]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
