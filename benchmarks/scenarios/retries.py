"""How late are retries, that fall due one to five seconds after a 503?"""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import partial

from benchmarks.databases import Database
from benchmarks.figures import Figure, Goal, Section, Table, figure, percentile, rounded
from benchmarks.pictures import histograms
from benchmarks.sending import at_work, senders
from benchmarks.stage import Samples, Stage

EVENTS, SECONDS = 12, 15
"""How many events are offered in one run, at irregular moments of so many seconds: so few that no
endpoint refuses ten in a row, which would open its breaker."""
WAITS = (1, 2, 3, 4, 5)
"""The schedule of each endpoint: its first retry is due after so many seconds and the jitter."""
AWAITED_SECONDS = 60
MOST_LATE = 300
"""In ms."""


def run(stage: Stage) -> Section:
    with stage.database("PostgreSQL", "retries") as database:
        found = stage.compare(
            {sender: partial(_measure, stage, sender, database) for sender in senders(stage)}
        )
    pooled = {sender: Samples.pooled(runs).values for sender, runs in found.items()}
    return Section(
        tables=[_table(found)],
        goals=[_goal(sender, values) for sender, values in pooled.items()],
        notes=NOTES,
        pictures=[histograms("retries", "Lateness of retries", pooled, unit="ms")],
        settings={"workers": "2", "poll": "0.2 s", "database": "PostgreSQL", "jitter": "0.2"},
    )


NOTES = [
    "Lateness is from the moment that the log of the first attempt names for the next one to the "
    "arrival of the second request; p50 is the median of the runs' medians, the rest is of all "
    "samples together.",
    "Five endpoints, which wait 1, 2, 3, 4 and 5 s, and all hear each event.",
]


def _measure(stage: Stage, sender: str, database: Database, share: float) -> Samples:
    count = max(2, int(EVENTS * share))
    moments = sorted(random.uniform(0, SECONDS * share) for _ in range(count))
    urls = [stage.receiver.url(f"/once503/{wait}") for wait in WAITS]
    schedules = [[float(wait)] * 3 for wait in WAITS]
    with at_work(stage, sender, database, urls, schedules=schedules) as env:
        stage.work("offering", env=env, moments=moments, event_types=["bench.all"])
        wanted = 2 * count * len(WAITS)
        arrivals = stage.receiver.wait_for(wanted, "/once503/", seconds=AWAITED_SECONDS)
        [told] = stage.work("looking", env=env)
    second = {f"{a.id} {a.path}": a.arrived for a in arrivals if a.attempt == "2"}
    return Samples(_lateness(told["due"], second))


def _lateness(due: Mapping[str, float], arrived: Mapping[str, float]) -> list[float]:
    """In ms; what was not sent again is infinitely late."""
    return [1000 * (arrived.get(key, float("inf")) - moment) for key, moment in due.items()]


def _table(found: dict[str, list[Samples]]) -> Table:
    table = Table(["sender", "retries", "p50", "p99", "max"])
    for sender, runs in found.items():
        every = Samples.pooled(runs)
        table.add(
            sender,
            str(len(every.values)),
            figure((each.percentile(0.5) for each in runs), "ms"),
            *(f"{rounded(every.percentile(share))} ms" for share in (0.99, 1.0)),
        )
    return table


def _goal(sender: str, values: list[float]) -> Goal:
    late: Figure = figure([percentile(values, 0.99)], "ms")
    return Goal.at_most(f"due → sent, {sender}, p99", MOST_LATE, late)
