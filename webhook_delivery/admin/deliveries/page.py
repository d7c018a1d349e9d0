"""What the page of one delivery shows to one user."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from django.http import HttpRequest

from webhook_delivery.admin import hints, times, words
from webhook_delivery.admin.deliveries.prospects import Prospects, own_policy, prospects_of
from webhook_delivery.admin.deliveries.request import Request
from webhook_delivery.admin.deliveries.surroundings import Around, Link, deliveries_of
from webhook_delivery.admin.deliveries.timeline import Timeline, bars_of, timeline_of
from webhook_delivery.admin.payload import HIDDEN, PayloadAdmin
from webhook_delivery.admin.text import visible
from webhook_delivery.erasing import why_hollow
from webhook_delivery.models import Delivery, RedeliveryBatch
from webhook_delivery.tenancy import may

SIBLINGS = 20
"""How many deliveries of the same event are shown beside this one."""


@dataclass(frozen=True)
class Page:
    """One delivery, as far as who asks may see it. Eight statements at most, for any number."""

    admin: PayloadAdmin
    request: HttpRequest
    delivery: Delivery
    around: Around

    @classmethod
    def of(cls, admin: PayloadAdmin, request: HttpRequest, delivery: Delivery) -> Page | None:
        """Look around the delivery; None if it is gone."""
        whole = may(request, "view_payload")
        rows: Any = admin.get_queryset(request)
        around = Around.of(delivery, rows, body=whole)
        return None if around is None else cls(admin, request, delivery, around)

    def context(self) -> dict[str, Any]:
        """What the template needs besides what every admin page has, and the buttons."""
        delivery = self.delivery
        siblings, more = self._siblings
        return {
            "delivery": delivery,
            "names": {
                "endpoint": visible(delivery.endpoint.name),
                "event_type": visible(delivery.event.event_type),
            },
            "facts": hints.facts_of(delivery, own_policy(delivery).max_attempts),
            "ended": times.element(delivery.ended_at),
            "tried_for": self._tried_for,
            "prospects": self._prospects,
            "timeline": self._timeline,
            "batches": [(batch, self._link(batch)) for batch in self._batches],
            "bars": bars_of(self._timeline.attempts),
            "payload": self._sent and self._sent.payload,
            "hidden": why_hollow(delivery.event) or HIDDEN,
            "curl": self._sent and self._curl(self._sent),
            "siblings": siblings,
            "more_siblings": more,
            "links": self._links(),
        }

    @property
    def _link(self) -> Link:
        return partial(self.admin.link_to, self.request)

    @cached_property
    def _sent(self) -> Request | None:
        """What is sent; None if the body was not read, for it is not for who asks, or is gone."""
        if self.around.body is None or self.delivery.event.hollow:
            return None
        self.delivery.event.body = self.around.body
        return Request.of(self.delivery, self.around.first_at or self.delivery.created_at)

    @property
    def _tried_for(self) -> str:
        """From the first attempt to the end; empty while there is no end."""
        first, ended = self.around.first_at, self.delivery.ended_at
        return words.span((ended - first).total_seconds()) if first and ended else ""

    @cached_property
    def _prospects(self) -> Prospects:
        return prospects_of(self.delivery, self.around)

    @cached_property
    def _timeline(self) -> Timeline:
        return timeline_of(self.delivery, self._sent, before=self._older, link=self._link)

    @property
    def _batches(self) -> list[RedeliveryBatch]:
        """The redeliveries of many that it was a part of, each once."""
        moves = (entry.transition.batch for entry in self._timeline.moves)
        return list({batch.pk: batch for batch in moves if batch}.values())

    @property
    def _older(self) -> int | None:
        """The number that “Show older” was pressed at; None: it was not."""
        asked = self.request.GET.get("older", "")
        return int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 10 else None

    @cached_property
    def _siblings(self) -> tuple[list[Any], bool]:
        others: Any = self.admin.get_queryset(self.request).exclude(pk=self.delivery.pk)
        return deliveries_of(self.delivery.event_id, others, self._link, most=SIBLINGS)

    def _curl(self, sent: Request) -> str:
        shown = may(self.request, "view_endpoint_url")
        url = self.delivery.endpoint.url if shown else None
        return sent.as_curl(max(1, self.delivery.attempts_made), url=url)

    def _links(self) -> dict[str, str]:
        delivery, own = self.delivery, self.admin.page_of(self.delivery)
        before, older = self._prospects.before, self._timeline.older
        event = delivery.event.webhook_id
        return {
            "event": self._link(delivery.event),
            "endpoint": self._link(delivery.endpoint),
            "payload": self.admin.url_of(delivery, "payload"),
            "payload_text": self.admin.url_of(delivery, "payload_text"),
            "before": self._link(before) if before else "",
            "older": self._kept(f"{own}?older={older}") if older else "",
            "newest": self._kept(own) if self._older else "",
            "all": f"{self.admin.list_of(Delivery)}?q={event}",
            "earlier": self._neighbour(self.around.earlier),
            "later": self._neighbour(self.around.later),
        }

    def _neighbour(self, pk: int | None) -> str:
        return self._kept(self.admin.page_of(Delivery(pk=pk))) if pk else ""

    def _kept(self, address: str) -> str:
        return self.admin.with_filters(self.request, address)
