"""What does TLS cost?"""

from __future__ import annotations

from benchmarks.draining import Run, limit, ours
from benchmarks.figures import Section, Table, figure, ratios
from benchmarks.stage import Stage

COUNT, MANY = 3_000, 50
PLAIN, PLAIN_LIMIT = "ours, http", "adapter, http"


def run(stage: Stage) -> Section:
    plain, secure = [stage.web.url()], [stage.web.url(tls=True)]
    many = [stage.web.url(f"/hook/{number}", tls=True) for number in range(MANY)]
    with stage.database("PostgreSQL", "tls") as database:
        found = stage.compare(
            {
                PLAIN_LIMIT: limit(stage, plain, COUNT),
                "adapter, https": limit(stage, secure, COUNT),
                PLAIN: ours(stage, database, plain, COUNT),
                "ours, https": ours(stage, database, secure, COUNT),
                f"ours, https, {MANY} endpoints": ours(stage, database, many, COUNT),
            }
        )
    return Section(
        tables=[_table(found)],
        notes=NOTES,
        settings={"backlog": f"{COUNT:,}", "bodies": "1 KB", "database": "PostgreSQL"},
    )


NOTES = [
    "The server's certificate was made for the run. The package verifies with certifi's roots and "
    "has no setting that weakens that: the measuring process lets `certifi.where()` name a bundle "
    "that holds certifi's roots and the run's own.",
]


def _table(found: dict[str, list[Run]]) -> Table:
    table = Table(["sender", "deliveries/s", "of the same over http", "of the limit", "CPU"])
    for name, runs in found.items():
        rates = [run.rate for run in runs]
        plain = PLAIN if name.startswith("ours") else PLAIN_LIMIT
        bare = "adapter, https" if "https" in name else PLAIN_LIMIT
        table.add(
            name,
            figure(rates),
            ratios(rates, [run.rate for run in found[plain]]),
            ratios(rates, [run.rate for run in found[bare]]),
            figure((run.cpu_share for run in runs), "%"),
        )
    return table
