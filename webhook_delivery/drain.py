"""Claim, attempt concurrently, settle in bulk, until nothing is due or the time is up."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial

from django.db import DatabaseError, InterfaceError, connections

from webhook_delivery import lifecycle, recording
from webhook_delivery.claims import Claim, Finding, Settled
from webhook_delivery.conf import settings
from webhook_delivery.dispatch import attempt
from webhook_delivery.doorbell import HANDOVER_SECONDS, soonest
from webhook_delivery.flights import Flights
from webhook_delivery.holdings import Holdings
from webhook_delivery.landings import Landings
from webhook_delivery.lifecycle.looking import Look
from webhook_delivery.logs import log_of
from webhook_delivery.models import Event
from webhook_delivery.pacing import stopping
from webhook_delivery.report import Report
from webhook_delivery.rhythm import AHEAD, LOOK_SECONDS, PEEK_SECONDS, Rhythm
from webhook_delivery.transport import Transport

logger = log_of(__name__)

AWAY_SECONDS = 1
"""How long a drain waits before it tries again to record what the database did not take."""
MOMENT_SECONDS = 0.005


def doze(seconds: float) -> None:
    """Wait for what falls due in so many seconds: something else may fall due before."""
    time.sleep(min(seconds, LOOK_SECONDS))


def drain(
    *,
    using: str,
    seconds: float,
    most: int = sys.maxsize,
    stay: Callable[[], float] = lambda: 0.0,
    meanwhile: Callable[[], bool] = lambda: False,
    event: Event | None = None,
    regardless: bool = False,
    stopped: Callable[[], bool] = lambda: False,
    heard: Callable[[Settled], None] = lambda settled: None,
    rest: Callable[[float], None] = doze,
) -> Report:
    """
    Send what is due.

    seconds: after so long it ends, as soon as what is in flight has been answered; until then only
        endpoints that do not hang are sent more. When `stopped()`, nothing new is begun at all.
    most: so many attempts are made at most.
    stay: for how many seconds, from its beginning, to wait for what falls due within
        `HANDOVER_SECONDS`; asked whenever there is nothing to do.
    meanwhile: is done while requests are in flight; says whether something may be due now.
    event: send only that event's deliveries; `regardless` of pauses and limits, if asked.
    heard: is told of each finding once it is recorded.
    rest: waits for so many seconds, or less if something may have become due.
    """
    look = Look(using, event, regardless)
    run = _Run(using, look, time.monotonic() + seconds, stopped, heard, meanwhile, most)
    try:
        while not stopped() and (run.step() or run.await_due(stay, rest)):
            pass
        run.finish()
    finally:
        run.close()
    return run.report


@dataclass
class _Run:
    using: str
    look: Look
    ends: float
    stopped: Callable[[], bool]
    heard: Callable[[Settled], None]
    meanwhile: Callable[[], bool]
    most: int
    report: Report = field(default_factory=Report)

    def __post_init__(self) -> None:
        self.began = time.monotonic()
        self.held = Holdings()
        self.landings = Landings()
        self.rhythm = Rhythm()
        self.away = False
        """Whether the database did not take what was found."""
        self.unsigned: set[int] = set()
        """Endpoints of which it has been said that their secrets cannot be opened."""
        self.grounded: list[Claim] = []
        """What could begin if the database were there."""
        self.transport = Transport()
        self.flights = Flights(self._fly, self.landings.land, self.held.stopped)

    def step(self) -> bool:
        """Claim what there is room for, settle what has come back; False when there was nothing."""
        self.held.drop_ended()
        if self._may_look():
            self._launch()
        self._listen()
        if not self.held and not self.landings.unsettled:
            more = (self.rhythm.called or not self.look.complete) and self.most > 0
            return more and not self._is_over()
        self.flights.reinforce()
        self._gather()
        if self._must_settle() and not self._newcomers_first():
            self._settle()
        return True

    def await_due(self, stay: Callable[[], float], rest: Callable[[float], None]) -> bool:
        """Sleep until something may be due, or lost; False if there is nothing to stay for."""
        if not self.most:
            return False
        left = min(self.began + stay(), self.ends) - time.monotonic()
        due = soonest(self.using, looked=self.rhythm.ago()) if left > 0 else None
        if due is None or due > max(left, HANDOVER_SECONDS):
            return False
        rest(min(due, left))
        if due <= LOOK_SECONDS:
            lifecycle.rescue(using=self.using)
        return True

    def finish(self) -> None:
        """Give back what has not begun, wait for the rest no longer than its leases, record it."""
        self._give_back([*self.flights.take_back(), *self.grounded])
        self.grounded = []
        self.ends = time.monotonic()
        while self.step():
            pass
        more = self.rhythm.may_be_more()
        self.report.next_due = 0.0 if more else soonest(self.using, looked=self.rhythm.ago())

    def close(self) -> None:
        self.flights.close()
        self.transport.close()

    def _is_over(self) -> bool:
        return time.monotonic() >= self.ends

    def _room(self) -> int:
        return AHEAD * settings.CONCURRENCY - self.flights.may_begin() - self.flights.working()

    def _may_look(self) -> bool:
        if self.away or self.stopped() or not self.most:
            return False
        if self._is_over():
            return self._may_extend()
        return not self.held or self.rhythm.asks_for(self._room())

    def _may_extend(self) -> bool:
        """While slow receivers are waited for, the others need not wait for them."""
        in_time = time.monotonic() - self.ends <= settings.LEASE_MARGIN_SECONDS
        soon = self.rhythm.ago() >= PEEK_SECONDS
        return bool(self.held) and in_time and soon and self._room() > 0

    def _launch(self) -> None:
        newcomers = self.rhythm.only_newcomers(room := self._room())
        places = max(0, min(self.rhythm.places(room, newcomers=newcomers), self.most))
        with self.flights.hushed() if newcomers else nullcontext():
            claims = self._claim(places, newcomers)
        self.rhythm.looked(len(claims), places, newcomers=newcomers)
        self.most -= len(claims)
        self.held.take(claims)
        self.flights.launch(claims)

    def _claim(self, places: int, newcomers: bool) -> list[Claim]:
        """Claim more; a database that is away must not cost the findings still in flight."""
        room = partial(self.held.room, at_the_end=self._is_over(), newcomers=newcomers)
        try:
            return lifecycle.claim(places, using=self.using, room=room, look=self.look)
        except (DatabaseError, InterfaceError):
            if not self.held:
                raise
            logger.exception("Nothing more could be claimed; recording what is in flight first")
            connections[self.using].close()
            return []

    def _fly(self, claim: Claim) -> Finding | None:
        """Begin nothing that has not half its time before somebody else may begin it."""
        if claim.left() < claim.timeout / 2:
            return None
        finding = attempt(claim, self.transport)
        if self.held.trips(finding) or stopping(finding.outcome):
            self.held.stop(claim)
            self.flights.ground(claim.endpoint_id)
        return finding

    def _gather(self) -> None:
        """Wait for the first that lands, then a little for more, unless there is else to do."""
        self._take_in(PEEK_SECONDS)
        while self.landings.unsettled and not self._must_settle() and not self._may_look():
            time.sleep(MOMENT_SECONDS)
            self._take_in(0)
            self._listen()

    def _listen(self) -> None:
        self.rhythm.called |= not self.stopped() and self.meanwhile()

    def _take_in(self, seconds: float) -> None:
        landed = self.landings.take_in(seconds)
        for finding in landed.findings:
            self.held.learn(finding)
        self._give_back(landed.unbegun)

    def _must_settle(self) -> bool:
        return self.landings.are_enough() or bool(self.landings.unsettled and self.flights.quiet())

    def _newcomers_first(self) -> bool:
        return self.rhythm.called and self.landings.can_wait() and self._may_look()

    def _settle(self) -> None:
        """Record what was found; if the database is away, keep it and send nothing more."""
        findings = self.landings.unsettled
        try:
            settled = recording.record(findings, using=self.using)
        except (DatabaseError, InterfaceError):
            logger.exception("%s findings could not be recorded; trying again", len(findings))
            self.away = self.landings.keep_what_has_not_ended()
            self.grounded += self.flights.take_back()
            connections[self.using].close()
            time.sleep(AWAY_SECONDS)
            return
        self.landings.unsettled, self.away, self.rhythm.news = [], False, True
        self.flights.launch(self.grounded)
        self.grounded = []
        self.held.drop(finding.claim for finding in findings)
        for each in settled:
            self.report.count(each)
            self.heard(each)
            # Who stood behind what was in order may be due now.
            self.rhythm.fruitful |= each.finding.claim.in_order
        recording.complain(settled, known=self.unsigned)
        recording.hold_what_is_owed(settled, using=self.using)

    def _give_back(self, claims: list[Claim]) -> None:
        recording.give_back(claims, using=self.using)
        self.most += len(claims)
        self.held.drop(claims)
        self.rhythm.news |= bool(claims)
