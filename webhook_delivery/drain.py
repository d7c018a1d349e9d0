"""Claim, attempt concurrently, settle in bulk, until nothing is due or the time is up."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from django.db import DatabaseError, InterfaceError, connections

from webhook_delivery import endpoints, lifecycle
from webhook_delivery.claims import Claim, Finding, Settled
from webhook_delivery.conf import settings
from webhook_delivery.dispatch import attempt
from webhook_delivery.doorbell import HANDOVER_SECONDS, soonest
from webhook_delivery.locking import insist
from webhook_delivery.models import Delivery, Event
from webhook_delivery.outcomes import Fault, Verdict
from webhook_delivery.transport import Transport

logger = logging.getLogger(__name__)

GATHER_SECONDS = 0.05
"""How long outcomes are gathered before they are settled together: what a kill can double."""
GATHER_COUNT = 200
AWAY_SECONDS = 1
"""How long a drain waits before it tries again to record what the database did not take."""
LOOK_SECONDS = 0.1
"""How often a drain looks for what has become due, while it waits for that or for answers."""


@dataclass
class Report:
    """What a drain did, and what it left."""

    delivered: int = 0
    retried: int = 0
    dead: int = 0
    next_due: float | None = None
    """Seconds until the next delivery falls due (negative: late); None if none waits."""

    @property
    def attempts(self) -> int:
        return self.delivered + self.retried + self.dead

    def count(self, settled: Settled) -> None:
        match settled.decision.verdict:
            case Verdict.DELIVERED:
                self.delivered += 1
            case Verdict.RETRY:
                self.retried += 1
            case Verdict.DEAD:
                self.dead += 1


def drain(
    *,
    using: str,
    seconds: float,
    stay: float = 0,
    event: Event | None = None,
    stopped: Callable[[], bool] = lambda: False,
    heard: Callable[[Settled], None] = lambda settled: None,
) -> Report:
    """
    Send what is due.

    seconds: nothing new is begun after so long, nor when `stopped()`.
    stay: for so many seconds, wait for what falls due within `doorbell.HANDOVER_SECONDS`.
    event: send only that event's deliveries.
    heard: is told of each finding once it is recorded.
    """
    run = _Run(using=using, event=event, heard=heard, ends=time.monotonic() + seconds)
    try:
        while not stopped() and (run.step() or run.await_due(stay)):
            pass
        run.finish()
    finally:
        run.close()
    return run.report


@dataclass
class _Run:
    using: str
    event: Event | None
    heard: Callable[[Settled], None]
    ends: float
    report: Report = field(default_factory=Report)

    def __post_init__(self) -> None:
        self.began = time.monotonic()
        self.flying: dict[int, Claim] = {}
        self.landed: queue.SimpleQueue[Finding] = queue.SimpleQueue()
        self.unsettled: list[Finding] = []
        self.transport = Transport()
        self.threads = ThreadPoolExecutor(settings.CONCURRENCY, "webhook-attempt")

    def step(self) -> bool:
        """Claim what there is room for, settle what has come back; False when there was nothing."""
        self._forget_ended()
        if time.monotonic() < self.ends and not self.unsettled:
            self._launch()
        if not self.flying and not self.unsettled:
            return False
        self._settle(self._gather())
        return True

    def await_due(self, stay: float) -> bool:
        """Sleep until something may be due, or lost; False if there is nothing to stay for."""
        left = min(self.began + stay, self.ends) - time.monotonic()
        due = soonest(self.using) if left > 0 else None
        if due is None or due > max(left, HANDOVER_SECONDS):
            return False
        time.sleep(min(due, left, LOOK_SECONDS) if due > 0 else LOOK_SECONDS)
        if due <= 0:
            lifecycle.rescue(using=self.using)
        return True

    def finish(self) -> None:
        """Wait for what is in flight, no longer than its leases, and record it."""
        self.ends = time.monotonic()
        while self.step():
            pass
        self.report.next_due = Delivery.objects.using(self.using).waiting().first_due_in()

    def close(self) -> None:
        self.threads.shutdown(wait=False, cancel_futures=True)
        self.transport.close()

    def _launch(self) -> None:
        room = settings.CONCURRENCY - len(self.flying)
        for claim in self._claim(room) if room > 0 else []:
            self.flying[claim.delivery_id] = claim
            self.threads.submit(self._fly, claim)

    def _claim(self, room: int) -> list[Claim]:
        """Claim more; a database that is away must not cost the findings still in flight."""
        try:
            return lifecycle.claim(room, using=self.using, event=self.event)
        except (DatabaseError, InterfaceError):
            if not self.flying:
                raise
            logger.exception("Nothing more could be claimed; recording what is in flight first")
            connections[self.using].close()
            return []

    def _fly(self, claim: Claim) -> None:
        """Begin nothing on a claim that has ended: somebody else may have delivered it by now."""
        if not claim.ended():
            self.landed.put(attempt(claim, self.transport))

    def _gather(self) -> list[Finding]:
        """The findings of a moment: wait for the first, then a little for more."""
        found = self.unsettled
        until = time.monotonic() + LOOK_SECONDS
        while len(found) < len(self.flying) and len(found) < GATHER_COUNT:
            try:
                found.append(self.landed.get(timeout=max(0.0, until - time.monotonic())))
            except queue.Empty:
                break
            until = min(until, time.monotonic() + GATHER_SECONDS)
        return found

    def _settle(self, findings: list[Finding]) -> None:
        """Record them; if the database is away, keep them and send nothing more meanwhile."""
        try:
            settled = insist(partial(self._record, findings), using=self.using) if findings else []
        except (DatabaseError, InterfaceError):
            logger.exception("%s findings could not be recorded; trying again", len(findings))
            self.unsettled = [each for each in findings if not each.claim.ended()]
            connections[self.using].close()
            time.sleep(AWAY_SECONDS)
            return
        self.unsettled = []
        for finding in findings:
            self._landed(finding.claim)
        for each in settled:
            self.report.count(each)
            self.heard(each)
        self._hold_what_is_owed_to(_gone(settled))

    def _hold_what_is_owed_to(self, gone: set[int]) -> None:
        """Apart from the settling, which must not wait for a hundred thousand rows."""
        try:
            for endpoint in gone:
                endpoints.hold_owed(endpoint, using=self.using)
        except (DatabaseError, InterfaceError):
            logger.exception("What is owed to %s is not held yet; the next sweep does it", gone)

    def _record(self, findings: list[Finding]) -> list[Settled]:
        """Whoever said 410 Gone is switched off in the same transaction, or asked again."""
        settled = lifecycle.settle(findings, using=self.using)
        for gone in _gone(settled):
            endpoints.mark_off(gone, reason="410 Gone", using=self.using)
        return settled

    def _landed(self, claim: Claim) -> None:
        """Unless the delivery was claimed anew meanwhile: that flight goes on."""
        if self.flying.get(claim.delivery_id) is claim:
            del self.flying[claim.delivery_id]

    def _forget_ended(self) -> None:
        """A claim whose lease has ended is somebody else's now."""
        self.flying = {pk: claim for pk, claim in self.flying.items() if not claim.ended()}


def _gone(settled: list[Settled]) -> set[int]:
    """The endpoints that said they are gone."""
    findings = [each.finding for each in settled]
    return {f.claim.endpoint_id for f in findings if f.outcome.fault is Fault.GONE}
