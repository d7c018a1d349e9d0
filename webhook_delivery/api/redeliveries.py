"""Redeliveries of many: previewed, begun, watched, paused, slowed down and cancelled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

from django.db import router
from django.db.models import QuerySet
from django.utils import timezone
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from webhook_delivery import batches, tenancy
from webhook_delivery.api.base import ListView
from webhook_delivery.api.choosing import selection_for
from webhook_delivery.api.describing import Said
from webhook_delivery.api.filters import RedeliveryFilter
from webhook_delivery.api.once import once
from webhook_delivery.api.problems import Conflict
from webhook_delivery.api.reading import Reasoned
from webhook_delivery.api.redelivering import (
    ChangedSerializer,
    ChoiceSerializer,
    NewRedeliverySerializer,
    PreviewSerializer,
    RateSerializer,
    RedeliveryDetailSerializer,
    RedeliverySerializer,
)
from webhook_delivery.models import BatchQuerySet, RedeliveryBatch
from webhook_delivery.patience import TooSlow, patience
from webhook_delivery.selecting import right_for
from webhook_delivery.tenancy import may

NEW: dict[str, Any] = {
    "selection": {"endpoint": 7, "died_since": "2026-11-22T03:00:00Z"},
    "reason": "they are back",
    "rate": 10,
}
ACTS = ("retrieve", "pause", "resume", "cancel", "rate")
OF_FIRST = {f"redeliveries.{name}": "$response.body#/results/0/id" for name in ACTS}
OF_NEW = {f"redeliveries.{name}": "$response.body#/id" for name in ACTS}


State = RedeliveryBatch.State


class RedeliveryView(ListView):
    """Redeliveries of many."""

    resource = "redeliveries"
    tenant_field = "selection__tenants"
    queryset = RedeliveryBatch.objects.all()
    serializer_class = RedeliverySerializer
    filterset_class = RedeliveryFilter
    said = {
        "list": Said(RedeliverySerializer, links=OF_FIRST),
        "retrieve": Said(RedeliveryDetailSerializer),
        "create": Said(
            RedeliverySerializer, NewRedeliverySerializer, 201, NEW, once=True, links=OF_NEW
        ),
        "preview": Said(
            PreviewSerializer, ChoiceSerializer, example={"selection": NEW["selection"]}
        ),
        "pause": Said(ChangedSerializer, Reasoned, example={"reason": "it is too fast"}),
        "resume": Said(ChangedSerializer, Reasoned, example={"reason": "slower now"}),
        "cancel": Said(ChangedSerializer, Reasoned, example={"reason": "it was a mistake"}),
        "rate": Said(ChangedSerializer, RateSerializer, example={"rate": 2.5}),
    }

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """A page of redeliveries, the latest first."""
        return super().list(request)

    def scoped(self, rows: QuerySet[Any], tenants: Sequence[str]) -> QuerySet[Any]:
        return tenancy.redeliveries_of(cast(BatchQuerySet, rows), tenants)

    def retrieve(self, request: Request, pk: int) -> Response:
        """One redelivery, and how far it is."""
        batch = self.get_object()
        batch.progress = _progress(batch)
        return Response(RedeliveryDetailSerializer(batch).data)

    @once
    def create(self, request: Request) -> Response:
        """Begin to send again what is chosen, the oldest first; what comes later is not."""
        given = self.given(NewRedeliverySerializer)
        selection = self._selection(given.pop("selection"))
        batch = batches.start(selection, by=request.user, **given)
        return Response(self.get_serializer(batch).data, status.HTTP_201_CREATED)

    @action(detail=False, methods=["post"])
    def preview(self, request: Request) -> Response:
        """Say how many deliveries are chosen, and how many of them would be sent; send nothing."""
        selection = self._selection(self.given(ChoiceSerializer)["selection"])
        using = router.db_for_write(RedeliveryBatch)
        with patience(using=using):
            counts = batches.preview(selection, using=using)
        told = {
            "chosen": counts.chosen._asdict(),
            "sent": counts.sent._asdict(),
            "left": counts.left._asdict(),
        }
        return Response(PreviewSerializer(told).data)

    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: int) -> Response:
        """Send nothing more of it until it is resumed."""
        return self._switch(batches.pause, State.PAUSED, State.GUARDED)

    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: int) -> Response:
        """Go on where it stopped; its canary and its guard begin anew."""
        return self._switch(batches.resume, State.RUNNING)

    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: int) -> Response:
        """End it; what it has not sent is left as it is."""
        return self._switch(batches.cancel, State.CANCELLED)

    @action(detail=True, methods=["post"])
    def rate(self, request: Request, pk: int) -> Response:
        """Change how many a second it sends; null: as many as the endpoints' own limits allow."""
        rate = self.given(RateSerializer)["rate"]
        return self._do(partial(batches.set_rate, rate=rate))

    def _selection(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What is chosen. Raises PermissionDenied: more takes more rights."""
        right = right_for(given, at=timezone.now())
        if not may(self.request, right):
            raise PermissionDenied(f"To choose so much takes the permission {right}.")
        return selection_for(self.request, given)

    def _switch(self, verb: Callable[..., bool], *already: RedeliveryBatch.State) -> Response:
        reason = self.given(Reasoned)["reason"]
        return self._do(partial(verb, reason=reason), *already)

    def _do(self, verb: Callable[..., bool], *already: RedeliveryBatch.State) -> Response:
        """Do it if its state allows it. Raises Conflict."""
        batch, using = self.get_object(), router.db_for_write(RedeliveryBatch)
        changed = verb(batch.pk, by=self.request.user, using=using)
        now = RedeliveryBatch.objects.using(using).get(pk=batch.pk)
        if not changed and now.state not in already:
            raise Conflict(f"It is {now.get_state_display()}; nothing was changed.")
        return Response(ChangedSerializer({"changed": changed, "redelivery": now}).data)


def _progress(batch: RedeliveryBatch) -> batches.Progress | None:
    """Nothing of what was missed, which is like what any event makes; nor what takes too long."""
    if batch.kind == RedeliveryBatch.Kind.MISSED:
        return None
    try:
        with patience(using=str(batch._state.db)):
            return batches.progress(batch)
    except TooSlow:
        return None
