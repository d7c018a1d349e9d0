"""Deliveries: found, explained, sent again, brought forward, discarded and restored."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from django.db import router
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from webhook_delivery import redelivery
from webhook_delivery.api.base import ListView
from webhook_delivery.api.describing import Said
from webhook_delivery.api.filters import DeliveryFilter
from webhook_delivery.api.once import once
from webhook_delivery.api.problems import Conflict
from webhook_delivery.api.reading import Reasoned
from webhook_delivery.api.showing import (
    DeliverySerializer,
    DetailSerializer,
    Shown,
    with_last_attempts,
)
from webhook_delivery.models import Delivery
from webhook_delivery.redelivery import Done
from webhook_delivery.tenancy import may

State = Delivery.State


@dataclass(frozen=True)
class Act:
    """What may be done with a delivery."""

    verb: Callable[..., Done]
    message: Callable[[Done], str]
    already: Collection[str]
    """In these states nothing is left to do: asked twice is done once."""


REDELIVER = Act(
    redelivery.redeliver, redelivery.message_of_redelivery, {State.PENDING, State.SENDING}
)
RETRY_NOW = Act(
    redelivery.retry_now, redelivery.message_of_retrying, {State.PENDING, State.SENDING}
)
DISCARD = Act(redelivery.discard, redelivery.message_of_discarding, {State.DISCARDED})
RESTORE = Act(redelivery.restore, redelivery.message_of_restoring, {State.DEAD})


NEXT = {
    f"deliveries.{name}": "$response.body#/results/0/id"
    for name in ("retrieve", "redeliver", "retry_now", "discard", "restore")
}
"""What may be done with the first of a page."""


class DoneSerializer(Shown):
    """What came of an act."""

    changed = serializers.BooleanField(help_text="False: it was so already.")
    message = serializers.CharField()
    delivery = DeliverySerializer()


class DeliveryList(ListView):
    """Deliveries of any kind, page by page."""

    tenant_field = "endpoint__tenant"
    queryset = Delivery.objects.select_related("endpoint")
    serializer_class = DeliverySerializer
    filterset_class = DeliveryFilter

    def represented(self, rows: Any) -> Any:
        return super().represented(with_last_attempts(rows))


class DeliveryView(DeliveryList):
    """What is owed to whom, and how that goes."""

    resource = "deliveries"
    said = {
        "list": Said(DeliverySerializer, links=NEXT),
        "retrieve": Said(DetailSerializer),
        **{
            name: Said(DoneSerializer, Reasoned, example={"reason": "after deploy 4.2"}, once=True)
            for name in ("redeliver", "retry_now", "discard", "restore")
        },
    }

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """A page of deliveries, the latest first."""
        return super().list(request)

    def retrieve(self, request: Request, pk: int) -> Response:
        """One delivery, with all of its attempts."""
        [row] = with_last_attempts([self.get_object()])
        context = {"may_see_payloads": may(request, "view_payload")}
        return Response(DetailSerializer(row, context=context).data)

    @action(detail=True, methods=["post"])
    @once
    def redeliver(self, request: Request, pk: int) -> Response:
        """Send a dead or delivered one again: same id, same bytes, a fresh budget of attempts."""
        return self._perform(request, REDELIVER)

    @action(detail=True, methods=["post"], url_path="retry-now")
    @once
    def retry_now(self, request: Request, pk: int) -> Response:
        """Bring the next attempt forward of one that waits for it."""
        return self._perform(request, RETRY_NOW)

    @action(detail=True, methods=["post"])
    @once
    def discard(self, request: Request, pk: int) -> Response:
        """Hide a dead letter, until it is restored."""
        return self._perform(request, DISCARD)

    @action(detail=True, methods=["post"])
    @once
    def restore(self, request: Request, pk: int) -> Response:
        """Bring a discarded one back among the dead letters."""
        return self._perform(request, RESTORE)

    def _perform(self, request: Request, act: Act) -> Response:
        given = self.given(Reasoned)
        delivery: Delivery = self.get_object()
        using = router.db_for_write(Delivery)
        own = Delivery.objects.using(using).filter(pk=delivery.pk)
        done = act.verb(own, by=request.user, reason=given["reason"])
        [row] = with_last_attempts(own.select_related("endpoint"))
        if not done.count and row.state not in act.already:
            raise Conflict(redelivery.obstacle(row) if act is REDELIVER else act.message(done))
        told = {"changed": bool(done.count), "message": act.message(done), "delivery": row}
        return Response(DoneSerializer(told).data)
