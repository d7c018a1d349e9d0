"""An install with a past: receivers that work, fail and pause, and what people did about it."""

from __future__ import annotations

import itertools
import json
import random
import uuid
from datetime import datetime, timedelta

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.utils import timezone

from tests.screens.cast import DETAILS, RECEIVERS, TYPES
from webhook_delivery import rollups, signing
from webhook_delivery.models import (
    Acknowledgement,
    Attempt,
    ConsoleAction,
    Delivery,
    Doorbell,
    Endpoint,
    Event,
    RedeliveryBatch,
    SearchKey,
    Secret,
    Transition,
)
from webhook_delivery.models.event import new_event_id

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Past:
    """Writes so many of each; the same each time, but for the hour."""

    def __init__(self, rows: int, told: int, first: int | None) -> None:
        self.rows, self.told = rows, told
        self.numbers = None if first is None else itertools.count(first)
        self.now = timezone.now()
        self.chance = random.Random(7)
        self.deliveries: list[Delivery] = []
        self.log: list[Attempt] = []

    def write(self) -> None:
        self.receivers = self._receivers()
        events = [self._event(n) for n in range(self.rows)]
        Event.objects.bulk_create(events)
        SearchKey.objects.bulk_create(
            SearchKey(event=event, key="order_id", value=str(8001 + n))
            for n, event in enumerate(events)
        )
        for n, event in enumerate(events):
            self._owe(event, self.receivers[n % len(self.receivers)], RECEIVERS[n % len(RECEIVERS)])
        self._one_with_a_story(events[-1])
        Delivery.objects.bulk_create(self.deliveries)
        Attempt.objects.bulk_create(self.log)
        self._people()
        rollups.add_up(using="default")
        rollups.add_up(using="default")
        alive = {"drained_at": self.now, "swept_at": self.now}
        Doorbell.objects.update_or_create(pk=1, defaults=alive)

    def _receivers(self) -> list[Endpoint]:
        made = []
        for n in range(max(self.told, len(RECEIVERS))):
            name, state, why, *_how = RECEIVERS[n % len(RECEIVERS)]
            name = name if n < len(RECEIVERS) else f"{name}-{n}"
            fields = {
                "state": state,
                "state_reason": why,
                "off_by_itself": state == "off",
                "url": f"https://hooks.{name}.example/in",
            }
            receiver = Endpoint.objects.create(id=self._number(), name=name, **fields)
            made.append(receiver.subscribe("*"))
        Secret.keep(made[0], signing.generate_secret())
        for pattern in range(self.told - 1):
            made[-1].subscribe(f"order.kind{pattern}")
        return made

    def _event(self, n: int) -> Event:
        at = self.now - 20 * HOUR + n * 20 * HOUR / self.rows - 5 * MINUTE
        body = {
            "type": TYPES[n % len(TYPES)],
            "timestamp": at.isoformat(),
            "data": {
                "order": 8001 + n,
                "customer": "Jane Doe",
                "total": "128.40",
                "currency": "EUR",
            },
        }
        return Event(
            id=_event_id(at),
            event_type=TYPES[n % len(TYPES)],
            body=json.dumps(body).encode(),
            source=f"shop.order:{8001 + n}",
            created_at=at,
        )

    def _owe(self, event: Event, receiver: Endpoint, how: tuple) -> None:
        _name, state, _why, delivers, fault, status, answer, took = how
        row = self._delivery(event, receiver)
        if state == "paused" and self.chance.random() < 0.5:
            row.state, row.due_at = "held", None
        elif self.chance.random() < delivers:
            self._attempt(row, 200, "", b"ok", self.chance.randint(20, 160), "delivered")
        elif self.chance.random() < 0.25:
            self._attempt(row, status, fault, answer, took, "retry")
        else:
            for _failure in range(3):
                self._attempt(row, status, fault, answer, took, "retry")
            self._attempt(row, status, fault, answer, took, "dead")

    def _one_with_a_story(self, event: Event) -> None:
        """The newest dead letter: it was tried often, and a person has tried too."""
        other = self.receivers[0] if self.rows > 1 else self.receivers[1]
        row = self._delivery(event, other)
        last = self.told + 2
        step = (self.now - 2 * MINUTE - row.created_at) / (last + 1)
        for number in range(last + 1):
            verdict = "retry" if number < last else "dead"
            status = 503 if number % 3 else None
            answer = b'{"error": "upstream unavailable", "retry": true}' if status else b""
            fault = "http_5xx" if status else "timeout"
            took = 230 if status else 10_000
            self._attempt(row, status, fault, answer, took, verdict, step=step)

    def _delivery(self, event: Event, receiver: Endpoint) -> Delivery:
        at = event.created_at
        row = Delivery(id=self._number(), event=event, endpoint=receiver, created_at=at)
        row.event_type = event.event_type
        self.deliveries.append(row)
        return row

    def _number(self) -> int | None:
        """None: the database gives it."""
        return None if self.numbers is None else next(self.numbers)

    def _attempt(
        self,
        row: Delivery,
        status: int | None,
        fault: str,
        answer: bytes,
        took: int,
        verdict: str,
        *,
        step: timedelta = MINUTE / 2,
    ) -> None:
        row.attempts_made += 1
        at = row.created_at + row.attempts_made * step
        row.last_status, row.reason = status, fault
        row.state = "pending" if verdict == "retry" else verdict
        row.due_at = self.now + 5 * MINUTE if verdict == "retry" else None
        row.ended_at = None if verdict == "retry" else at + timedelta(milliseconds=took)
        self.log.append(
            Attempt(
                delivery=row,
                number=row.attempts_made,
                trigger="schedule",
                started_at=at,
                duration_ms=took,
                status=status,
                fault=fault,
                detail=DETAILS.get(fault, ""),
                excerpt=answer,
                verdict=verdict,
                next_due_at=row.due_at,
            )
        )

    def _people(self) -> None:
        """What Ann and Bob did."""
        ann, _created = get_user_model().objects.get_or_create(username="ann", is_staff=True)
        story = self.deliveries[-1]
        for n in range(self.told):
            batch = self._batch(n, ann)
            self._sent_by(batch, story)
        for n in range(self.told):
            at = self.now - n * HOUR
            ConsoleAction.objects.create(
                id=self._number(), verb="redeliver", by=ann, by_name="ann", count=n + 1,
                reason="after deploy 4.2", deliveries=[story.pk], about=f"acme-prod, {n}",
                created_at=at,
            )  # fmt: skip
        for receiver in self.receivers[: self.told]:
            Acknowledgement.objects.create(
                endpoint=receiver, reason="timeout", until=self.now + DAY,
                note="INC-882, they know", by=ann, by_name="ann",
            )  # fmt: skip
        for row in (story, self.receivers[-1]):
            LogEntry.objects.create(
                user=ann, content_type=ContentType.objects.get_for_model(row),
                object_id=str(row.pk), object_repr=str(row), action_flag=CHANGE,
                change_message="Redelivered. after deploy",
            )  # fmt: skip

    def _batch(self, n: int, ann) -> RedeliveryBatch:
        state = ["running", "guarded", "done", "cancelled", "paused"][(self.told - n - 1) % 5]
        at = self.now - (self.told - n) * HOUR / 2 + 27 * MINUTE
        return RedeliveryBatch.objects.create(
            id=self._number(),
            state=state,
            state_reason="5 of the last 5 failed." if state == "guarded" else "",
            selection={"state": "dead", "endpoint": self.receivers[0].pk, "reason": "http_5xx"},
            cutoff=10**9,
            expected=57,
            sent=40,
            left=3,
            rate_per_second=10,
            canary=5,
            stop_above=50,
            by=ann,
            by_name="ann",
            reason="after deploy 4.2",
            due_at=self.now + HOUR,
            created_at=at,
            ended_at=at + 5 * MINUTE if state in ("done", "cancelled") else None,
        )

    def _sent_by(self, batch: RedeliveryBatch, story: Delivery) -> None:
        sent = [row for row in self.deliveries if row.state in ("dead", "delivered")][-self.rows :]
        Transition.objects.bulk_create(
            Transition(
                delivery=row,
                after=row.attempts_made - 1,
                verb="once",
                at=batch.created_at,
                batch=batch,
            )
            for row in [*sent[:40:3], story]
        )


def _event_id(at: datetime) -> uuid.UUID:
    """As it would have been made then."""
    now = new_event_id().int
    return uuid.UUID(int=int(at.timestamp() * 1000) << 80 | now & ((1 << 80) - 1))


def write_past(rows: int = 1, *, told: int | None = None, first: int | None = None) -> None:
    """
    Write so many events, each owed to one endpoint, and something of everything else.

    told: how many endpoints, attempts of one delivery, redeliveries and actions; None: as many.
    first: their numbers begin there; None: where the database goes on.
    """
    Past(rows, rows if told is None else told, first).write()
