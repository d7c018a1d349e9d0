"""Each address of the console that changes something: what is posted to it, and when in vain."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Model
from django.utils import timezone

from tests.screens import dead, group, newest
from webhook_delivery import signing
from webhook_delivery.admin.redeliveries.asking import Token
from webhook_delivery.models import Acknowledgement, Delivery, Endpoint, RedeliveryBatch, Secret

Fields = dict[str, Any]
NUMBER = uuid.UUID(int=7)


@dataclass(frozen=True)
class Act:
    """One such address."""

    ready: Callable[[Any], Fields]
    """Sees to it that there is something to do for the row; returns what is posted then."""
    too_late: Callable[[Any], object] | None
    """Changes the row so that nothing is left to do; None: there always is."""


def token() -> str:
    """Of a question that has just been asked: what dies later is not sent."""
    return str(Token(number=NUMBER, shown=0))


def becomes(**columns: Any) -> Callable[[Model], Fields]:
    """Change the row so; nothing needs to be posted."""

    def change(row: Model) -> Fields:
        type(row)._default_manager.filter(pk=row.pk).update(**columns)
        return {}

    return change


def asks(**fields: Any) -> Callable[[Model], Fields]:
    return lambda _row: fields


def selected(**columns: Any) -> Callable[[Model], Fields]:
    """The newest dead letter is ticked, and in that state."""

    def tick(_page: Model | None) -> Fields:
        row = newest(Delivery)
        becomes(**columns)(row)
        return {"_selected_action": [row.pk]}

    return tick


def every_dead_one(**columns: Any) -> Callable[[Model], object]:
    return lambda _page: Delivery.objects.dead().update(**columns)


def answered(_page: Model) -> None:
    """Somebody has answered the same question."""
    RedeliveryBatch.objects.filter(pk=newest(RedeliveryBatch).pk).update(token=NUMBER)


def with_a_secret(row: Endpoint) -> Fields:
    return {"newest": Secret.keep(row, signing.generate_secret()).pk}


def to_one_that_has_it_not(_event: Model) -> Fields:
    return {"endpoint": Endpoint.objects.get(name="umbrella-crm").pk}


def acknowledged(_page: Model) -> Fields:
    Acknowledgement.objects.create(
        endpoint_id=group()["endpoint"], reason=group()["reason"], status=group()["status"]
    )
    return group()


SENT_AGAIN = {
    "speed": "rate",
    "rate": 10,
    "attempts": "once",
    "canary": 0,
    "reason": "after deploy",
}
MISSED = {"since": "2026-01-01T00:00", "rate": 10, "reason": "they were away"}
GONE = {"state": "done", "ended_at": timezone.now()}
TOMORROW = timezone.now() + timedelta(days=1)

ACTS = {
    "delivery_redeliver": Act(becomes(state="dead"), becomes(state="sending")),
    "delivery_retry_now": Act(
        becomes(state="pending", due_at=TOMORROW, ended_at=None), becomes(state="delivered")
    ),
    "delivery_discard": Act(becomes(state="dead"), becomes(state="delivered")),
    "delivery_restore": Act(becomes(state="discarded"), becomes(state="delivered")),
    "deadletter_discard_now": Act(selected(state="dead"), every_dead_one(state="delivered")),
    "deadletter_restore_now": Act(
        selected(state="discarded"),
        lambda _page: Delivery.objects.discarded().update(state="delivered"),
    ),
    "endpoint_pause_now": Act(asks(reason="maintenance"), becomes(state="paused")),
    "endpoint_on_now": Act(becomes(state="paused"), becomes(state="on")),
    "endpoint_off_now": Act(asks(reason="gone"), becomes(state="off")),
    "endpoint_test": Act(asks(), None),
    "endpoint_recover_missed_now": Act(lambda _row: {**MISSED, "token": token()}, answered),
    "endpoint_reveal_show": Act(asks(reason="they lost it"), None),
    "endpoint_rotate_now": Act(with_a_secret, with_a_secret),
    "event_forward_now": Act(
        to_one_that_has_it_not, lambda _event: Endpoint.objects.update(state="off")
    ),
    "event_erase_now": Act(asks(reason="asked to be forgotten"), becomes(erased_at=timezone.now())),
    "failuregroup_acknowledge": Act(lambda _page: group(), every_dead_one(state="delivered")),
    "failuregroup_snooze": Act(
        lambda _page: {**group(), "until": f"{TOMORROW:%Y-%m-%dT%H:%M}"},
        every_dead_one(state="delivered"),
    ),
    "failuregroup_reopen": Act(
        acknowledged, lambda _page: Acknowledgement.objects.filter(reason="http_5xx").delete()
    ),
    "redeliverybatch_start": Act(
        lambda _page: {**dead(), **SENT_AGAIN, "token": token()}, answered
    ),
    "redeliverybatch_pause": Act(becomes(state="running"), becomes(**GONE)),
    "redeliverybatch_resume": Act(becomes(state="guarded"), becomes(**GONE)),
    "redeliverybatch_rate": Act(asks(rate=5), becomes(**GONE)),
    "redeliverybatch_cancel": Act(becomes(state="running"), becomes(**GONE)),
}
