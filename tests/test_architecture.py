"""The shape of the house: imports point down, and each seam is known to one module only."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

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
    {"flights", "holdings", "landings", "recording", "report"},
    {"correspondence", "endpoints", "erasing", "pruning", "pump"},
    {"resealing", "rotation", "subscribing", "verification"},
    {"doorbell", "dispatch", "missing", "targeting"},
    {"scheduling", "listening"},
    {"backlog", "lifecycle", "standing"},
    {"loading", "judging", "archive", "acknowledging", "figures", "pulse", "retention"},
    {"claims", "lapsing", "logbook", "composing", "grouping", "hearing"},
    {"notifying", "relating", "rollups", "selecting", "tenancy"},
    {"fitting", "policies"},
    {"doorbell", "dispatch", "missing", "targeting"},
    {"scheduling", "listening"},
    {"backlog", "lifecycle", "standing"},
    {"loading", "judging", "archive", "acknowledging", "figures", "pulse"},
    {"claims", "lapsing", "logbook", "composing", "grouping", "hearing"},
    {"notifying", "relating", "rollups", "selecting", "tenancy"},
    {"fitting", "policies"},
    {"claims", "logbook", "composing", "grouping", "hearing"},
    {"notifying", "relating", "retention", "rollups", "selecting"},
    {"fitting"},
    {"catalogue"},
    {"ailing", "models", "tellers", "transport", "payloads"},
    {"deriving"},
    {
        "counting",
        "guarding",
        "pacing",
        "patience",
        "searching",
        "shaping",
        "sharing",
        "transitions",
        "observing",
    },
    {"explaining", "validation", "keys", "history", "telemetry", "verifying"},
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
    {"version", "clock", "locking", "logs", "paths", "references", "signals"},
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


def test_every_module_has_its_place():
    assert {unit_of(path) for path in FILES} == set(DEPTH)


def test_imports_point_down():
    upward = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in FILES
        for name in ours(imports(path) - only_for_types(path))
        if name != unit_of(path) and DEPTH[name] <= DEPTH[unit_of(path)]
    ]

    assert upward == []


def users_of(*modules: str) -> set[str]:
    return {
        unit_of(path)
        for path in FILES
        if any(name == m or name.startswith(f"{m}.") for name in imports(path) for m in modules)
    }


def test_only_scheduling_knows_django_q():
    assert users_of("django_q") == {"scheduling"}


def test_only_transport_opens_connections():
    assert users_of("requests", "urllib3", "http.client") == {"transport"}
    assert users_of("socket", "ssl") == {"transport"}


def test_only_what_watches_knows_who_is_told():
    assert users_of("opentelemetry") == {"telemetry", "metrics"}
    assert users_of("prometheus_client") == {"metrics"}


def test_what_decides_is_pure():
    impure = [unit_of(p) for p in FILES if unit_of(p) in PURE and users_django(p)]

    assert impure == []


def users_django(path: Path) -> bool:
    return any(name.split(".")[0] == "django" for name in imports(path))


BATCHES = {"batches", "pump"}


def test_only_lifecycle_writes_a_deliverys_state():
    """No other module says `state=Delivery.State…` in an update, a create or an assignment."""
    writers = {
        unit_of(path)
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if _writes_state(node)
    }

    assert writers - {"endpoints", *BATCHES} == {"lifecycle"}


def _writes_state(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        name = (
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        )
        writes = name in {"update", "create", "Delivery", "bulk_update", "change"}
        return writes and any(keyword.arg == "state" for keyword in node.keywords)
    targets = node.targets if isinstance(node, ast.Assign) else []
    return any(isinstance(t, ast.Attribute) and t.attr == "state" for t in targets)


def test_batches_change_batches_only():
    """They, too, have a state; deliveries are theirs to select, and lifecycle's to change."""
    for name in BATCHES:
        tree = ast.parse((PACKAGE / f"{name}.py").read_text())
        calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
        changed = [ast.unparse(f) for f in calls if ast.unparse(f).endswith(".update")]

        assert changed
        assert not any("Delivery." in rows for rows in changed)


def test_endpoints_changes_endpoints_only():
    source = (PACKAGE / "endpoints.py").read_text()

    assert "Delivery.objects" not in source.partition("update(")[0].rpartition("def ")[2]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_module_opens_with_what_it_owns_and_keeps_to_it(path):
    source = path.read_text()
    empty = not source.strip()

    assert empty or ast.get_docstring(ast.parse(source))
    assert len(source.splitlines()) <= 250


def test_nothing_is_called_utils():
    forbidden = {"utils", "helpers", "managers", "misc", "common", "constants"}

    assert not forbidden & {path.stem for path in PACKAGE.rglob("*.py")}


def lengths() -> dict[str, int]:
    """How many lines each function has, without its docstring."""
    found = {}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                last = node.end_lineno or node.lineno
                found[f"{path.stem}.{node.name}"] = last - body[0].lineno + 1 if body else 0
    return found


def test_functions_read_as_sentences():
    """The longest has at most 35 lines, nine in ten have at most 18, and half have at most 6."""
    by_length = sorted(lengths().values())

    assert by_length[-1] <= 35, {name: n for name, n in lengths().items() if n > 35}
    assert by_length[len(by_length) * 9 // 10] <= 18
    assert by_length[len(by_length) // 2] <= 6
