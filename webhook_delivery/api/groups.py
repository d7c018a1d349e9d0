"""Groups of dead letters by how they failed: found, acknowledged and reopened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any, ClassVar

from django.db import router
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from webhook_delivery import acknowledging, grouping, tenancy
from webhook_delivery.api.base import View
from webhook_delivery.api.describing import Said
from webhook_delivery.api.fields import Coming, Moment, Number
from webhook_delivery.api.problems import Conflict
from webhook_delivery.api.reading import Reasoned
from webhook_delivery.api.showing import Shown
from webhook_delivery.grouping import Failure
from webhook_delivery.models import Delivery, Endpoint
from webhook_delivery.outcomes import Fault
from webhook_delivery.patience import patience
from webhook_delivery.selecting import LARGEST_STATUS

MOST = 200
"""So many groups are told, the largest."""


class SeenToSerializer(Shown):
    """Who has seen to a group."""

    by = serializers.CharField()
    at = Moment()
    until = Moment(allow_null=True)
    note = serializers.CharField()


class GroupSerializer(Shown):
    """Dead letters that failed in the same way."""

    endpoint = Number()
    name = serializers.CharField(help_text="Of the endpoint.")
    reason = serializers.CharField()
    status = serializers.IntegerField(help_text="Of the last answers; 0: there was none.")
    hour = serializers.IntegerField(help_text="How many died within the last hour.")
    day = serializers.IntegerField()
    week = serializers.IntegerField()
    total = serializers.IntegerField()
    first = Moment(allow_null=True, help_text="When the first of them died.")
    last = Moment(allow_null=True)
    seen_to = SeenToSerializer(allow_null=True, help_text="Null: nobody has.")


class GroupsSerializer(Shown):
    """The largest groups."""

    results = GroupSerializer(many=True)


class WhichSerializer(Reasoned):
    """Which group, as the list has it."""

    endpoint = Number()
    failure = serializers.ChoiceField(
        choices=[*map(str, Fault)], help_text="The group's reason, one of the faults."
    )
    status = serializers.IntegerField(min_value=0, max_value=LARGEST_STATUS, default=0)


class AcknowledgementSerializer(WhichSerializer):
    """Which group, and for how long."""

    until = Coming(required=False, allow_null=True, help_text="Null: until it is empty.")


class SeenSerializer(Shown):
    """What came of it."""

    changed = serializers.BooleanField()


class GroupView(View):
    """Groups of dead letters."""

    resource = "groups"
    queryset = Delivery.objects.none()
    said: ClassVar = {
        "list": Said(GroupsSerializer),
        "acknowledge": Said(
            SeenSerializer,
            AcknowledgementSerializer,
            example={"endpoint": 7, "failure": "timeout", "reason": "ticket 42"},
        ),
        "reopen": Said(
            SeenSerializer, WhichSerializer, example={"endpoint": 7, "failure": "timeout"}
        ),
    }

    def list(self, request: Request) -> Response:
        """The largest groups of dead letters by endpoint, reason and status."""
        using = router.db_for_read(Delivery)
        with patience(using=using):
            week = grouping.beyond(using=using).exists()
            tenants = tenancy.tenants_of(request)
            found = grouping.groups(using=using, tenants=tenants, most=MOST, week=week)
        return Response(GroupsSerializer({"results": [_facts(each) for each in found]}).data)

    @action(detail=False, methods=["post"])
    def acknowledge(self, request: Request) -> Response:
        """Keep that somebody sees to a group, until it is empty, or until a moment before that."""
        given = self.given(AcknowledgementSerializer)
        verb = partial(acknowledging.acknowledge, until=given.get("until"))
        return self._do(given, verb, "There is no such group, or it was acknowledged just so.")

    @action(detail=False, methods=["post"])
    def reopen(self, request: Request) -> Response:
        """Tell of a group again at once, though somebody had seen to it."""
        given = self.given(WhichSerializer)
        return self._do(given, acknowledging.reopen, "Nobody had seen to it.")

    def _do(self, given: dict[str, Any], verb: Callable[..., bool], left: str) -> Response:
        failure = Failure(given["endpoint"], given["failure"], given["status"])
        act = partial(verb, failure, by=self.request.user, note=given["reason"])
        if not self._may_see(failure) or not act(using=router.db_for_write(Delivery)):
            raise Conflict(left)
        return Response(SeenSerializer({"changed": True}).data)

    def _may_see(self, failure: Failure) -> bool:
        """Whose endpoint belongs to another tenant is told the same as where there is none."""
        rows = Endpoint.objects.filter(pk=failure.endpoint)
        return tenancy.of_tenants(rows, tenancy.tenants_of(self.request)).exists()


def _facts(group: grouping.Group) -> dict[str, Any]:
    return {**asdict(group), "seen_to": group.seen_to and group.seen_to._asdict()}
