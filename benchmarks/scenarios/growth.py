"""Does sending slow down as delivered rows pile up?"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from benchmarks.databases import Database, free_gigabytes
from benchmarks.draining import Run, ours
from benchmarks.figures import Figure, Goal, Section, Table, figure, ratios
from benchmarks.pictures import bars
from benchmarks.stage import Stage

LEVELS, QUICK_LEVELS = (10_000, 1_000_000, 10_000_000), (10_000, 100_000)
NEEDED_GIGABYTES = {10_000_000: 15}
"""What must be free on the disk before so many rows are made."""
COUNT, ENDPOINTS = 3_000, 10
LEAST = 0.9


def run(stage: Stage) -> Section:
    levels = [level for level in _levels(stage) if _fits(level)]
    left_out = [level for level in _levels(stage) if level not in levels]
    with ExitStack() as stack:
        databases = {level: _grown(stage, stack, level) for level in levels}
        sizes = {level: _size(database) for level, database in databases.items()}
        found = stage.compare(
            {_name(level): _drain(stage, database) for level, database in databases.items()}
        )
    return Section(
        tables=[_table(found, sizes)],
        goals=_goals(found),
        notes=NOTES + [_excuse(level) for level in left_out],
        pictures=[bars("growth", "Deliveries per second, by old rows in the table", _rates(found))],
        settings={"backlog": f"{COUNT:,}", "endpoints": str(ENDPOINTS), "database": "PostgreSQL"},
    )


NOTES = [
    "Old rows were delivered in the past, each with one attempt; ten of them share an event with a "
    "body of 80 bytes. They are copies of rows that were really sent, made by INSERT … SELECT "
    "generate_series, and followed by VACUUM ANALYZE. Each run adds its own.",
]


def _levels(stage: Stage) -> tuple[int, ...]:
    return QUICK_LEVELS if stage.quick else LEVELS


def _fits(level: int) -> bool:
    return free_gigabytes() >= NEEDED_GIGABYTES.get(level, 1)


def _excuse(level: int) -> str:
    needed = NEEDED_GIGABYTES.get(level, 1)
    return f"{level:,} rows are left out: less than {needed} GB of the disk were free."


def _name(level: int) -> str:
    return f"{level:,} old rows"


def _urls(stage: Stage) -> list[str]:
    return [stage.web.url(f"/hook/{number}") for number in range(ENDPOINTS)]


def _grown(stage: Stage, stack: ExitStack, level: int) -> Database:
    stage.say(f"making {_name(level)} …")
    database = stack.enter_context(stage.database("PostgreSQL", f"growth_{level}"))
    stage.work("growing", env=database.env, urls=_urls(stage), deliveries=level)
    return database


def _drain(stage: Stage, database: Database) -> Callable[[float], Run]:
    return ours(stage, database, _urls(stage), COUNT, fresh=False)


def _size(database: Database) -> float:
    return float(database.ask("select pg_database_size(current_database())")) / 1e9


def _rates(found: dict[str, list[Run]]) -> dict[str, Figure]:
    return {name: figure(run.rate for run in runs) for name, runs in found.items()}


def _table(found: dict[str, list[Run]], sizes: dict[int, float]) -> Table:
    table = Table(["in the table", "on disk", "deliveries/s", "of the first row", "CPU"])
    for (name, runs), size in zip(found.items(), sizes.values(), strict=True):
        table.add(
            name,
            f"{size:.2f} GB",
            figure(run.rate for run in runs),
            _to_the_first(found, name),
            figure((run.cpu_share for run in runs), "%"),
        )
    return table


def _to_the_first(found: dict[str, list[Run]], name: str) -> Figure:
    first = next(iter(found.values()))
    return ratios([run.rate for run in found[name]], [run.rate for run in first])


def _goals(found: dict[str, list[Run]]) -> list[Goal]:
    most = _name(LEVELS[-1])
    share = _to_the_first(found, most) if most in found else None
    return [Goal.at_least(f"drain with {most}, against {_name(LEVELS[0])}", LEAST, share)]
