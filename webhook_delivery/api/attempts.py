"""Attempts: the log of requests, as it was written."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from webhook_delivery.api.base import ListView
from webhook_delivery.api.describing import Said
from webhook_delivery.api.filters import AttemptFilter
from webhook_delivery.api.showing import AttemptSerializer
from webhook_delivery.models import Attempt
from webhook_delivery.tenancy import may


class AttemptView(ListView):
    """One HTTP request for a delivery each."""

    resource = "attempts"
    tenant_field = "delivery__endpoint__tenant"
    queryset = Attempt.objects.order_by()
    serializer_class = AttemptSerializer
    said = {
        "list": Said(
            AttemptSerializer,
            links={"deliveries.retrieve": "$response.body#/results/0/delivery"},
        )
    }
    filterset_class = AttemptFilter

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """A page of attempts, the latest first."""
        return super().list(request)

    def get_queryset(self) -> QuerySet[Any]:
        rows = super().get_queryset()
        return rows if may(self.request, "view_payload") else rows.defer("excerpt")

    def get_serializer_context(self) -> dict[str, Any]:
        told = {"may_see_payloads": may(self.request, "view_payload")}
        return {**super().get_serializer_context(), **told}
