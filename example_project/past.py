"""A past for the shop: what its customers' endpoints were sent in weeks, made without living it."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count, islice

from django.db import transaction
from django.utils import timezone

from webhook_delivery import subscribe
from webhook_delivery.conf import settings
from webhook_delivery.models import Attempt, Delivery, Endpoint, Event
from webhook_delivery.models.event import first_at
from webhook_delivery.outcomes import Fault, Verdict

AT_ONCE = 1_000
"""How many deliveries one transaction writes."""
ANSWERS = {
    Fault.SERVER_ERROR: (503, b"upstream connect error or disconnect/reset before headers"),
    Fault.CLIENT_ERROR: (404, b"<h1>Not Found</h1>"),
}
SHARES = {"order.created": 5, "order.updated": 9, "order.paid": 4, "order.shipped": 3}


@dataclass(frozen=True)
class Habit:
    """How an endpoint fares: how slow it is, how often an attempt fails, how, and since when."""

    name: str
    milliseconds: int = 60
    fails: float = 0.003
    fault: Fault = Fault.SERVER_ERROR
    broken_for: timedelta = timedelta()
    """So long before now everything began to fail."""
    state: Endpoint.State = Endpoint.State.ON
    busy: int = 1

    def failure_at(self, moment: datetime, now: datetime, chance: float) -> bool:
        return now - moment < self.broken_for or chance < self.fails


HABITS = (
    Habit("warehouse", busy=6),
    Habit("invoicing", milliseconds=35, busy=4),
    Habit("newsletter", milliseconds=140, fails=0.02),
    Habit("old-erp", milliseconds=2_400, fails=0.15, fault=Fault.TIMEOUT, busy=2),
    Habit("partner-north", broken_for=timedelta(hours=9), busy=2),
    Habit("partner-south", broken_for=timedelta(days=4), fault=Fault.REFUSED),
    Habit("moved-away", broken_for=timedelta(days=2), fault=Fault.CLIENT_ERROR),
    Habit("on-holiday", state=Endpoint.State.PAUSED),
)


@dataclass
class Past:
    """So many deliveries over so many days; the same seed tells the same story."""

    deliveries: int
    days: int
    seed: int
    now: datetime = field(default_factory=timezone.now)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)  # noqa: S311 - a story, not a secret
        self.numbers = count(1)
        self.schedule = settings.RETRY_SCHEDULE

    def write(self, told: Callable[[int], object]) -> None:
        """Write it, a transaction at a time, and tell after each how many deliveries it had."""
        endpoints = dict(zip(HABITS, map(_endpoint, HABITS), strict=True))
        moments = (self.now - self.span * (1 - n / self.deliveries) for n in range(self.deliveries))
        while lives := [self._live(endpoints, each) for each in islice(moments, AT_ONCE)]:
            _write(lives)
            told(len(lives))

    @property
    def span(self) -> timedelta:
        return timedelta(days=self.days)

    def _live(self, endpoints: dict[Habit, Endpoint], moment: datetime) -> Life:
        [habit] = self.chance.choices(HABITS, [each.busy for each in HABITS])
        life = Life(self._event(moment), endpoints[habit])
        if habit.state is Endpoint.State.ON:
            life.live(habit, self)
        else:
            life.delivery.state, life.delivery.due_at = Delivery.State.HELD, None
        return life

    def _event(self, moment: datetime) -> Event:
        [event_type] = self.chance.choices(list(SHARES), list(SHARES.values()))
        number = next(self.numbers)
        data = {"number": number, "status": "new", "total": f"{number % 400 + 9}.90"}
        body = {"type": event_type, "timestamp": moment.isoformat(), "data": data}
        return Event(
            id=self._id(moment),
            event_type=event_type,
            body=json.dumps(body).encode(),
            source=f"shop.order:{number}",
            created_at=moment,
        )

    def _id(self, moment: datetime) -> uuid.UUID:
        """As an event of that moment would have had: ids are in the order of time."""
        return uuid.UUID(int=first_at(moment).int | 0b10 << 62 | self.chance.getrandbits(62))


class Life:
    """One delivery, and the log that its state follows from."""

    def __init__(self, event: Event, endpoint: Endpoint) -> None:
        self.event = event
        self.attempts: list[Attempt] = []
        self.delivery = Delivery(
            event=event,
            event_type=event.event_type,
            endpoint=endpoint,
            created_at=event.created_at,
            due_at=event.created_at,
        )

    def live(self, habit: Habit, past: Past) -> None:
        """Attempt it, and again as its schedule says, until it has ended or now is reached."""
        for wait in (*past.schedule, None):
            started = self.delivery.due_at
            if started is None or started > past.now:
                return
            failed = habit.failure_at(started, past.now, past.chance.random())
            self._attempt(started, habit, wait if failed else -1, past.chance)

    def _attempt(
        self, started: datetime, habit: Habit, wait: float | None, chance: random.Random
    ) -> None:
        """Make one: it succeeds (-1), another follows after so many seconds, or it is the last."""
        failed = wait != -1
        fault = habit.fault if failed else ""
        status, excerpt = ANSWERS.get(habit.fault, (None, b"")) if failed else (204, b"")
        took = int(habit.milliseconds * chance.lognormvariate(0, 0.5))
        verdict, due = _verdict(failed, fault, wait, started)
        row = self.delivery
        row.attempts_made += 1
        row.last_status, row.reason, row.due_at = status, fault, due
        row.state = Delivery.State.PENDING if due else Delivery.State(verdict.value)
        row.ended_at = None if due else started + timedelta(milliseconds=took)
        self.attempts.append(
            Attempt(
                delivery=row,
                number=row.attempts_made,
                trigger=row.trigger,
                started_at=started,
                duration_ms=15_000 if fault == Fault.TIMEOUT else took,
                status=status,
                fault=fault,
                excerpt=excerpt,
                verdict=verdict,
                next_due_at=due,
            )
        )


def _verdict(
    failed: bool, fault: str, wait: float | None, started: datetime
) -> tuple[Verdict, datetime | None]:
    if not failed:
        return Verdict.DELIVERED, None
    if wait is None or fault == Fault.CLIENT_ERROR:
        return Verdict.DEAD, None
    return Verdict.RETRY, started + timedelta(seconds=wait)


def _endpoint(habit: Habit) -> Endpoint:
    url = f"https://{habit.name}.example/webhooks"
    endpoint = subscribe(url, "order.*", name=habit.name)
    Endpoint.objects.filter(pk=endpoint.pk).update(state=habit.state)
    return endpoint


@transaction.atomic
def _write(lives: list[Life]) -> None:
    Event.objects.bulk_create([life.event for life in lives])
    Delivery.objects.bulk_create([life.delivery for life in lives])
    Attempt.objects.bulk_create(list(_attempts(lives)))


def _attempts(lives: list[Life]) -> Iterator[Attempt]:
    for life in lives:
        yield from life.attempts
