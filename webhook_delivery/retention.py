"""What may go: how long rows of each kind are kept, and how to find those whose time is over."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db.models import (
    PROTECT,
    RESTRICT,
    SET_DEFAULT,
    Exists,
    ForeignObjectRel,
    Model,
    OuterRef,
    Q,
    QuerySet,
)

from webhook_delivery.clock import Now
from webhook_delivery.conf import settings
from webhook_delivery.models import (
    ConsoleAction,
    Delivery,
    DeliveryQuerySet,
    EndpointStat,
    Event,
    EventQuerySet,
    KeptAnswer,
    Notice,
    RedeliveryBatch,
    Transition,
)

State = Delivery.State
Rows = TypeVar("Rows", bound=QuerySet[Any])

KEEPING = (PROTECT, RESTRICT, SET_DEFAULT)
"""What another app's foreign key says so that the row stays that it points at; so does `SET(…)`."""
ANSWERS_DAYS = 1
"""For so many days the API knows an Idempotency-Key."""
AT_ONCE = 500
"""How many of the oldest are looked at together, where no index tells how old they are."""

SETTING: Mapping[str, str] = {
    State.DELIVERED: "RETAIN_DELIVERED_DAYS",
    State.DEAD: "RETAIN_DEAD_DAYS",
    State.DISCARDED: "RETAIN_DEAD_DAYS",
}
"""Which setting says how long deliveries are kept after they ended so; no other ever go."""


def kept(state: str) -> timedelta | None:
    """How long deliveries are kept after they ended in this state; None: for ever."""
    return _span(getattr(settings, SETTING[state]))


def certain() -> timedelta | None:
    """How long it is certain that whatever was owed of an event is still there; None: for ever."""
    return min(filter(None, map(kept, SETTING)), default=None)


def kept_events() -> timedelta | None:
    """How long an event is kept at least after it happened; None: for ever."""
    return _span(settings.RETAIN_DELIVERED_DAYS)


def kept_bodies() -> timedelta | None:
    return _span(settings.RETAIN_BODIES_DAYS)


def over(ended: str, at: datetime | None, *, now: datetime) -> bool:
    """Whether retention may have deleted a delivery that ended so, then."""
    span = kept(ended) if ended in SETTING else None
    return span is not None and at is not None and at < now - span


def deliveries(state: str, *, using: str, late: timedelta = timedelta(0)) -> DeliveryQuerySet:
    """
    The deliveries that ended in this state so long ago that they go.

    late: by how much longer ago.
    """
    return unprotected(ended(state, using=using, late=late))


def ended(state: str, *, using: str, late: timedelta = timedelta(0)) -> DeliveryQuerySet:
    """The same, and those among them that rows of another app protect."""
    span = kept(state)
    rows = Delivery.objects.using(using).filter(state=state)
    return rows.none() if span is None else rows.filter(ended_at__lt=Now() - span - late)


def bare_events(*, using: str) -> EventQuerySet:
    """The events that are old enough, and of which no delivery is left."""
    span, rows = kept_events(), Event.objects.using(using)
    if span is None:
        return rows.none()
    owed = Delivery.objects.using(using).filter(event=OuterRef("pk"))
    return rows.filter(~Exists(owed), created_at__lt=Now() - span)


def needless_events(*, using: str) -> EventQuerySet:
    """Those of them whose idempotency keys need not be kept either."""
    span = _span(settings.RETAIN_KEYS_DAYS)
    needless = Q(idempotency_key=None)
    if span is not None:
        needless |= Q(created_at__lt=Now() - span)
    return unprotected(bare_events(using=using).filter(needless))


def needs_key(event: Event, *, now: datetime) -> bool:
    """Whether its idempotency key must still be known, then."""
    span = _span(settings.RETAIN_KEYS_DAYS)
    return event.idempotency_key is not None and (span is None or event.created_at >= now - span)


def bodies(*, using: str) -> EventQuerySet:
    """The events whose bodies go, because all that is owed of them has ended."""
    span, rows = kept_bodies(), Event.objects.using(using).whole()
    if span is None:
        return rows.none()
    open_ = Delivery.objects.using(using).filter(event=OuterRef("pk")).unfinished()
    return rows.filter(~Exists(open_), created_at__lt=Now() - span)


def actions(*, using: str) -> QuerySet[ConsoleAction]:
    """Some of what people did too long ago: of the oldest by number, for no index tells when."""
    first = _first(ConsoleAction.objects.using(using))
    return _older(first, "created_at", settings.RETAIN_AUDIT_DAYS)


def notices(*, using: str) -> QuerySet[Notice]:
    """Some of the mails that were sent, or given up, too long ago: found as actions are."""
    first = _first(Notice.objects.using(using)).filter(due_at=None)
    return _older(first, "created_at", settings.RETAIN_AUDIT_DAYS)


def answers(*, using: str) -> QuerySet[KeptAnswer]:
    """What the API answered to requests that are not repeated any more."""
    return _older(KeptAnswer.objects.using(using), "created_at", ANSWERS_DAYS)


def batches(*, using: str) -> QuerySet[RedeliveryBatch]:
    """Redeliveries of many that have ended, and that no log names any more."""
    named = Transition.objects.using(using).filter(batch=OuterRef("pk"))
    ended = RedeliveryBatch.objects.using(using).exclude(state__in=RedeliveryBatch.UNFINISHED)
    free = ended.filter(~Exists(named))
    return _older(free, "ended_at", settings.RETAIN_AUDIT_DAYS)


def hours(*, using: str) -> QuerySet[EndpointStat]:
    return _older(EndpointStat.objects.using(using), "hour", settings.RETAIN_STATS_DAYS)


def pointing_at(model: type[Model]) -> list[ForeignObjectRel]:
    """What other apps' tables point at it with."""
    found = model._meta.get_fields(include_hidden=True)
    return [
        each
        for each in found
        if isinstance(each, ForeignObjectRel)
        and (each.one_to_one or each.one_to_many)
        and each.related_model._meta.app_label != model._meta.app_label
    ]


def unprotected(rows: Rows) -> Rows:
    """Without those that rows of another app keep, as their foreign keys say."""
    for each in pointing_at(rows.model):
        if each.on_delete in KEEPING or hasattr(each.on_delete, "deconstruct"):
            theirs = each.related_model._base_manager.using(rows.db)
            named = {each.field.name: OuterRef("pk")}
            rows = rows.filter(~Exists(theirs.filter(**named)))
    return rows


def _first(rows: Rows) -> Rows:
    """The oldest by number."""
    first = list(rows.order_by("pk").values_list("pk", flat=True)[:AT_ONCE])
    return rows.filter(pk__in=first)


def _older(rows: Rows, moment: str, days: float | None) -> Rows:
    span = _span(days)
    return rows.none() if span is None else rows.filter(**{f"{moment}__lt": Now() - span})


def _span(days: float | None) -> timedelta | None:
    return None if days is None else timedelta(days=days)
