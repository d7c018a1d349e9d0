"""How fast is a backlog sent, beside a loop that sends and keeps nothing?"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from benchmarks.draining import Run, limit, ours
from benchmarks.figures import Figure, Goal, Picture, Section, Table, figure, ratios
from benchmarks.pictures import bars
from benchmarks.stage import Stage

COUNT = 3_000
MANY = 50
ADAPTER, SESSION = "requests adapter, 32 threads, no database", "requests.Session per thread"
SLOW_LIMIT, SLOW = "the adapter, answers after 20 ms", "ours, answers after 20 ms"
ONE = "ours, PostgreSQL, 1 process"


def run(stage: Stage) -> Section:
    with ExitStack() as stack:
        found = stage.compare(_contestants(stage, stack))
    return Section(
        tables=[_table(found)],
        goals=_goals(found),
        notes=NOTES,
        pictures=[_picture(found)],
        settings=SETTINGS,
    )


SETTINGS = {
    "bodies": "1 KB",
    "backlog": f"{COUNT:,} deliveries to one endpoint, unless the row says otherwise",
    "CONCURRENCY": "32",
    "receiver": "nginx on loopback, one worker, answers 204, keeps connections",
}
NOTES = [
    "The limit prepares each request with `requests.Request(…).prepare()` and our headers, with "
    "constant values, and sends it through one shared `HTTPAdapter`.",
    "Statements are those that Django sends through a cursor, counted in the process by "
    "`execute_wrapper`; BEGIN and COMMIT are not among them.",
    "CPU is that of the sending processes, in percent of one core; "
    "the database and nginx come on top.",
]


def _contestants(stage: Stage, stack: ExitStack) -> dict[str, Callable[[float], Run]]:
    urls, slow = [stage.web.url()], [stage.receiver.url("/slow?ms=20")]
    chosen = {
        ADAPTER: limit(stage, urls, COUNT),
        SESSION: limit(stage, urls, COUNT, how="session"),
    }
    for engine in stage.engines():
        database = stack.enter_context(stage.database(engine, "drain"))
        for processes, plural in ((1, ""), (2, "es")):
            name = f"ours, {engine}, {processes} process{plural}"
            chosen[name] = ours(stage, database, urls, COUNT, processes=processes)
        if engine == "PostgreSQL":
            many = [stage.web.url(f"/hook/{number}") for number in range(MANY)]
            chosen[f"{ONE}, {MANY} endpoints"] = ours(stage, database, many, COUNT)
            chosen[SLOW_LIMIT] = limit(stage, slow, COUNT)
            chosen[SLOW] = ours(stage, database, slow, COUNT)
    return chosen


def _table(found: dict[str, list[Run]]) -> Table:
    table = Table(["sender", "deliveries/s", "of the limit", "CPU", "statements per delivery"])
    for name, runs in found.items():
        statements = figure(run.statements_each for run in runs)
        table.add(
            name,
            figure(run.rate for run in runs),
            _of_the_limit(found, name),
            figure((run.cpu_share for run in runs), "%"),
            statements if statements.median else "–",
        )
    return table


def _of_the_limit(found: dict[str, list[Run]], name: str) -> Figure:
    """Of the one in the same round, at the same receiver."""
    other = SLOW_LIMIT if name in (SLOW, SLOW_LIMIT) else ADAPTER
    return ratios([run.rate for run in found[name]], [run.rate for run in found[other]])


def _goals(found: dict[str, list[Run]]) -> list[Goal]:
    there = ONE in found
    share = _of_the_limit(found, ONE) if there else None
    statements = figure(run.statements_each for run in found[ONE]) if there else None
    return [
        Goal.at_least("drain, one process on PostgreSQL, against the bare adapter", 0.8, share),
        Goal.at_most("statements per delivered event", 0.2, statements),
    ]


def _picture(found: dict[str, list[Run]]) -> Picture:
    rates = {name: figure(run.rate for run in runs) for name, runs in found.items()}
    return bars("drain", "Deliveries per second, median and range", rates)
