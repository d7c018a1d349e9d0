"""Does sending slow down while what is old is deleted?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from benchmarks.databases import Database
from benchmarks.draining import Shortfall
from benchmarks.figures import Figure, Goal, Section, Table, figure, ratios, rounded
from benchmarks.pictures import bars
from benchmarks.running import Worker, together
from benchmarks.stage import Stage, Told

COUNT, ENDPOINTS, REST_SECONDS = 3_000, 10, 30
OLD, QUICK_OLD = 1_000_000, 50_000
ENGINES = ("PostgreSQL", "MariaDB")
LEAST = 0.8


@dataclass(frozen=True)
class Beside(Told):
    """How fast one run of the drain was, and how many old deliveries went meanwhile."""

    rate: float
    pruned: float = 0.0
    """A second."""

    def __str__(self) -> str:
        return f"{self.rate:,.0f}/s" + (f", pruned {self.pruned:,.0f}/s" if self.pruned else "")


def run(stage: Stage) -> Section:
    engines = [engine for engine in ENGINES if engine in stage.engines()]
    with ExitStack() as stack:
        databases = {engine: _aged(stage, stack, engine) for engine in engines}
        found = stage.compare(
            {
                _name(engine, beside): _drain(stage, database, beside)
                for engine, database in databases.items()
                for beside in (False, True)
            }
        )
        rest = {engine: _rest(stage, database) for engine, database in databases.items()}
    return Section(
        tables=[_table(found), _table_of_rest(rest)],
        goals=[_goal(found, engine) for engine in engines],
        notes=NOTES,
        pictures=[
            bars("retention", "Deliveries per second, with and without pruning", _rates(found))
        ],
        settings={
            "backlog": f"{COUNT:,}",
            "endpoints": str(ENDPOINTS),
            "old deliveries": f"{QUICK_OLD if stage.quick else OLD:,}",
        },
    )


NOTES = [
    "Old deliveries are copies of one that was really sent, 40 days old, each of an event of its "
    "own with a body of 1 KB, and with one attempt: three rows go for each of them.",
    "One process drains, and another prunes as a worker's task does: at most 500 deliveries in one "
    "transaction, and a pause after it that lasts as long as it took.",
]


def _name(engine: str, beside: bool) -> str:
    return f"{engine}, pruning beside" if beside else f"{engine}, alone"


def _urls(stage: Stage) -> list[str]:
    return [stage.web.url(f"/hook/{number}") for number in range(ENDPOINTS)]


def _aged(stage: Stage, stack: ExitStack, engine: str) -> Database:
    stage.say(f"making old deliveries, {engine} …")
    database = stack.enter_context(stage.database(engine, "retention"))
    env = {**database.env, "BENCH_TRUST": str(stage.web.bundle)}
    old = QUICK_OLD if stage.quick else OLD
    stage.work("ageing", env=env, urls=_urls(stage), deliveries=old)
    return database


def _drain(stage: Stage, database: Database, beside: bool) -> Callable[[float], Beside]:
    env = {**database.env, "BENCH_TRUST": str(stage.web.bundle)}

    def drain(share: float) -> Beside:
        wanted = max(1, int(COUNT * share))
        stage.work("filling", env=env, urls=_urls(stage), events=wanted, fresh=False)
        crew = [Worker("draining", env=env, log=stage.log("draining"), prunes=False)]
        if beside:
            crew.append(Worker("pruning", env=env, log=stage.log("pruning")))
        return _checked(together(*crew), wanted)

    return drain


def _checked(reports: list[dict[str, Any]], wanted: int) -> Beside:
    sent, *pruned = reports
    if sent["sent"] != wanted:
        raise Shortfall(f"{sent['sent']} of {wanted} were sent")
    speeds = [each["pruned"] / (each["ended"] - each["began"]) for each in pruned]
    return Beside(wanted / (sent["ended"] - sent["began"]), sum(speeds))


def _rest(stage: Stage, database: Database) -> Mapping[str, Any]:
    """What is left of the old ones, as `webhooks prune` deletes it: without a pause."""
    [report] = stage.work("pruning", env=database.env, seconds=REST_SECONDS)
    return report


def _table(found: dict[str, list[Beside]]) -> Table:
    table = Table(["drain", "deliveries/s", "pruned/s"])
    for name, runs in found.items():
        pruned = figure(run.pruned for run in runs)
        table.add(name, figure(run.rate for run in runs), pruned if pruned.median else "–")
    return table


def _table_of_rest(rest: dict[str, Mapping[str, Any]]) -> Table:
    table = Table(["webhooks prune, alone", "old deliveries/s", "longest transaction, about"])
    for engine, report in rest.items():
        seconds = report["ended"] - report["began"]
        table.add(engine, rounded(report["pruned"] / seconds), f"{1000 * report['longest']:.0f} ms")
    return table


def _rates(found: dict[str, list[Beside]]) -> dict[str, Figure]:
    return {name: figure(run.rate for run in runs) for name, runs in found.items()}


def _goal(found: dict[str, list[Beside]], engine: str) -> Goal:
    beside, alone = ([run.rate for run in found[_name(engine, each)]] for each in (True, False))
    return Goal.at_least(f"drain while pruning, {engine}", LEAST, ratios(beside, alone))
