"""Events: what happened, what became of it, and its body for who may see that."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from django.db import router
from django.db.models import Count
from django.http import Http404
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from webhook_delivery import erasing, forwarding
from webhook_delivery.api.base import ListView
from webhook_delivery.api.describing import EVENT, Said
from webhook_delivery.api.fields import Moment, Number
from webhook_delivery.api.filters import EventFilter
from webhook_delivery.api.paging import EventPages
from webhook_delivery.api.problems import Conflict
from webhook_delivery.api.reading import Reasoned, Strict
from webhook_delivery.api.showing import DeliverySerializer, Shown, with_last_attempts
from webhook_delivery.models import Delivery, Event
from webhook_delivery.models.event import event_of
from webhook_delivery.tenancy import may, of_tenants, tenants_of

OWED = 50
"""How many of an event's deliveries are in its answer; the rest is listed."""


class EventSerializer(Shown):
    """Something that happened."""

    id = serializers.CharField(source="webhook_id", help_text="The `webhook-id` of its requests.")
    event_type = serializers.CharField()
    tenant = serializers.CharField()
    key = serializers.CharField(help_text="Events of one key reach each endpoint in order.")
    idempotency_key = serializers.CharField(allow_null=True)
    source = serializers.CharField(  # type: ignore[assignment] # a field, for DRF's metaclass
        help_text="What it is about: `shop.order:7`."
    )
    content_type = serializers.CharField()
    created_at = Moment()
    deliver_at = Moment(allow_null=True)
    expires_at = Moment(allow_null=True)
    pruned_at = Moment(allow_null=True, help_text="When its body was removed, its time being over.")
    erased_at = Moment(allow_null=True, help_text="When a person had its body erased.")
    fates = serializers.DictField(
        child=serializers.IntegerField(), help_text="How many of its deliveries are in each state."
    )


class EventDetailSerializer(EventSerializer):
    """An event with its body and its first deliveries."""

    body = serializers.CharField(
        allow_null=True, help_text="Null: not for who may not see payloads."
    )
    body_encoding = serializers.ChoiceField(choices=["utf-8", "base64"], allow_null=True)
    search_keys = serializers.DictField(
        child=serializers.CharField(),
        allow_null=True,
        help_text="Out of the body. Null: not for who may not see payloads.",
    )
    deliveries = DeliverySerializer(
        many=True, allow_null=True, help_text=f"The first {OWED}; null: not for who may not see."
    )


class EraseSerializer(Strict):
    """Why; it cannot be undone."""

    reason = serializers.CharField(max_length=200, help_text="Why; kept with who did it, and when.")


class ErasedSerializer(Shown):
    """What was erased."""

    changed = serializers.BooleanField(help_text="False: it had been erased already.")
    message = serializers.CharField()


class ForwardSerializer(Reasoned):
    """To whom, and why."""

    endpoint = Number()


class EventView(ListView):
    """What happened."""

    resource = "events"
    tenant_field = "tenant"
    queryset = Event.objects.defer("body")
    serializer_class = EventSerializer
    said = {
        "list": Said(EventSerializer, links={"events.retrieve": "$response.body#/results/0/id"}),
        "retrieve": Said(
            EventDetailSerializer,
            links={"deliveries.retrieve": "$response.body#/deliveries/0/id"},
        ),
        "erase": Said(ErasedSerializer, EraseSerializer, example={"reason": "at their request"}),
        "forward": Said(
            DeliverySerializer, ForwardSerializer, 201, {"endpoint": 7, "reason": "they asked"}
        ),
    }
    filterset_class = EventFilter
    pagination_class = EventPages
    identified = EVENT

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """A page of events, the latest first, each with what became of it."""
        return super().list(request)

    def represented(self, rows: Any) -> Any:
        return super().represented(_with_fates(rows))

    def retrieve(self, request: Request, pk: str) -> Response:
        """One event: its body, what it can be searched by, and what it is owed to."""
        wanted = event_of(pk)
        event = self.get_queryset().defer(None).filter(pk=wanted).first() if wanted else None
        if event is None:
            raise Http404
        [event] = _with_fates([event])
        event.owed = self._owed(request, event)
        return Response(EventDetailSerializer(self._told(request, event)).data)

    @action(detail=True, methods=["post"])
    def erase(self, request: Request, pk: str) -> Response:
        """Erase its body for good, and what repeats it; what is still owed of it is dead then."""
        given, event = self.given(EraseSerializer), self._own(pk)
        if event.erased_at is not None:
            told = {"changed": False, "message": erasing.why_hollow(event)}
        else:
            done = erasing.erase(event, by=request.user, reason=given["reason"])
            told = {"changed": True, "message": erasing.message_of_erasing(done)}
        return Response(ErasedSerializer(told).data)

    @action(detail=True, methods=["post"])
    def forward(self, request: Request, pk: str) -> Response:
        """Owe it to one more endpoint of its tenant, whatever that is subscribed to."""
        given, event = self.given(ForwardSerializer), self._own(pk)
        done = forwarding.forward(event, given["endpoint"], by=request.user, reason=given["reason"])
        if done.delivery is None:
            raise Conflict(done.obstacle)
        [made] = with_last_attempts([done.delivery])
        return Response(DeliverySerializer(made).data, status.HTTP_201_CREATED)

    def _own(self, pk: str) -> Event:
        """As it is where it can be changed. Raises Http404."""
        wanted = event_of(pk)
        rows = self.get_queryset().using(router.db_for_write(Event))
        event: Event | None = rows.filter(pk=wanted).first() if wanted else None
        if event is None:
            raise Http404
        return event

    def _owed(self, request: Request, event: Event) -> Sequence[Delivery] | None:
        if not may(request, "view_delivery"):
            return None
        rows = of_tenants(event.deliveries.all(), tenants_of(request), by="endpoint__tenant")
        owed = rows.select_related("endpoint").order_by("pk")
        return with_last_attempts(owed[:OWED])

    def _told(self, request: Request, event: Any) -> dict[str, Any]:
        facts = {name: getattr(event, name) for name in EventSerializer._declared_fields}
        facts["webhook_id"] = event.webhook_id
        body, encoding = _readable(bytes(event.body))
        shown = may(request, "view_payload")
        keys = event.search_keys.all() if shown else []
        return {
            **facts,
            "body": body if shown else None,
            "body_encoding": encoding if shown else None,
            "search_keys": {each.key: each.value for each in keys} if shown else None,
            "deliveries": event.owed,
        }


def _readable(body: bytes) -> tuple[str, str]:
    try:
        return body.decode(), "utf-8"
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), "base64"


def _with_fates(events: Any) -> list[Any]:
    """Read what became of each of a page of events, all at once."""
    rows = list(events)
    using = rows[0]._state.db if rows else None
    counted = Delivery.objects.using(using).filter(event__in=rows).order_by()
    fates: dict[Any, dict[str, int]] = defaultdict(dict)
    for event, state, number in counted.values_list("event", "state").annotate(Count("pk")):
        fates[event][state] = number
    for row in rows:
        row.fates = fates[row.pk]
    return rows
