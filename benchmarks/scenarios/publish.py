"""What does publishing cost the caller, and what do many rows cost?"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import webhook_delivery
from benchmarks.databases import Database
from benchmarks.figures import Figure, Goal, Section, Table, figure
from benchmarks.stage import Stage

TIMES, ROWS = 200, 10_000
ENDPOINTS = (0, 1, 10)
ENGINES = ("PostgreSQL", "SQLite")
ACTS = {
    "publish": "`publish()`",
    "create": "`order.save()`, new",
    "update": "`order.save()`, again",
    "watched": "`order.save()`, again, with a transition declared",
}
"""What the worker does, as the table names it."""
OWN = 1
"""Statements that a save makes without us."""
Found = dict[str, list[dict[str, Any]]]


def run(stage: Stage) -> Section:
    with ExitStack() as stack:
        databases = {
            engine: stack.enter_context(stage.database(engine, "publish"))
            for engine in stage.engines()
            if engine in ENGINES
        }
        one_by_one = stage.compare(_one_by_one(stage, databases))
        at_once = stage.compare(_at_once(stage, databases))
    return Section(
        tables=[_table(one_by_one), _table_at_once(at_once)],
        goals=_goals(one_by_one),
        notes=[*NOTES, *([] if _many() else [NOT_MANY])],
        settings={"bodies": "1 KB", "transactions": "one for each act", "DEBUG": "False"},
    )


NOTES = [
    "Inside: statements and ms from the call to its return, in a transaction of the caller's; "
    "after: what the commit leads to (the doorbell). In all: with BEGIN, COMMIT and what follows. "
    "Savepoints count as statements, BEGIN and COMMIT do not.",
    "A saved order is one statement of its own, which is counted too; "
    "`bulk_create` of one order by Django's own queryset, which tells nobody, is beside it.",
    "Where transitions are declared, a save again reads the row as it was before, by one more.",
    "Peak memory is by how much the process grew beyond what it had needed before (`ru_maxrss`).",
]
NOT_MANY = "10 000 events at once are left out: there is no `publish_many`."


def _many() -> bool:
    return "publish_many" in webhook_delivery.__all__


def _one_by_one(
    stage: Stage, databases: dict[str, Database]
) -> dict[str, Callable[[float], dict[str, Any]]]:
    return {
        f"{engine}, {count} endpoint{'s' * (count != 1)}": partial(_cost, stage, database, count)
        for engine, database in databases.items()
        for count in ENDPOINTS
    }


def _cost(stage: Stage, database: Database, endpoints: int, share: float) -> dict[str, Any]:
    urls = [stage.web.url(f"/hook/{number}") for number in range(endpoints)]
    stage.work("filling", env=database.env, urls=urls)
    [report] = stage.work("publishing", env=database.env, times=max(5, int(TIMES * share)))
    return report


def _at_once(
    stage: Stage, databases: dict[str, Database]
) -> dict[str, Callable[[float], dict[str, Any]]]:
    whats = {"endpoints": f"1 event for {ROWS:,} endpoints"}
    if _many():
        whats["events"] = f"{ROWS:,} events for 1 endpoint"
    return {
        f"{engine}, {said}": partial(_fan, stage, database, what)
        for engine, database in databases.items()
        for what, said in whats.items()
    }


def _fan(stage: Stage, database: Database, what: str, share: float) -> dict[str, Any]:
    rows = max(100, int(ROWS * share))
    [report] = stage.work("fanning", env=database.env, what=what, rows=rows)
    return report


def _table(found: Found) -> Table:
    table = Table(["where", "what", "statements inside", "ms inside", "after", "ms in all"])
    for name, runs in found.items():
        for act, said in (*ACTS.items(), ("plain", "one order, no signals")):
            table.add(
                name,
                said,
                *(_of(runs, act, key) for key in ("statements", "inside", "after", "in_all")),
            )
    return table


def _of(runs: list[dict[str, Any]], act: str, key: str) -> Figure:
    return figure(run[act][key] for run in runs)


def _table_at_once(found: Found) -> Table:
    table = Table(["what", "rows", "statements per 1,000 rows", "seconds", "peak memory"])
    for name, runs in found.items():
        table.add(
            name,
            f"{runs[0]['rows']:,}",
            figure(1000 * run["statements"] / run["rows"] for run in runs),
            figure(run["ended"] - run["began"] for run in runs),
            figure((run["grown_mb"] for run in runs), "MB"),
        )
    return table


def _goals(found: Found) -> list[Goal]:
    """By the dearer one of a new order and a changed one, of which no more is to be told."""
    return [
        Goal.at_most(f"statements added inside of `save()`, {name}", _most(name), _added(runs))
        for name, runs in found.items()
    ]


def _most(name: str) -> int:
    return 1 if ", 0 endpoints" in name else 3


def _added(runs: list[dict[str, Any]]) -> Figure:
    return figure(max(run[act]["statements"] for act in ("create", "update")) - OWN for run in runs)
