"""The layers of the house, and a walk through its files that finds what each imports."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "webhook_delivery"

LAYERS = [
    {"testing"},
    {"management", "apps", "admin", "api", "metrics", "templatetags"},
    {"presenting"},
    {"probing"},
    {"charts", "checks", "configuration", "health", "provisioning", "receiving", "roles"},
    {"symptoms"},
    {"gradual", "informing", "registry"},
    {"bulk", "receivers"},
    {"binding"},
    {"telling"},
    {"coalescing"},
    {"occasions"},
    {"batches", "publishing", "tasks", "loop", "forwarding", "redelivery", "restoring"},
    {"sweeping"},
    {"drain", "overseeing", "writing"},
    {"flights", "holdings", "landings", "recording", "report", "rhythm"},
    {"correspondence", "endpoints", "erasing", "pruning", "pump"},
    {"resealing", "rotation", "subscribing", "verification"},
    {"doorbell", "dispatch", "missing", "targeting"},
    {"scheduling", "listening"},
    {"backlog", "lifecycle", "standing"},
    {"loading", "judging", "archive", "acknowledging", "figures", "pulse"},
    {"claims", "lapsing", "logbook", "composing", "grouping", "hearing"},
    {"notifying", "relating", "retention", "rollups", "selecting", "tenancy"},
    {"fitting", "policies"},
    {"catalogue"},
    {"ailing", "models", "tellers", "transport", "payloads"},
    {"deriving"},
    {
        "counting",
        "guarding",
        "patience",
        "searching",
        "shaping",
        "sharing",
        "transitions",
        "observing",
    },
    {"explaining", "validation", "keys", "history", "telemetry", "verifying"},
    {"pacing"},
    {
        "addresses",
        "asyncapi",
        "cloudevents",
        "conditions",
        "conf",
        "headers",
        "hostnames",
        "operational",
        "outcomes",
        "signing",
        "totals",
    },
    {"version", "clock", "locking", "logs", "paths", "references", "signals", "texts"},
]
"""From the top of the house to its ground; a module may import only from below its own layer."""

DEPTH = {name: depth for depth, layer in enumerate(LAYERS) for name in layer}
PURE = {
    "addresses",
    "ailing",
    "asyncapi",
    "cloudevents",
    "conditions",
    "guarding",
    "headers",
    "history",
    "hostnames",
    "outcomes",
    "pacing",
    "paths",
    "searching",
    "sharing",
    "signing",
    "texts",
    "totals",
    "transitions",
    "verifying",
}


def unit_of(path: Path) -> str:
    """The module or package, directly in ours, that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = [
    path
    for path in PACKAGE.rglob("*.py")
    if "migrations" not in path.parts and path != PACKAGE / "__init__.py"
]


def imports(path: Path) -> set[str]:
    """Every module imported anywhere in the file, inside functions and for type checkers too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def only_for_types(path: Path) -> set[str]:
    """What is imported under `if TYPE_CHECKING`: names for annotations, never at run time."""
    blocks = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    inner = [node for block in blocks for node in ast.walk(block)]
    return {
        f"{node.module}.{alias.name}"
        for node in inner
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def ours(names: set[str]) -> set[str]:
    units = {name.split(".")[1] for name in names if name.startswith("webhook_delivery.")}
    return units & set(DEPTH)


def imports_by_unit() -> dict[str, set[str]]:
    """Which units each unit uses at run time, itself left out."""
    found: dict[str, set[str]] = {name: set() for name in DEPTH}
    for path in FILES:
        found[unit_of(path)] |= ours(imports(path) - only_for_types(path)) - {unit_of(path)}
    return found
