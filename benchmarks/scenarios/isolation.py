"""What do healthy endpoints notice when others hang, drip, reset, refuse, or are owed much?"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.databases import Database
from benchmarks.figures import (
    Figure,
    Goal,
    Picture,
    Section,
    Table,
    figure,
    percentile,
    ratios,
    rounded,
)
from benchmarks.neighbours import Peer, prepared, receiving
from benchmarks.pictures import histograms
from benchmarks.sending import LOOP, ORM, at_work
from benchmarks.stage import Stage, Told

OURS = (LOOP, ORM)
ENDPOINTS, RATE, SECONDS = 20, 10, 10
PEERS_RATE = 1
"""Events a second that the peers are offered: with more, some fall behind by themselves."""
TIMEOUT = 5
OWED = 100_000
AWAITED_SECONDS = 10
"""How long what was offered last may still take; what takes longer never arrived."""
HEALTHY, HALF = "all healthy", "half hang"
TROUBLES: Mapping[str, list[str]] = {
    HEALTHY: [],
    HALF: ["/hang/{}"] * (ENDPOINTS // 2),
    "one drips": ["/drip/{}"],
    "one resets": ["/reset/{}"],
    "one answers 429": ["/429/{}"],
    "one is owed 100,000": ["/slow/{}?ms=20"],
}
"""By name, what the first endpoints do; all others answer 204 at once."""
LEAST_THROUGHPUT, MOST_LATE = 0.9, 2


@dataclass(frozen=True)
class Noticed(Told):
    """What arrived at the healthy endpoints; latencies are in ms, from commit to arrival."""

    latencies: list[float]
    throughput: float
    """Requests a second at each healthy endpoint, while events were offered."""
    offered: float = math.nan
    """Events a second that were really committed."""
    said: str = ""
    """What went wrong."""

    def percentile(self, share: float) -> float:
        return percentile(self.latencies, share)

    def __str__(self) -> str:
        p50, p99 = rounded(self.percentile(0.5)), rounded(self.percentile(0.99))
        return self.said or f"p50 {p50} ms, p99 {p99} ms, {self.throughput:.1f}/s each"


def run(stage: Stage) -> Section:
    peers, excuses = prepared(stage)
    with stage.database("PostgreSQL", "isolation") as database:
        contestants: dict[str, Callable[[float], Noticed]] = {
            f"{sender}: {trouble}": partial(_measure, stage, sender, trouble, database)
            for sender in OURS
            for trouble in TROUBLES
        }
        found = stage.compare({**contestants, **_of_peers(peers)})
    senders = [*OURS, *(peer.name for peer in peers)]
    return Section(
        tables=[_table(found, sender) for sender in senders],
        goals=[goal for sender in OURS for goal in _goals(found, sender)],
        notes=[*NOTES, *excuses, *_failures(found)],
        pictures=[_picture(found, senders)],
        settings=SETTINGS,
    )


SETTINGS = {
    "endpoints": f"{ENDPOINTS}, which all hear each event",
    "offered": f"{RATE} events/s at irregular moments, so {ENDPOINTS * RATE} deliveries/s",
    "timeout": f"{TIMEOUT} s",
    "CONCURRENCY": "32",
    "workers": "2",
    "database": "PostgreSQL",
}
NOTES = [
    "Latency and throughput are those of the healthy endpoints only; the ratios are to the run of "
    "the same round in which all are healthy.",
    f"What has not arrived {AWAITED_SECONDS} s after the last event never did: its latency is ∞.",
    "The one that is owed 100,000 answers, after 20 ms.",
    f"The peers are offered {PEERS_RATE} event/s only: with more, some fall behind even when all "
    "are healthy. Their own way of publishing is used, and throughput counts what arrived at all, "
    "also after the last event.",
]


def _measure(stage: Stage, sender: str, trouble: str, database: Database, share: float) -> Noticed:
    seconds = max(2.0, SECONDS * share)
    paths = [path.format(number) for number, path in enumerate(TROUBLES[trouble])]
    healthy = ENDPOINTS - len(paths)
    paths += [f"/ok/{number}" for number in range(healthy)]
    urls = [stage.receiver.url(path) for path in paths]
    owed = int(OWED * max(share, 0.2)) if "owed" in trouble else 0
    moments = _moments(seconds)
    with at_work(stage, sender, database, urls, owed=owed) as env:
        [told] = stage.work("offering", env=env, moments=moments, event_types=["bench.all"])
        wanted = len(moments) * healthy
        arrivals = stage.receiver.wait_for(wanted, "/ok/", seconds=AWAITED_SECONDS)
    arrived = {(a.n, a.path): a.arrived for a in reversed(arrivals)}
    committed = {int(n): moment for n, moment in told["committed"].items()}
    return _noticed(arrived, committed, healthy, told["first"], told["first"] + seconds)


def _of_peers(peers: Sequence[Peer]) -> dict[str, Callable[[float], Noticed]]:
    return {
        f"{peer.name}: {trouble}": partial(_measure_peer, peer, hanging)
        for peer in peers
        for trouble, hanging in ((HEALTHY, 0), (HALF, ENDPOINTS // 2))
    }


def _measure_peer(peer: Peer, hanging: int, share: float) -> Noticed:
    seconds, healthy = max(2.0, SECONDS * share), ENDPOINTS - hanging
    with receiving() as receiver:
        oks = [receiver.ok(number) for number in range(healthy)]
        hangs = [receiver.hang(number) for number in range(hanging)]
        try:
            found = peer.isolation(oks, hangs, PEERS_RATE, seconds, TIMEOUT)
        except Exception as error:  # told as it is: a peer that fails must not cost the others
            return Noticed([math.inf], 0.0, said=f"failed: {error}")
    latencies = [1000 * latency for latency in found["latencies"]]
    lost = [math.inf] * max(0, found["offered"] - found["sent"])
    return Noticed(latencies + lost, found["sent"] / seconds / healthy)


def _moments(seconds: float) -> list[float]:
    return sorted(random.uniform(0, seconds) for _ in range(int(RATE * seconds)))


def _noticed(
    arrived: Mapping[tuple[int | None, str], float],
    committed: Mapping[int, float],
    healthy: int,
    first: float,
    last: float,
) -> Noticed:
    never = math.inf
    latencies = [
        1000 * (arrived.get((n, f"/ok/{number}"), never) - moment)
        for n, moment in committed.items()
        for number in range(healthy)
    ]
    meanwhile = sum(first <= moment <= last for moment in arrived.values())
    offered = len(committed) / (max(committed.values()) - first)
    return Noticed(latencies, meanwhile / (last - first) / healthy, offered)


def _table(found: dict[str, list[Noticed]], sender: str) -> Table:
    columns = ["others", "p50", "p99", "p99 to baseline", "each healthy", "to baseline", "offered"]
    table = Table(columns, caption=f"Through `{sender}`:")
    for trouble in TROUBLES:
        if (runs := found.get(f"{sender}: {trouble}")) is None:
            continue
        table.add(
            trouble,
            figure((run.percentile(0.5) for run in runs), "ms"),
            figure((run.percentile(0.99) for run in runs), "ms"),
            _late(found, sender, trouble),
            figure((run.throughput for run in runs), "/s"),
            _throughput(found, sender, trouble),
            figure((run.offered for run in runs), "/s"),
        )
    return table


def _picture(found: dict[str, list[Noticed]], senders: Sequence[str]) -> Picture:
    shown = [f"{OURS[0]}: {HEALTHY}", *(f"{sender}: {HALF}" for sender in senders)]
    latencies = {name: [each for run in found[name] for each in run.latencies] for name in shown}
    samples = {f"{name}{_never(values)}": values for name, values in latencies.items()}
    return histograms(
        "isolation", "Commit to arrival, at those that are healthy", samples, unit="ms"
    )


def _never(latencies: Sequence[float]) -> str:
    lost = sum(map(math.isinf, latencies)) / len(latencies)
    return f", {lost:.0%} never" if lost else ""


def _failures(found: dict[str, list[Noticed]]) -> list[str]:
    return [f"{name} {run.said}" for name, runs in found.items() for run in runs if run.said]


def _late(found: dict[str, list[Noticed]], sender: str, trouble: str) -> Figure:
    return _to_baseline(found, sender, trouble, lambda run: run.percentile(0.99))


def _throughput(found: dict[str, list[Noticed]], sender: str, trouble: str) -> Figure:
    return _to_baseline(found, sender, trouble, lambda run: run.throughput)


def _to_baseline(
    found: dict[str, list[Noticed]], sender: str, trouble: str, of: Callable[[Noticed], float]
) -> Figure:
    runs, baseline = found[f"{sender}: {trouble}"], found[f"{sender}: {HEALTHY}"]
    return ratios([of(run) for run in runs], [of(run) for run in baseline])


def _goals(found: dict[str, list[Noticed]], sender: str) -> list[Goal]:
    return [
        goal
        for trouble in TROUBLES
        if trouble != HEALTHY
        for goal in (
            Goal.at_most(
                f"{trouble}, {sender}: p99 of the healthy", MOST_LATE, _late(found, sender, trouble)
            ),
            Goal.at_least(
                f"{trouble}, {sender}: throughput of the healthy",
                LEAST_THROUGHPUT,
                _throughput(found, sender, trouble),
            ),
        )
    ]
