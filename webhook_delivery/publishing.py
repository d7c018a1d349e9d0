"""Writes one event and its deliveries in the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, router, transaction
from django.utils import timezone

from webhook_delivery import doorbell, lifecycle
from webhook_delivery.conf import settings
from webhook_delivery.drain import drain
from webhook_delivery.locking import insist
from webhook_delivery.models import Delivery, Endpoint, Event
from webhook_delivery.payloads import JSON, body_of
from webhook_delivery.validation import validate_content_type, validate_event_type, validate_text


class InvalidEvent(ValueError):
    """What `publish` was given cannot be stored; the message says what is wrong with it."""


def publish(
    event_type: str,
    payload: Any = None,
    *,
    tenant: str = "",
    idempotency_key: str | None = None,
    content_type: str = JSON,
    source: str = "",
    inline: bool | None = None,
    using: str | None = None,
) -> Event:
    """
    Say that something happened: one delivery for each endpoint subscribed to it.

    The event commits or rolls back with the caller's transaction; outside one, it has its own.
    Nothing is sent before the commit, and no network is touched.

    event_type: dotted words, `order.created`.
    payload: anything Django's JSON encoder can write; bytes are sent as they are.
    tenant: whose event it is; only endpoints of the same tenant receive it.
    idempotency_key: with a key (and tenant) that was used before for this type, that event is
        returned and nothing is written.
    content_type: of a payload given as bytes.
    source: what it is about, `shop.order:7`; for queries, and cut to 200 characters.
    inline: make the first attempt in this process, right after the commit; default: `INLINE`.
    using: the database; default: where the router writes events.

    Raises InvalidEvent and PayloadNotSerializable, before any SQL.
    """
    event = _event(
        event_type,
        payload,
        tenant=tenant,
        idempotency_key=idempotency_key,
        content_type=content_type,
        source=source,
    )
    using = using or router.db_for_write(Event)
    inline = settings.INLINE if inline is None else inline
    write = _publish if idempotency_key is None else _publish_once
    return write(event, using, inline)


def publish_if_heard(
    event_type: str, payload: Callable[[], Any], *, tenant: str, source: str, using: str
) -> Event | None:
    """Publish a model's change, unless nobody is subscribed: then it costs one query."""
    endpoints = list(Endpoint.objects.using(using).subscribed_to(event_type, tenant=tenant))
    if not endpoints:
        return None
    event = _event(event_type, payload(), tenant=tenant, source=source)
    return _write(event, endpoints, using, settings.INLINE)


def publish_test(endpoint: Endpoint, *, using: str | None = None) -> Event:
    """Publish a `webhook.test` event to this endpoint alone, whatever it is subscribed to."""
    using = using or router.db_for_write(Event)
    event = _event("webhook.test", {"message": "A test, sent by an operator."})
    event.tenant = endpoint.tenant

    def write() -> None:
        event.save(using=using, force_insert=True)
        lifecycle.owe(event, [endpoint], using=using, trigger=Delivery.Trigger.TEST)
        doorbell.ring_on_commit(using=using)

    insist(write, using=using, savepoint=False)
    return event


def _event(event_type: str, payload: Any, *, source: str = "", **fields: Any) -> Event:
    """Build the row, body and all; whatever is wrong with it shows here, before any SQL."""
    now = timezone.now()
    event = Event(event_type=event_type, source=source[:200], created_at=now, **fields)
    _validate(event)
    if event.content_type != JSON and not isinstance(payload, bytes):
        raise InvalidEvent(f"{event_type!r}: a content_type is for a payload given as bytes.")
    event.body = body_of(event_type, payload, at=now)
    return event


def _validate(event: Event) -> None:
    """A database that refuses a value would take the caller's transaction with it."""
    try:
        validate_event_type(event.event_type)
        validate_text("tenant", event.tenant, longest=100)
        validate_content_type(event.content_type)
        validate_text("source", event.source, longest=200)
        if event.idempotency_key is not None:
            validate_text("idempotency_key", event.idempotency_key, longest=200, shortest=1)
    except ValidationError as error:
        raise InvalidEvent(f"{event.event_type!r}: {error.messages[0]}") from None


def _publish_once(event: Event, using: str, inline: bool) -> Event:
    """The unique constraint decides between two that publish the same key at once."""
    same = Event.objects.using(using).filter(
        tenant=event.tenant, idempotency_key=event.idempotency_key
    )
    if published := same.first():
        return _the_same(event, published)
    try:
        return insist(partial(_publish, event, using, inline), using=using)
    except IntegrityError:
        if published := same.first():
            return _the_same(event, published)
        raise


def _the_same(event: Event, published: Event) -> Event:
    """A key stands for one event: used for another type, it would swallow what happened."""
    if published.event_type != event.event_type:
        raise InvalidEvent(
            f"{event.event_type!r}: the idempotency key {event.idempotency_key!r} "
            f"was used for {published.event_type!r}."
        )
    return published


def _publish(event: Event, using: str, inline: bool) -> Event:
    heard_by = Endpoint.objects.using(using).subscribed_to(event.event_type, tenant=event.tenant)
    return _write(event, heard_by, using, inline)


def _write(event: Event, endpoints: Iterable[Endpoint], using: str, inline: bool) -> Event:
    def write() -> None:
        event.save(using=using, force_insert=True)
        lifecycle.owe(event, endpoints, using=using)
        doorbell.ring_on_commit(using=using)
        if inline:
            transaction.on_commit(lambda: _attempt_now(event, using), using=using, robust=True)

    insist(write, using=using, savepoint=False)
    return event


def _attempt_now(event: Event, using: str) -> None:
    """The first attempt, here and now; what it cannot deliver stays due for a retry."""
    drain(using=using, event=event, seconds=settings.TIMEOUT_SECONDS)
