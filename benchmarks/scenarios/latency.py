"""How soon after the commit does the request arrive, on an idle system?"""

from __future__ import annotations

import random
from functools import partial

from benchmarks.databases import Database
from benchmarks.figures import Goal, Section, Table, figure, rounded
from benchmarks.pictures import histograms
from benchmarks.sending import LOOP, ORM, REDIS, at_work, senders
from benchmarks.stage import Samples, Stage

SAMPLES = 60
"""In each run; five runs make 300."""
PAUSE = 0.1, 0.5
"""Seconds between two events, at random: none may fall into step with what polls."""
AWAITED_SECONDS = 20
GOALS = {REDIS: (8, 40), ORM: (110, 250), LOOP: (5, None)}
"""By sender: p50 and p99, in ms."""
SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


def run(stage: Stage) -> Section:
    with stage.database("PostgreSQL", "latency") as database:
        found = stage.compare(
            {sender: partial(_measure, stage, sender, database) for sender in senders(stage)}
        )
    pooled = {sender: Samples.pooled(runs) for sender, runs in found.items()}
    samples = {sender: each.values for sender, each in pooled.items()}
    return Section(
        tables=[_table(found, pooled)],
        goals=[goal for sender in GOALS for goal in _goals(sender, found, pooled)],
        notes=NOTES,
        pictures=[histograms("latency", "Commit to arrival", samples, unit="ms")],
        settings={"workers": "2", "poll": "0.2 s", "bodies": "1 KB", "database": "PostgreSQL"},
    )


NOTES = [
    "The commit's time is taken in its first callback; the arrival's when the receiver has read "
    "the request. Both read one clock.",
    "p50 is the median of the runs' medians; p90, p99 and max are of all samples together.",
]


def _measure(stage: Stage, sender: str, database: Database, share: float) -> Samples:
    count = max(5, int(SAMPLES * share))
    with at_work(stage, sender, database, [stage.receiver.url("/ok/0")]) as env:
        [told] = stage.work(
            "offering", env=env, moments=_irregular(count), event_types=["bench.all"]
        )
        arrivals = stage.receiver.wait_for(count, "/ok/0", seconds=AWAITED_SECONDS)
    arrived = {arrival.n: arrival.arrived for arrival in reversed(arrivals)}
    never = float("inf")
    committed = told["committed"].items()
    return Samples([1000 * (arrived.get(int(n), never) - moment) for n, moment in committed])


def _irregular(count: int) -> list[float]:
    moment, moments = 0.5, []
    for _ in range(count):
        moment += random.uniform(*PAUSE)
        moments.append(moment)
    return moments


def _table(found: dict[str, list[Samples]], pooled: dict[str, Samples]) -> Table:
    table = Table(["sender", "samples", *SHARES])
    for sender, runs in found.items():
        middle = figure((each.percentile(0.5) for each in runs), "ms")
        rest = [f"{rounded(pooled[sender].percentile(share))} ms" for share in SHARES.values()]
        table.add(sender, str(len(pooled[sender].values)), middle, *rest[1:])
    return table


def _goals(sender: str, found: dict[str, list[Samples]], pooled: dict[str, Samples]) -> list[Goal]:
    p50, p99 = GOALS[sender]
    runs, what = found.get(sender), f"commit → request, idle, {sender}"
    middle = figure((each.percentile(0.5) for each in runs), "ms") if runs else None
    late = figure([pooled[sender].percentile(0.99)], "ms") if runs else None
    goals = [Goal.at_most(f"{what}, p50", p50, middle)]
    return goals if p99 is None else [*goals, Goal.at_most(f"{what}, p99", p99, late)]
