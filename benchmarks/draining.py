"""Sends a backlog, by ours and by the bare loops that are its limit, and says how fast it went."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.databases import Database
from benchmarks.stage import Stage, Told

KILOBYTE = 1024


@dataclass(frozen=True)
class Run(Told):
    """How one run went; of several processes, all together."""

    sent: int
    seconds: float
    cpu: float
    """Seconds of CPU that the senders took."""
    statements: int
    peak_mb: float

    @property
    def rate(self) -> float:
        return self.sent / self.seconds

    @property
    def cpu_share(self) -> float:
        """Percent of one core."""
        return 100 * self.cpu / self.seconds

    @property
    def statements_each(self) -> float:
        return self.statements / self.sent

    def __str__(self) -> str:
        return f"{self.rate:,.0f}/s"


class Shortfall(Exception):
    """Not everything was sent: then the figures would be of something else."""


def limit(
    stage: Stage, urls: Sequence[str], count: int, *, how: str = "adapter", body: int = KILOBYTE
) -> Callable[[float], Run]:
    """A bare loop of 32 threads, without a database; `how` as the worker `limit` has it."""
    verify = str(stage.web.bundle)

    def run(share: float) -> Run:
        wanted = max(1, int(count * share))
        reports = stage.work(
            "limit", urls=list(urls), count=wanted, body_bytes=body, how=how, verify=verify
        )
        return _checked(reports, wanted)

    return run


def ours(
    stage: Stage,
    database: Database,
    urls: Sequence[str],
    count: int,
    *,
    processes: int = 1,
    body: int = KILOBYTE,
    fresh: bool = True,
) -> Callable[[float], Run]:
    """
    A backlog of so many deliveries, spread over the URLs, drained by so many processes.

    fresh: the database is emptied first; else its endpoints must be those of the URLs.
    """
    env = {**database.env, "BENCH_TRUST": str(stage.web.bundle)}

    def run(share: float) -> Run:
        wanted = max(1, int(count * share))
        stage.work("filling", env=env, urls=list(urls), events=wanted, body_bytes=body, fresh=fresh)
        return _checked(stage.work("draining", env=env, processes=processes), wanted)

    return run


def _checked(reports: list[dict[str, Any]], wanted: int) -> Run:
    sent = sum(report["sent"] for report in reports)
    if sent != wanted:
        raise Shortfall(f"{sent} of {wanted} were sent")
    return Run(
        sent=sent,
        seconds=max(r["ended"] for r in reports) - min(r["began"] for r in reports),
        cpu=sum(report["cpu"] for report in reports),
        statements=sum(report.get("statements", 0) for report in reports),
        peak_mb=max(report["peak_mb"] for report in reports),
    )
