"""Endpoints: made, changed, switched, tested, given new secrets, and sent what they did not get."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import router
from django.db.models import Prefetch, QuerySet
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from webhook_delivery import batches, endpoints, publishing, tenancy
from webhook_delivery.api import changing
from webhook_delivery.api.asking import (
    MissedSerializer,
    Nothing,
    PauseSerializer,
    ProbedSerializer,
    ProbeSerializer,
    RecoverySerializer,
    ResumeSerializer,
    RotationSerializer,
    SecretSerializer,
    SwitchedSerializer,
)
from webhook_delivery.api.base import ListView
from webhook_delivery.api.describing import Said
from webhook_delivery.api.editing import (
    CreatedSerializer,
    EndpointChangesSerializer,
    EndpointSerializer,
    NewEndpointSerializer,
)
from webhook_delivery.api.filters import EndpointFilter
from webhook_delivery.api.once import once
from webhook_delivery.api.problems import Conflict
from webhook_delivery.api.reading import Reasoned
from webhook_delivery.api.redelivering import RedeliverySerializer
from webhook_delivery.api.showing import DeliverySerializer, with_last_attempts
from webhook_delivery.endpoints import Switched
from webhook_delivery.models import Endpoint, Subscription
from webhook_delivery.probing import probe
from webhook_delivery.selecting import selection_of
from webhook_delivery.tenancy import may

NEW = {"url": "https://example.com/hooks", "subscriptions": ["order.*"], "tenant": "acme"}
SINCE = {"since": "2026-11-22T03:00:00Z", "rate": 10, "reason": "they are back"}
ACTS = ("retrieve", "partial_update", "rotate_secret", "pause", "resume", "switch_off", "test",
        "probe", "recover", "recover_missed")  # fmt: skip
OF_FIRST = {f"endpoints.{name}": "$response.body#/results/0/id" for name in ACTS}
OF_NEW = {f"endpoints.{name}": "$response.body#/id" for name in ACTS}


class EndpointView(ListView):
    """Receivers."""

    resource = "endpoints"
    tenant_field = "tenant"
    queryset = Endpoint.objects.select_related("lane").prefetch_related("subscriptions")
    serializer_class = EndpointSerializer
    filterset_class = EndpointFilter
    said = {
        "list": Said(EndpointSerializer, links=OF_FIRST),
        "retrieve": Said(EndpointSerializer),
        "create": Said(CreatedSerializer, NewEndpointSerializer, 201, NEW, once=True, links=OF_NEW),
        "partial_update": Said(
            EndpointSerializer, EndpointChangesSerializer, example={"rate_per_second": 10}
        ),
        "rotate_secret": Said(
            SecretSerializer, RotationSerializer, example={"overlap_hours": 24}, once=True
        ),
        "pause": Said(SwitchedSerializer, PauseSerializer, example={"reason": "they asked us to"}),
        "resume": Said(SwitchedSerializer, ResumeSerializer, example={"reason": "they are back"}),
        "switch_off": Said(SwitchedSerializer, Reasoned, example={"reason": "they left"}),
        "test": Said(DeliverySerializer, Nothing, 202, once=True),
        "probe": Said(ProbedSerializer, ProbeSerializer, example={"rate": 10}),
        "recover": Said(RedeliverySerializer, RecoverySerializer, 201, SINCE, once=True),
        "recover_missed": Said(RedeliverySerializer, MissedSerializer, 201, SINCE, once=True),
    }

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """A page of endpoints, the latest first."""
        return super().list(request)

    def get_serializer_context(self) -> dict[str, Any]:
        user = self.request
        sees = may(user, "view_endpoint_url") or may(user, "change_endpoint")
        return {**super().get_serializer_context(), "may_see_urls": sees}

    def retrieve(self, request: Request, pk: int) -> Response:
        """One endpoint."""
        return Response(self._shown(self.get_object()))

    @once
    @sensitive_variables()
    def create(self, request: Request) -> Response:
        """Make an endpoint that can be sent to; its secret is in this answer and in no other."""
        given = self.given(NewEndpointSerializer)
        endpoint = self._written(changing.create(request, given).pk)
        [secret] = endpoint.secrets.using(endpoint._state.db)
        told = {**self._shown(endpoint), "secret": secret.reveal()}
        return Response(told, status.HTTP_201_CREATED)

    def partial_update(self, request: Request, pk: int) -> Response:
        """Change what is said; the next attempts go by it."""
        given = self.given(EndpointChangesSerializer)
        changing.change(request, self._own(), given)
        return Response(self._shown(self._own()))

    @action(detail=True, methods=["post"], url_path="rotate-secret")
    @once
    @sensitive_variables()
    def rotate_secret(self, request: Request, pk: int) -> Response:
        """Give it a new secret, which is in this answer and in no other."""
        given, endpoint = self.given(RotationSerializer), self._own()
        overlap = timedelta(hours=given["overlap_hours"])
        secret = changing.rotate(request, endpoint, overlap, given["reason"])
        return Response(SecretSerializer({"secret": secret}).data)

    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: int) -> Response:
        """Hold what is to be sent, and what happens meanwhile, until it is resumed."""
        given = self.given(PauseSerializer)
        return self._switch(endpoints.pause, **given)

    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: int) -> Response:
        """Switch it on, and send what was held."""
        return self._switch(endpoints.switch_on, **self.given(ResumeSerializer))

    @action(detail=True, methods=["post"], url_path="switch-off")
    def switch_off(self, request: Request, pk: int) -> Response:
        """Owe it nothing new; what is to be sent is held."""
        return self._switch(endpoints.switch_off, **self.given(Reasoned))

    @action(detail=True, methods=["post"])
    @once
    def test(self, request: Request, pk: int) -> Response:
        """Publish a test event to it alone; a worker sends it, or a drain."""
        self.given(Nothing)
        endpoint = self._own()
        if endpoint.state != Endpoint.State.ON:
            raise Conflict(f"{endpoint} is {endpoint.get_state_display()}: probe it instead.")
        event = publishing.publish_test(endpoint, by=request.user)
        made = event.deliveries.using(event._state.db)
        [sent] = with_last_attempts(made.select_related("endpoint"))
        return Response(DeliverySerializer(sent).data, status.HTTP_202_ACCEPTED)

    @action(detail=True, methods=["post"])
    def probe(self, request: Request, pk: int) -> Response:
        """
        Send a test event now and wait for the answer, whatever its state. If it arrives, one that
        no person switched off is on again, for who may switch endpoints.
        """
        given, switches = self.given(ProbeSerializer), may(request, "pause_endpoint")
        probed = probe(self._own(), by=request.user, switches=switches, **given)
        [sent] = with_last_attempts([probed.delivery])
        told = {
            "arrived": probed.arrived,
            "switched_on": probed.switched is not None and probed.switched.changed,
            "released": len(probed.switched.moved) if probed.switched else 0,
            "delivery": sent,
        }
        return Response(ProbedSerializer(told).data)

    @action(detail=True, methods=["post"])
    @once
    def recover(self, request: Request, pk: int) -> Response:
        """Send again, gradually, what failed since then: a redelivery of many."""
        given, endpoint = self.given(RecoverySerializer), self._own()
        selection = selection_of(
            endpoint=endpoint.pk,
            died_since=given.pop("since"),
            died_until=timezone.now(),
            tenants=tenancy.tenants_of(request),
        )
        batch = batches.start(selection, by=request.user, **given)
        return Response(RedeliverySerializer(batch).data, status.HTTP_201_CREATED)

    @action(detail=True, methods=["post"], url_path="recover-missed")
    @once
    def recover_missed(self, request: Request, pk: int) -> Response:
        """Make the deliveries that it was never owed since then: it was off, or not subscribed."""
        given, endpoint = self.given(MissedSerializer), self._own()
        batch = batches.start_missed(
            endpoint.pk,
            given["since"],
            by=request.user,
            reason=given["reason"],
            rate=given["rate"],
            tenants=tenancy.tenants_of(request),
        )
        return Response(RedeliverySerializer(batch).data, status.HTTP_201_CREATED)

    def _own(self) -> Endpoint:
        """As it is where it can be changed: a router may read from a replica."""
        seen: Endpoint = self.get_object()
        return self._written(seen.pk)

    def _written(self, pk: int) -> Endpoint:
        using = router.db_for_write(Endpoint)
        heard = Prefetch("subscriptions", Subscription.objects.using(using))
        rows: QuerySet[Endpoint] = self.get_queryset().using(using).prefetch_related(None)
        return rows.prefetch_related(heard).get(pk=pk)

    def _switch(self, verb: Callable[..., Switched], **given: Any) -> Response:
        endpoint, using = self._own(), router.db_for_write(Endpoint)
        done = verb(endpoint.pk, using=using, by=self.request.user, **given)
        told = {
            "changed": done.changed,
            "moved": len(done.moved),
            "endpoint": self._own(),
        }
        return Response(SwitchedSerializer(told, context=self.get_serializer_context()).data)

    def _shown(self, endpoint: Endpoint) -> Any:
        return self.get_serializer(endpoint).data
