"""Composes events: what is said becomes a row with its bytes, or is refused before any SQL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model
from django.utils import timezone

from webhook_delivery import fitting
from webhook_delivery.conf import settings
from webhook_delivery.models import Endpoint, Event
from webhook_delivery.payloads import JSON, body_of
from webhook_delivery.references import reference_of
from webhook_delivery.validation import validate_content_type, validate_event_type, validate_text

EARLIEST, LATEST = 1970, 9998
"""The first and the last year that every database keeps, in any time zone."""
EVER = datetime(EARLIEST, 1, 1, tzinfo=UTC)


class InvalidEvent(ValueError):
    """What `publish` was given cannot be stored; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """
    Something that happened: `NewEvent("order.shipped", {"number": 7}, tenant="acme")`.

    The arguments are those of `publish`, which says what each means.
    """

    event_type: str
    payload: Any = None
    _: KW_ONLY
    tenant: str = ""
    idempotency_key: str | None = None
    key: str = ""
    deliver_at: datetime | timedelta | None = None
    expires_at: datetime | timedelta | None = None
    endpoints: Iterable[Endpoint | int] | None = None
    content_type: str = JSON
    source: str | Model = ""


def compose(new: NewEvent) -> Event:
    """Build the row, body and all. Raises InvalidEvent and PayloadNotSerializable."""
    now = timezone.now()
    event = Event(
        event_type=new.event_type,
        tenant=new.tenant,
        idempotency_key=new.idempotency_key,
        key=new.key,
        content_type=new.content_type,
        source=_source(new.source)[:200],
        created_at=now,
        deliver_at=_moment(new, "deliver_at", now),
        expires_at=_moment(new, "expires_at", now),
        targeted=new.endpoints is not None,
    )
    event.targets = _targets(new)
    _validate(event)
    if event.content_type != JSON and not isinstance(new.payload, bytes):
        raise InvalidEvent(f"{new.event_type!r}: a content_type is for a payload given as bytes.")
    event.body = body_of(new.event_type, new.payload, at=now)
    if settings.VALIDATE_EVENTS:
        _require_fit(event, enveloped=not isinstance(new.payload, bytes))
    return event


def _require_fit(event: Event, *, enveloped: bool) -> None:
    """Look at what will be sent; bytes of somebody's own making have no data that we could find."""
    name = event.event_type
    if settings.VALIDATE_EVENTS == "catalogue" and not fitting.known(name):
        raise InvalidEvent(f"{name!r} is not in the catalogue: describe() it in a webhooks.py.")
    if not enveloped:
        return
    misfits = fitting.misfits(name, json.loads(bytes(event.body))["data"])
    if misfits:
        more = f", and {len(misfits) - 1} more" if len(misfits) > 1 else ""
        raise InvalidEvent(f"{name!r} does not fit its schema: {misfits[0]}{more}.")


def _source(about: str | Model) -> str:
    try:
        return reference_of(about) if isinstance(about, Model) else about
    except ValueError as error:
        raise InvalidEvent(str(error)) from None


def _moment(new: NewEvent, name: str, now: datetime) -> datetime | None:
    given = getattr(new, name)
    try:
        moment = now + given if isinstance(given, timedelta) else given
        aware = isinstance(moment, datetime) and moment.tzinfo is not None
        kept = moment.astimezone(UTC) if aware else None
    except OverflowError:
        kept = None
    if given is not None and (kept is None or not EARLIEST <= kept.year <= LATEST):
        raise InvalidEvent(
            f"{new.event_type!r}: {name} must be a datetime with a time zone, or a timedelta from "
            f"now, not {given!r}."
        )
    return kept


def _targets(new: NewEvent) -> frozenset[int]:
    """The numbers of the endpoints that are named."""
    given: Any = () if new.endpoints is None else new.endpoints
    if not isinstance(given, Iterable) or isinstance(given, Iterator | Mapping | str | bytes):
        raise InvalidEvent(f"{new.event_type!r}: endpoints must be a list, not {given!r}.")
    return frozenset(_target(new.event_type, each) for each in given)


def _target(event_type: str, given: Any) -> int:
    number = given.pk if isinstance(given, Endpoint) else given
    if type(number) is not int:
        raise InvalidEvent(f"{event_type!r}: {given!r} is no saved endpoint, nor the id of one.")
    return number


def _validate(event: Event) -> None:
    """A database that refuses a value would take the caller's transaction with it."""
    try:
        validate_event_type(event.event_type)
        validate_text("tenant", event.tenant, longest=100)
        validate_content_type(event.content_type)
        validate_text("source", event.source, longest=200)
        validate_text("key", event.key, longest=200)
        if event.idempotency_key is not None:
            validate_text("idempotency_key", event.idempotency_key, longest=200, shortest=1)
    except ValidationError as error:
        raise InvalidEvent(f"{event.event_type!r}: {error.messages[0]}") from None
    if event.expires_at and event.expires_at <= (event.deliver_at or EVER):
        raise InvalidEvent(f"{event.event_type!r}: it would expire before it is delivered.")
