"""Says that something happened: one event, many, a model's change, or an operator's test."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db import router, transaction

from webhook_delivery import doorbell, hearing, lifecycle
from webhook_delivery.clock import Now
from webhook_delivery.composing import NewEvent, compose
from webhook_delivery.conf import settings
from webhook_delivery.drain import drain
from webhook_delivery.hearing import Kind
from webhook_delivery.lifecycle import Owed
from webhook_delivery.locking import insist, once
from webhook_delivery.models import ConsoleAction, Delivery, Endpoint, Event
from webhook_delivery.payloads import JSON
from webhook_delivery.writing import chunks, published_as, require_all_same, require_same, write


def publish(
    event_type: str,
    payload: Any = None,
    *,
    tenant: str = "",
    idempotency_key: str | None = None,
    key: str = "",
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
    key: deliveries of the same key to one endpoint are made one after the other, in the order of
        their events; at most 200 characters. Empty: in no order, unless the endpoint is ordered.
    content_type: of a payload given as bytes.
    source: what it is about, `shop.order:7`; for queries, and cut to 200 characters.
    inline: make the first attempt in this process, right after the commit; default: `INLINE`.
    using: the database; default: where the router writes events.

    Raises InvalidEvent and PayloadNotSerializable, before any SQL.
    """
    new = NewEvent(
        event_type,
        payload,
        tenant=tenant,
        idempotency_key=idempotency_key,
        key=key,
        content_type=content_type,
        source=source,
    )
    event, using = compose(new), using or router.db_for_write(Event)
    inline = settings.INLINE if inline is None else inline
    return _publish(event, using, inline)


def publish_many(events: Iterable[NewEvent], *, using: str | None = None) -> int:
    """
    Say that many things happened, in a constant number of statements per 1 000 events.

    All of them commit or roll back together: with the caller's transaction, or in one of their
    own. Inside the caller's they have a savepoint, so that whoever catches what is raised has none
    of them written, and a transaction that goes on. The bodies of a chunk at a time (900 events, or
    4 MiB) are in memory: give a generator of any length. The workers make all first attempts.

    events: each a `NewEvent`, with what `publish` is told of one; the same key and tenant, here
        or before, is the same event.
    using: the database; default: where the router writes events.

    Returns how many were written: all but those whose idempotency key was used before.
    Raises InvalidEvent and PayloadNotSerializable, before any SQL of the chunk; InvalidEvent also
    for a key that was used for another type. All are written again after a deadlock outside of a
    transaction, unless `events` is an iterator, which cannot be read twice.
    """
    using = using or router.db_for_write(Event)
    attempt = once if iter(events) is events else insist
    return attempt(lambda: _write_all(map(compose, events), using), using=using)


def publish_if_heard(
    event_type: str, payload: Callable[[], Any], *, tenant: str, source: str, using: str
) -> Event | None:
    """Publish a model's change, unless nobody is subscribed: then it costs one query."""
    first = hearing.first_page([Kind(tenant, event_type)], using=using)
    if not first:
        return None
    event = compose(NewEvent(event_type, payload(), tenant=tenant, source=source))
    return _publish(event, using, settings.INLINE, first)


def publish_test(endpoint: Endpoint, *, by: Any = None, using: str | None = None) -> Event:
    """
    Publish a `webhook.test` event to this endpoint alone, whatever it is subscribed to.

    by: the user who asks (or a name), who is then kept; None: nobody is.
    """
    using = using or router.db_for_write(Event)
    message = {"message": "A test, sent by an operator."}
    event = compose(NewEvent("webhook.test", message, tenant=endpoint.tenant))

    def write_test() -> None:
        event.save(using=using, force_insert=True)
        owed = Owed(event.pk, endpoint.pk, endpoint.state, Now(), format=endpoint.format)
        lifecycle.owe([owed], using=using, trigger=Delivery.Trigger.TEST.value)
        if by is not None:
            ids = event.deliveries.values_list("pk", flat=True)
            about = f"{endpoint.pk} ({endpoint})"
            ConsoleAction.record("test", ids, by=by, reason="", about=about, using=using)
        doorbell.ring_on_commit(using=using)

    insist(write_test, using=using, savepoint=False)
    return event


def _publish(
    event: Event, using: str, inline: bool, first: list[hearing.Subscriber] | None = None
) -> Event:
    def work() -> bool:
        written = bool(write([event], using=using, first=first))
        if written and inline:
            transaction.on_commit(lambda: attempt_now(event, using=using), using=using, robust=True)
        return written

    if insist(work, using=using, savepoint=False):
        return event
    return require_same(event, published_as([event], using=using).first())


def _write_all(events: Iterable[Event], using: str) -> int:
    return sum(_write_chunk(chunk, using) for chunk in chunks(events))


def _write_chunk(events: Sequence[Event], using: str) -> int:
    written = write(events, using=using)
    new = {event.pk for event in written}
    require_all_same([event for event in events if event.pk not in new], using=using)
    return len(written)


def attempt_now(event: Event, *, using: str, regardless: bool = False) -> None:
    """
    Make the first attempts here and now; what they cannot deliver stays due for a retry.

    regardless: of pauses and limits, which are not for a person who waits.
    """
    reached: set[int] = set()
    drain(
        using=using,
        event=event,
        regardless=regardless,
        seconds=settings.TIMEOUT_SECONDS,
        heard=lambda settled: reached.add(settled.finding.claim.endpoint_id),
    )
    # What could not be sent beside this one may be sent now, and is for others to send.
    if Delivery.objects.using(using).due().filter(endpoint__in=reached).exists():
        doorbell.ring_on_commit(using=using)
