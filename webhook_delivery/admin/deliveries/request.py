"""The request that an attempt makes, as it is sent; what is secret of it is masked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from webhook_delivery import keys, signing
from webhook_delivery.admin.deliveries import curl
from webhook_delivery.admin.endpoints.wire import MASK
from webhook_delivery.admin.payload import Payload
from webhook_delivery.cloudevents import Happened
from webhook_delivery.conf import settings
from webhook_delivery.dispatch import known_to_all
from webhook_delivery.headers import sendable
from webhook_delivery.loading import write
from webhook_delivery.models import Delivery, Endpoint


@dataclass(frozen=True)
class Request:
    """What each attempt at one delivery sends."""

    payload: Payload
    first_at: datetime
    """When the first attempt began."""
    said_by_format: Mapping[str, str] = field(default_factory=dict)
    own: tuple[str, ...] = ()
    """The names of what the endpoint asks for now."""
    trace: str = ""
    """What the receiver is told of the trace now; of each attempt it names another span."""

    @classmethod
    def of(cls, delivery: Delivery, first_at: datetime) -> Request:
        written = write(_happened(delivery), delivery.format)
        payload = Payload(delivery.event.webhook_id, written["content_type"], written["body"])
        own, told = _names_of(delivery.endpoint), settings.PROPAGATE_TRACE
        trace = _spanless(delivery.event.traceparent) if told else ""
        return cls(payload, first_at, written.get("headers", {}), own, trace)

    def headers(self, number: int, at: datetime) -> dict[str, str]:
        """All that the attempt of that number sent, in the order in which `dispatch` does."""
        traced = {"traceparent": self.trace} if self.trace else {}
        return {**self._unsigned(number), **traced, **self._signature(at)}

    def as_curl(self, number: int, *, url: str | None) -> str:
        """The same for a shell; without the URL, if it is not to be shown."""
        return curl.script(
            url=url,
            webhook_id=self.payload.webhook_id,
            headers=self._unsigned(number, mask=curl.MASK),
            body=self.payload.body,
            file=self.payload.file_name,
            prefix=settings.HEADER_PREFIX,
            notes=self._notes(url),
        )

    def _unsigned(self, number: int, *, mask: str = MASK) -> dict[str, str]:
        known = known_to_all(self.payload.content_type, number, self.first_at)
        return {**dict.fromkeys(self.own, mask), **self.said_by_format, **known}

    def _signature(self, at: datetime) -> dict[str, str]:
        when, prefix = int(at.timestamp()), settings.HEADER_PREFIX
        three = signing.headers(self.payload.webhook_id, when, b"", [], prefix=prefix)
        return {name: value or MASK for name, value in three.items()}

    def _notes(self, url: str | None) -> list[str]:
        notes = [_("To sign it, set WEBHOOK_SECRET to the endpoint's secret first: whsec_…")]
        if url is None:
            notes.append(_("And WEBHOOK_URL to the endpoint's URL."))
        if self.own:
            notes.append(_("Put the endpoint's own values in the place of %s.") % curl.MASK)
        if self.payload.bytes > curl.LARGEST:
            notes.append(_("Download the body to %s first.") % self.payload.file_name)
        return notes


def _happened(delivery: Delivery) -> Happened:
    event = delivery.event
    return Happened(
        event.webhook_id,
        event.event_type,
        event.created_at,
        event.content_type,
        bytes(event.body),
        source=settings.CLOUDEVENTS_SOURCE,
        subject=event.source,
    )


def _spanless(traceparent: str) -> str:
    """The same trace, without the span that published: each attempt's own was sent instead."""
    parts = traceparent.split("-")
    return "-".join([*parts[:2], MASK, *parts[3:]]) if len(parts) > 3 else ""


@sensitive_variables()
def _names_of(endpoint: Endpoint) -> tuple[str, ...]:
    """What the endpoint asks for beside ours; nothing, if it cannot be opened."""
    sealed = bytes(endpoint.sealed_headers)
    try:
        opened = keys.unseal(sealed, owner=endpoint.pk) if sealed else "{}"
    except keys.SecretUnavailable:
        return ()
    return tuple(sendable(json.loads(opened), prefix=settings.HEADER_PREFIX))
