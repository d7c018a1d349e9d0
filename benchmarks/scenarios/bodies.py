"""How does the size of the bodies matter?"""

from __future__ import annotations

from benchmarks.draining import Run, limit, ours
from benchmarks.figures import Section, Table, figure, ratios
from benchmarks.stage import Stage

SIZES = {"1 KB": 1_024, "10 KB": 10_240, "100 KB": 102_400}
COUNT = 2_000


def run(stage: Stage) -> Section:
    urls = [stage.web.url()]
    with stage.database("PostgreSQL", "bodies") as database:
        found = stage.compare(
            {
                f"{sender}, {name}": send
                for name, size in SIZES.items()
                for sender, send in (
                    ("adapter", limit(stage, urls, COUNT, body=size)),
                    ("ours", ours(stage, database, urls, COUNT, body=size)),
                )
            }
        )
    return Section(
        tables=[_table(found)],
        notes=["The limit is the bare `requests` adapter, as in `drain`."],
        settings={"backlog": f"{COUNT:,}", "CONCURRENCY": "32", "database": "PostgreSQL"},
    )


def _table(found: dict[str, list[Run]]) -> Table:
    table = Table(["bodies", "limit, deliveries/s", "ours, deliveries/s", "of the limit"])
    for name in SIZES:
        bare, own = ([run.rate for run in found[f"{who}, {name}"]] for who in ("adapter", "ours"))
        table.add(name, figure(bare), figure(own), ratios(own, bare))
    return table
