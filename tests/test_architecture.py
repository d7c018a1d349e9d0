"""The shape of the house: imports point down, and each seam is known to one module only."""

from __future__ import annotations

import ast
import graphlib
import re
from collections import Counter
from pathlib import Path

import pytest

import webhook_delivery
from tests import beauty
from tests.layers import (
    DEPTH,
    FILES,
    LAYERS,
    PACKAGE,
    PURE,
    imports,
    only_for_types,
    ours,
    unit_of,
)


def test_every_module_has_its_place():
    assert {unit_of(path) for path in FILES} == set(DEPTH)


def test_no_module_has_two():
    places = Counter(name for layer in LAYERS for name in layer)

    assert [name for name, count in places.items() if count > 1] == []


def test_the_reading_order_names_every_module():
    named = set(re.findall(r"[a-z_]+", webhook_delivery.__doc__ or ""))

    assert set(DEPTH) - named == set()


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


def test_no_imports_go_round_in_a_circle():
    assert beauty.cycle(PACKAGE) == []


def test_no_screen_of_the_console_uses_one_that_uses_it():
    console = PACKAGE / "admin"
    graph: dict[str, set[str]] = {}
    for path in console.rglob("[!_]*.py"):
        own = path.relative_to(console).parts[0].removesuffix(".py")
        used = re.findall(r"webhook_delivery\.admin\.(\w+)", " ".join(imports(path)))
        graph.setdefault(own, set()).update({*used} - {own})

    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.everywhere_once
def test_what_contributing_says_of_the_code_is_true_to_a_tenth():
    [said] = [line for line in beauty.table().splitlines() if "**ours**" in line]

    assert numbers(said) == pytest.approx(numbers(beauty.row()), rel=0.1, abs=0.15)


def numbers(row: str) -> list[float]:
    return [float(n.replace(" ", "")) for n in re.findall(r"\d+(?: \d{3})*(?:\.\d+)?", row)]


def test_nothing_is_called_utils():
    forbidden = {"utils", "helpers", "managers", "misc", "common", "constants"}

    assert not forbidden & {path.stem for path in PACKAGE.rglob("*.py")}


def test_functions_read_as_sentences():
    """The longest has at most 35 lines, nine in ten have at most 18, and half have at most 6."""
    ours = beauty.Sources(PACKAGE)
    by_length = ours.function_lengths

    assert by_length[-1] <= 35, [f.name for f in ours.functions if beauty.length(f) > 35]
    assert by_length[len(by_length) * 9 // 10] <= 18
    assert by_length[len(by_length) // 2] <= 6
