"""Reads, for rows that were claimed, all that one attempt needs: address, secrets, body, policy."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import F

from webhook_delivery.claims import Claim, lease_seconds
from webhook_delivery.clock import Now, elapsed
from webhook_delivery.cloudevents import STRUCTURED, Happened, binary, structured
from webhook_delivery.conf import settings
from webhook_delivery.lapsing import lapsed
from webhook_delivery.models import (
    Attempt,
    Delivery,
    DeliveryQuerySet,
    Endpoint,
    EndpointQuerySet,
    Event,
)
from webhook_delivery.models.event import webhook_id
from webhook_delivery.outcomes import Policy
from webhook_delivery.policies import policy_of

ORPHANED: dict[str, Any] = {
    **dict.fromkeys(("url", "webhook_id", "content_type"), ""),
    "timeout": 0.0,
    "sealed_secrets": (),
    "body": b"",
    "policy": Policy(schedule=(), retry_after_cap=0.0),
    "orphaned": True,
}
"""What there is of a delivery whose event or endpoint is gone: nothing, and it is not retried."""
HOLLOW = ORPHANED | {"orphaned": False, "hollow": True}
"""What there is of one whose event has lost its body: never an empty one is sent in its place."""


class Row(NamedTuple):
    """The columns of a delivery that a claim needs."""

    pk: int
    event_id: uuid.UUID
    endpoint_id: int
    claim: uuid.UUID | None
    attempts_made: int
    attempts_forgiven: int
    trigger: str
    sequence: int | None
    format: str
    due_at: datetime
    created_at: datetime
    now: datetime


COLUMNS = [name for name in Row._fields if name != "now"]


def rows_of(deliveries: DeliveryQuerySet) -> list[Row]:
    return [Row(*columns) for columns in deliveries.values_list(*COLUMNS, Now())]


def load(
    rows: Sequence[Row],
    endpoints: Mapping[int, Endpoint],
    *,
    leased: float,
    using: str,
    doubted: Collection[int] = (),
    ailing: Collection[int] = (),
) -> list[Claim]:
    """
    Read the claims that these rows stand for; what has no event or no endpoint is orphaned.

    endpoints: as `reached` gives them; without their secrets nothing can be sent.
    leased: when they were asked for, by `elapsed()`.
    doubted: the endpoints that failed the last time. ailing: those that nothing has reached since.
    """
    events = _events({row.event_id for row in rows}, using)
    firsts = _firsts(rows, using)
    late = lapsed(_unforced(rows), now=rows[0].now, using=using) if rows else set()
    common = {"lease": lease_seconds(), "_leased": leased, "_dated": elapsed()}
    needs = _Needs(events)
    return [
        _claim_of(
            row,
            doubted=row.endpoint_id in doubted,
            ailing=row.endpoint_id in ailing,
            first_attempted_at=firsts.get(row.pk),
            lapsed=row.pk in late,
            **needs.of(row, endpoints.get(row.endpoint_id)),
            **common,
        )
        for row in rows
    ]


def with_secrets(endpoints: EndpointQuerySet) -> EndpointQuerySet:
    """Each endpoint once for each of its secrets, the newest first: for `reached`."""
    secret = {"sealed": F("secrets__sealed"), "valid_until": F("secrets__valid_until")}
    return endpoints.annotate(now=Now(), **secret).order_by("-secrets__pk")


def reached(endpoints: EndpointQuerySet) -> dict[int, Endpoint]:
    """The endpoints, once each, with the secrets that sign now."""
    found: dict[int, Endpoint] = {}
    for row in endpoints:
        facts = vars(row)
        secrets = vars(found.setdefault(row.pk, row)).setdefault("sealed_secrets", [])
        until = facts["valid_until"]
        if facts["sealed"] is not None and (until is None or until > facts["now"]):
            secrets.append(bytes(facts["sealed"]))
    return found


def _events(ids: Collection[uuid.UUID], using: str) -> dict[uuid.UUID, Happened | None]:
    """None: it has lost its body."""
    rows = Event.objects.using(using).filter(pk__in=ids)
    names = ("event_type", "created_at", "content_type", "body")
    more = ("source", "expires_at", "traceparent")
    where = settings.CLOUDEVENTS_SOURCE
    found = {
        pk: Happened(webhook_id(pk), kind, at, media, bytes(body), where, *rest)
        for pk, kind, at, media, body, *rest in rows.whole().values_list("pk", *names, *more)
    }
    hollow = rows.filter(pk__in=set(ids) - set(found)).values_list("pk", flat=True)
    return {**found, **dict.fromkeys(hollow if len(found) < len(ids) else ())}


def _firsts(rows: Sequence[Row], using: str) -> dict[int, datetime]:
    """When those that are not attempted for the first time were."""
    again = [row.pk for row in rows if row.attempts_made > 1]
    if not again:
        return {}
    attempts = Attempt.objects.using(using).filter(delivery__in=again, number=1)
    return dict(attempts.values_list("delivery_id", "started_at"))


def _unforced(rows: Sequence[Row]) -> dict[int, datetime]:
    """What nobody asked for is not sent however late: when each was made."""
    return {row.pk: row.created_at for row in rows if row.trigger == Delivery.Trigger.SCHEDULE}


def _claim_of(row: Row, **needs: Any) -> Claim:
    assert row.claim is not None
    return Claim(
        token=row.claim,
        delivery_id=row.pk,
        number=row.attempts_made,
        number_in_run=row.attempts_made - row.attempts_forgiven,
        trigger=row.trigger,
        endpoint_id=row.endpoint_id,
        sequence=row.sequence,
        due_at=row.due_at,
        claimed_at=row.now,
        **needs,
    )


class _Needs:
    """What attempts need of an endpoint and its policies, worked out once for each."""

    def __init__(self, events: Mapping[uuid.UUID, Happened | None]) -> None:
        self._events = events
        self._reached: dict[int, dict[str, Any]] = {}
        self._policies: dict[tuple[int, str, str], Policy] = {}
        self._written: dict[tuple[str, str], dict[str, Any]] = {}

    def of(self, row: Row, endpoint: Endpoint | None) -> dict[str, Any]:
        if row.event_id not in self._events or endpoint is None:
            return ORPHANED
        if (event := self._events[row.event_id]) is None:
            return HOLLOW
        policy = endpoint.pk, event.event_type, row.trigger
        if endpoint.pk not in self._reached:
            self._reached[endpoint.pk] = _reach(endpoint)
        if policy not in self._policies:
            self._policies[policy] = policy_of(endpoint, event.event_type, row.trigger)
        written = event.webhook_id, row.format
        if written not in self._written:
            self._written[written] = write(event, row.format)
        return {
            "webhook_id": event.webhook_id,
            "policy": self._policies[policy],
            "traceparent": event.traceparent,
            "expires_at": event.expires_at if row.trigger == Delivery.Trigger.SCHEDULE else None,
            **self._written[written],
            **self._reached[endpoint.pk],
        }


def write(event: Happened, as_: str) -> dict[str, Any]:
    """The same bytes for each attempt: they follow from the event and nothing else."""
    match as_:
        case Endpoint.Format.STRUCTURED:
            return {"content_type": STRUCTURED, "body": structured(event)}
        case Endpoint.Format.BINARY:
            media = event.content_type
            return {"content_type": media, "body": event.data, "headers": binary(event)}
        case _:
            return {"content_type": event.content_type, "body": event.body}


def _reach(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "url": endpoint.url,
        "timeout": _timeout_of(endpoint),
        "sealed_secrets": tuple(vars(endpoint).get("sealed_secrets", ())),
        "sealed_headers": bytes(endpoint.sealed_headers),
        "ca_bundle": endpoint.ca_bundle,
        "sealed_client_certificate": bytes(endpoint.sealed_client_certificate),
        "tls_minimum": endpoint.tls_minimum,
    }


def _timeout_of(endpoint: Endpoint) -> float:
    own = endpoint.timeout_seconds or 0.0
    return min(own if own > 0 else settings.TIMEOUT_SECONDS, settings.MAX_TIMEOUT_SECONDS)
