"""The queue of what has still to arrive: how long it is, what is in it, and sending it now."""

from __future__ import annotations

from typing import Any, cast

from django.db import router
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from webhook_delivery import loop, tenancy
from webhook_delivery.api.deliveries import NEXT, DeliveryList
from webhook_delivery.api.describing import Said
from webhook_delivery.api.fields import Float, Moment
from webhook_delivery.api.reading import Strict
from webhook_delivery.api.showing import DeliverySerializer, Shown
from webhook_delivery.backlog import backlog_of
from webhook_delivery.counting import count
from webhook_delivery.models import Delivery, DeliveryQuerySet

COUNTED = 10_000
"""So many are counted exactly."""
LONGEST_SECONDS, MOST = 60, 10_000
QUEUED = [
    Delivery.State.PENDING,
    Delivery.State.SENDING,
    Delivery.State.HELD,
    Delivery.State.DEAD,
]


class DrainSerializer(Strict):
    """How much to send now, at most."""

    seconds = Float(
        default=10, min_value=0.1, max_value=LONGEST_SECONDS, help_text="Then begin nothing new."
    )
    most = serializers.IntegerField(
        default=1000, min_value=1, max_value=MOST, help_text="So many attempts at most."
    )


class DrainedSerializer(Shown):
    """What a drain did, and what it left."""

    delivered = serializers.IntegerField()
    retried = serializers.IntegerField(help_text="Failed, and waits for its next attempt.")
    dead = serializers.IntegerField(help_text="Failed, and will not be attempted again.")
    left = serializers.IntegerField(help_text=f"Still due, counted up to {COUNTED}.")
    next_due_seconds = serializers.FloatField(
        allow_null=True, help_text="Until the next may be sent; null: none waits."
    )


class CountsSerializer(Shown):
    """How many there are."""

    due = serializers.IntegerField(help_text="Their time has come, and their endpoints are on.")
    waiting = serializers.IntegerField(help_text="For a later attempt, or for their turn.")
    sending = serializers.IntegerField()
    held = serializers.IntegerField(help_text="Until their endpoints are resumed.")
    dead = serializers.IntegerField(help_text="Not to be attempted again, unless you redeliver.")


class QueueSerializer(Shown):
    """How long the queue is, and a page of it."""

    counts = CountsSerializer()
    capped = serializers.ListField(
        child=serializers.CharField(), help_text=f"Which counts stop at {COUNTED}: there are more."
    )
    oldest_due_at = Moment(allow_null=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = DeliverySerializer(many=True)


class RetryView(DeliveryList):
    """What has still to arrive."""

    resource = "retries"
    said = {
        "list": Said(QueueSerializer, links=NEXT),
        "drain": Said(DrainedSerializer, DrainSerializer, example={"seconds": 10, "most": 100}),
    }

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """How long the queue is, and a page of it: what waits, is being sent, is held, or dead."""
        response = super().list(request)
        response.data = {**self._counted(), **response.data}
        return response

    def filter_queryset(self, queryset: Any) -> Any:
        asked = self.request.query_params.get("state")
        return super().filter_queryset(queryset if asked else queryset.filter(state__in=QUEUED))

    def _counted(self) -> dict[str, Any]:
        rows = cast(DeliveryQuerySet, self.get_queryset().select_related(None))
        told = backlog_of(rows, cap=COUNTED).as_dict()
        oldest = told["oldest_due_at"]
        return {
            "counts": {name: told[str(name)] for name in CountsSerializer().fields},
            "capped": told["capped"],
            "oldest_due_at": oldest and Moment().to_representation(oldest),
        }

    @action(detail=False, methods=["post"])
    def drain(self, request: Request) -> Response:
        """Send what is due now, in this process; what falls due meanwhile may be sent too."""
        if tenancy.tenants_of(request) is not None:
            raise PermissionDenied("Draining sends what is due to every tenant: it is not for you.")
        given, using = self.given(DrainSerializer), router.db_for_write(Delivery)
        report = loop.once(using=using, **given)
        left = count(Delivery.objects.using(using).due(), cap=COUNTED)
        told = {
            "delivered": report.delivered,
            "retried": report.retried,
            "dead": report.dead,
            "left": left.of,
            "next_due_seconds": report.next_due,
        }
        return Response(DrainedSerializer(told).data)
