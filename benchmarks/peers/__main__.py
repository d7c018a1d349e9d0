"""Runs the peers and prints their figures: python -m benchmarks.peers [name] [--count N]."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from benchmarks.peers import PEERS, Peer
from benchmarks.peers.figures import percentile, rate, spread
from benchmarks.peers.receiver import Receiver, receiving

BODY_BYTES = 1_024
ENDPOINTS = 20
RATE = 5.0
LOAD_SECONDS = 20.0
TIMEOUT_SECONDS = 5.0

Run = dict[str, Any]


def main() -> None:
    options = arguments()
    for peer in chosen(options.name):
        peer.prepare()
        print(f"\n{peer.name} {peer.version}", flush=True)
        if options.only != "isolation":
            count = options.count or peer.usual_count
            report_drain(list(repeated(partial(drained, peer, count), options.runs)))
        if options.only != "drain":
            for hanging in (0, ENDPOINTS // 2):
                runs = repeated(partial(isolated, peer, hanging), options.isolation_runs)
                report_isolation(hanging, list(runs))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("name", nargs="?", choices=[peer.name for peer in PEERS])
    parser.add_argument("--count", type=int, help="deliveries of a drain; else what suits the peer")
    parser.add_argument("--runs", type=int, default=5, help="of the drain")
    parser.add_argument("--isolation-runs", type=int, default=1, help="with and without hanging")
    parser.add_argument("--only", choices=["drain", "isolation"])
    return parser.parse_args()


def chosen(name: str | None) -> list[Peer]:
    return [peer for peer in PEERS if name in (None, peer.name)]


def repeated(work: Callable[[], Run], times: int) -> Iterator[Run]:
    for _ in range(times):
        yield work() | {"load": os.getloadavg()[0]}


def drained(peer: Peer, count: int) -> Run:
    with receiving() as receiver:
        run = peer.drain(receiver.ok(1), count, BODY_BYTES)
        run |= arrived(receiver, count)
    told = "sent {sent}, arrived {arrived}, distinct {distinct}, lost {lost}"
    print(f"  {rate(run):7.1f}/s  {told.format(**run)}  {run['notes']}", flush=True)
    return run


def arrived(receiver: Receiver, count: int) -> Run:
    """What the receiver says of it: the sender's own word is not enough."""
    arrivals = receiver.arrivals()
    events = Counter(arrival["committed"] for arrival in arrivals)
    return {
        "arrived": len(arrivals),
        "distinct": len(events),
        "lost": count - len(events),
        "connections": len({arrival["connection"] for arrival in arrivals}),
    }


def isolated(peer: Peer, hanging: int) -> Run:
    with receiving() as receiver:
        healthy = [receiver.ok(number) for number in range(ENDPOINTS - hanging)]
        silent = [receiver.hang(number) for number in range(hanging)]
        return peer.isolation(healthy, silent, RATE, LOAD_SECONDS, TIMEOUT_SECONDS)


def report_drain(runs: list[Run]) -> None:
    print(f"  deliveries/s       {spread([rate(run) for run in runs])}")
    print(f"  start-up, s        {spread([run['startup_seconds'] for run in runs])}")
    print(
        f"  CPU ms/delivery    {spread([1e3 * run['cpu_seconds'] / run['sent'] for run in runs])}"
    )
    print(f"  connections        {spread([run['connections'] for run in runs], 0)}")
    print(f"  lost               {spread([run['lost'] for run in runs], 0)}")
    print(f"  load of machine    {spread([run['load'] for run in runs])}")
    print(f"  {runs[-1]['settings']}", flush=True)


def report_isolation(hanging: int, runs: list[Run]) -> None:
    print(f"  {ENDPOINTS} endpoints, {hanging} hang, {RATE:g} events/s each, {LOAD_SECONDS:g} s")
    for share in (0.5, 0.99):
        # Infinite: fewer than that had come a minute after the last event.
        print(f"    p{share * 100:g}, s  {spread([percentile(run, share) for run in runs], 3)}")
    print(f"    arrived  {[run['sent'] for run in runs]} of {runs[0]['offered']}")
    print(f"    repeated {[run['repeated'] for run in runs]}; {runs[-1]['notes']}")
    print(f"    load of machine {spread([run['load'] for run in runs])}")
    print(f"    {runs[-1]['settings']}", flush=True)


if __name__ == "__main__":
    main()
