"""How much memory does a draining process take, and how many connections does it open?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.draining import Run, limit, ours
from benchmarks.figures import Section, Table, figure
from benchmarks.stage import Stage, Told

COUNT = 10_000
ENDPOINTS = (1, 50, 500)


@dataclass(frozen=True)
class Taken(Told):
    run: Run
    connections: int

    def __str__(self) -> str:
        return f"{self.run.peak_mb:.0f} MB, {self.connections} connections"


def run(stage: Stage) -> Section:
    with stage.database("PostgreSQL", "memory") as database:
        urls = {
            count: [stage.web.url(f"/hook/{number}") for number in range(count)]
            for count in ENDPOINTS
        }
        senders = {
            "adapter, 1 endpoint": limit(stage, urls[1], COUNT),
            **{
                f"ours, {count} endpoint{'s' * (count != 1)}": ours(stage, database, some, COUNT)
                for count, some in urls.items()
            },
        }
        found = stage.compare(
            {name: partial(_measure, stage, send) for name, send in senders.items()}
        )
    return Section(
        tables=[_table(found)],
        notes=NOTES,
        settings={"backlog": f"{COUNT:,}", "bodies": "1 KB", "CONCURRENCY": "32"},
    )


NOTES = [
    "Peak memory is the resident set of the sending process (`ru_maxrss`), Python, Django and the "
    "drivers included; connections are those that nginx accepted during the run. All endpoints "
    "share one host and port, yet connections are never shared between endpoints.",
]


def _measure(stage: Stage, send: Callable[[float], Run], share: float) -> Taken:
    before = stage.web.connections()
    run = send(share)
    return Taken(run, stage.web.connections() - before)


def _table(found: dict[str, list[Taken]]) -> Table:
    columns = ["sender", "peak memory", "connections", "per endpoint", "deliveries/s"]
    table = Table(columns)
    for name, taken in found.items():
        endpoints = int(name.split(", ")[1].split()[0])
        table.add(
            name,
            figure((each.run.peak_mb for each in taken), "MB"),
            figure(each.connections for each in taken),
            figure(each.connections / endpoints for each in taken),
            figure(each.run.rate for each in taken),
        )
    return table
