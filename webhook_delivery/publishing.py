"""Says that something happened: one event, many, a model's change, or an operator's test."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import router, transaction
from django.db.models import Model

from webhook_delivery import doorbell, hearing, lifecycle, observing, targeting
from webhook_delivery.catalogue import TEST, TEST_DATA
from webhook_delivery.clock import Now
from webhook_delivery.composing import NewEvent, compose
from webhook_delivery.conf import settings
from webhook_delivery.drain import drain
from webhook_delivery.lifecycle import Owed
from webhook_delivery.locking import insist, once
from webhook_delivery.models import ConsoleAction, Delivery, Endpoint, Event
from webhook_delivery.payloads import JSON
from webhook_delivery.writing import chunks, published_as, require_all_same, require_same, write

P = ParamSpec("P")
R = TypeVar("R")


def publish(
    event_type: str,
    payload: Any = None,
    *,
    tenant: str = "",
    idempotency_key: str | None = None,
    key: str = "",
    deliver_at: datetime | timedelta | None = None,
    expires_at: datetime | timedelta | None = None,
    endpoints: Iterable[Endpoint | int] | None = None,
    content_type: str = JSON,
    source: str | Model = "",
    inline: bool | None = None,
    using: str | None = None,
) -> Event:
    """
    Say that something happened: one delivery for each endpoint subscribed to it.

    The event commits or rolls back with the caller's transaction; outside one, it has its own.
    Nothing is sent before the commit; after it only the broker is told, unless `inline`.

    event_type: dotted words, `order.created`.
    payload: anything Django's JSON encoder can write; bytes are sent as they are.
    tenant: whose event it is; only endpoints of the same tenant receive it.
    idempotency_key: with a key (and tenant) that was used before for this type, that event is
        returned and nothing is written; one that was used for another type is refused.
    key: deliveries of the same key to one endpoint are made one after the other, in the order of
        their events; at most 200 characters. Empty: in no order, unless the endpoint is ordered.
    deliver_at: when the first attempt is made, a datetime with a time zone, or a timedelta from
        now. In an order, it holds up what stands behind it.
    expires_at: when it is worth nothing any more, likewise. No attempt begins after that, unless a
        person redelivers: what is still owed is dead, as `expired`, or of what it failed of last.
    endpoints: who receives it, endpoints or their ids, and nobody else, whatever they are
        subscribed to. They must be of its tenant; those that are off get nothing.
    content_type: of a payload given as bytes.
    source: what it is about, for queries: a saved object, or a text such as `shop.order:7`, cut to
        200 characters.
    inline: make the first attempt in this process, right after the commit; default: `INLINE`.
    using: the database; default: where the router writes events.

    Raises InvalidEvent and PayloadNotSerializable, before anything is written.
    """
    new = NewEvent(
        event_type,
        payload,
        tenant=tenant,
        idempotency_key=idempotency_key,
        key=key,
        deliver_at=deliver_at,
        expires_at=expires_at,
        endpoints=endpoints,
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
    Raises InvalidEvent and PayloadNotSerializable, before anything of the chunk is written;
    InvalidEvent also for a key that was used for another type. All are written again after a
    deadlock outside of a transaction, unless `events` is an iterator, which cannot be read twice.
    """
    using = using or router.db_for_write(Event)
    attempt = once if iter(events) is events else insist
    return attempt(lambda: _write_all(map(compose, events), using), using=using)


def publish_composed(
    events: Sequence[Event], *, using: str, first: list[hearing.Subscriber] | None = None
) -> None:
    """
    Write events that are composed, without idempotency keys, in a constant number of statements.

    first: the first page of those who may hear them, if it was read before.
    """

    def work() -> None:
        for chunk in chunks(events):
            for event in write(chunk, using=using, first=first):
                if settings.INLINE:
                    _attempt_on_commit(event, using)

    insist(work, using=using, savepoint=False)


def _awaited(publishes: Callable[P, R]) -> Callable[P, Coroutine[Any, Any, R]]:
    """
    The same for coroutines, in the thread that speaks with the database for them.

    A coroutine holds no transaction open: each call is one of its own. What belongs together is
    said in a function, with `transaction.atomic` and `publish`, that `sync_to_async` calls.
    """

    @wraps(publishes)
    async def awaited(*args: P.args, **kwargs: P.kwargs) -> R:
        return await sync_to_async(publishes, thread_sensitive=True)(*args, **kwargs)

    return awaited


apublish = _awaited(publish)
apublish_many = _awaited(publish_many)


def publish_test(endpoint: Endpoint, *, by: Any = None, using: str | None = None) -> Event:
    """
    Publish a `webhook.test` event to this endpoint alone, whatever it is subscribed to.

    If the endpoint is not on, only `attempt_now(…, regardless=True)` sends it; what that does not
    send is held. by: the user who asks (or a name), who is then kept; None: nobody is.
    """
    using = using or router.db_for_write(Event)
    event = compose(NewEvent(TEST, TEST_DATA, tenant=endpoint.tenant, endpoints=[endpoint]))

    def write_test() -> None:
        with observing.publishing([event]):
            event.save(using=using, force_insert=True)
        due = endpoint.pk, Endpoint.State.ON.value
        owed = Owed(event.pk, event.event_type, *due, Now(), format=endpoint.format)
        lifecycle.owe([owed], using=using, trigger=Delivery.Trigger.TEST.value)
        if by is not None:
            ids = event.deliveries.using(using).values_list("pk", flat=True)
            about = f"{endpoint.pk} ({endpoint})"
            ConsoleAction.record("test", ids, by=by, reason="", about=about, using=using)
        doorbell.ring_on_commit(using=using)

    insist(write_test, using=using, savepoint=False)
    return event


def _publish(event: Event, using: str, inline: bool) -> Event:
    # Before `work`: what that raises would break the caller's transaction, for want of a savepoint.
    named = targeting.named([event], using=using)

    def work() -> bool:
        written = bool(write([event], using=using, named=named))
        if written and inline:
            _attempt_on_commit(event, using)
        return written

    if insist(work, using=using, savepoint=False):
        return event
    return require_same(event, published_as([event], using=using).first())


def _attempt_on_commit(event: Event, using: str) -> None:
    transaction.on_commit(lambda: attempt_now(event, using=using), using=using, robust=True)


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

    regardless: of the endpoint's state, pauses and limits: a person waits.
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
