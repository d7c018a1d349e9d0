"""Writes docs/reference/checks.md: what `manage.py check` may say, read from its sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import webhook_delivery
from docs.writers.docstrings import one_line, with_names

INTRODUCTION = """# System checks

What `manage.py check` may say of a configuration. An error (E) stops it, `migrate`, `qcluster` and
whatever else checks before it begins; a warning (W) and a remark (I) stop nothing, and can be
silenced: `SILENCED_SYSTEM_CHECKS = ["webhook_delivery.W008"]`. In what they say, `…` stands for
what depends on your project.

| id | says | do | when |
|---|---|---|---|
"""

PACKAGE = Path(webhook_delivery.__file__).parent
SOURCES = [*sorted((PACKAGE / "checks").glob("*.py")), PACKAGE / "scheduling" / "oddities.py"]
KINDS = {"Error", "Warning", "Info"}
ALWAYS = "`check`"
SELDOM = {
    "of_deployment": "`check --deploy`",
    "of_payloads": "`check --deploy`",
    "of_servers": "`check --database …`, `migrate`",
    "of_stored": "`check --database …`, `migrate`",
}
"""When the checks are made that are not always made, by the function they begin in."""


@dataclass(frozen=True)
class Check:
    """One thing that may be said, and what to do about it."""

    code: str
    says: str
    hint: str
    when: str


def page() -> str:
    rows = (f"| `{each.code}` | {each.says} | {each.hint} | {each.when} |" for each in checks())
    return INTRODUCTION + "\n".join(map(with_names, rows)) + "\n"


def checks() -> list[Check]:
    """All there are: errors, warnings, remarks, each by its number."""
    found = [check for path in SOURCES for check in _of_file(path)]
    return sorted(found, key=lambda check: ("EWI".index(check.code[0]), check.code))


def _of_file(path: Path) -> Iterator[Check]:
    functions = {
        node.name: node
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
    }
    for name, function in functions.items():
        for call in [node for node in ast.walk(function) if isinstance(node, ast.Call)]:
            said = _said(call, _constants(function))
            if said:
                yield Check(*said, _when(name, functions))


def _said(call: ast.Call, constants: dict[str, ast.expr]) -> tuple[str, str, str] | None:
    """The code, the message and the hint of a call that makes one; None for other calls."""
    kind = call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
    if kind == "Oddity":
        code, seen, advice = (_text(each) for each in call.args)
        return code, seen, advice
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if kind not in KINDS or not isinstance(given.get("id"), ast.Constant):
        return None
    hint = given["hint"]
    hint = constants.get(hint.id, hint) if isinstance(hint, ast.Name) else hint
    return _text(given["id"]).rpartition(".")[2], _text(call.args[0]), _text(hint)


def _constants(function: ast.FunctionDef) -> dict[str, ast.expr]:
    assigned = [node for node in ast.walk(function) if isinstance(node, ast.Assign)]
    return {ast.unparse(node.targets[0]): node.value for node in assigned}


def _text(node: ast.expr) -> str:
    """A text as it will be read; what is filled in is `…`."""
    if isinstance(node, ast.Constant):
        return one_line(str(node.value or ""))
    if isinstance(node, ast.JoinedStr):
        return one_line("".join(_part(each) for each in node.values))
    if isinstance(node, ast.IfExp):
        return _text(node.body) or _text(node.orelse)
    return "…"


def _part(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else "…"


def _when(name: str, functions: dict[str, ast.FunctionDef]) -> str:
    """By which of the functions that begin a check this one is reached."""
    for begins, when in SELDOM.items():
        if begins in functions and name in _reached(begins, functions):
            return when
    return ALWAYS


def _reached(name: str, functions: dict[str, ast.FunctionDef]) -> set[str]:
    named = {node.id for node in ast.walk(functions[name]) if isinstance(node, ast.Name)}
    below = (_reached(each, functions) for each in (named & set(functions)) - {name})
    return {name}.union(*below)
