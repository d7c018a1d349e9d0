"""What every view of the API has in common: who may, how often, of which tenants, how it fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from django.db import router
from django.db.models import QuerySet
from django.http import Http404
from django_filters.rest_framework import FilterSet
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from webhook_delivery import tenancy
from webhook_delivery.api import rights
from webhook_delivery.api.describing import NUMBER, Describing, Said
from webhook_delivery.api.filters import StrictBackend
from webhook_delivery.api.paging import Pages
from webhook_delivery.api.problems import problem_of
from webhook_delivery.api.reading import BoundedJSONParser, Strict
from webhook_delivery.api.throttling import Throttle
from webhook_delivery.patience import patience
from webhook_delivery.references import number_in

CHALLENGE = 'Session realm="webhooks"'
"""What a 401 asks for, where no authenticator of the project says it."""


class HasRights(BasePermission):
    """Whoever has signed in, and has what the table asks for; whatever DRF's defaults allow."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not getattr(request.user, "is_authenticated", False):
            raise exceptions.NotAuthenticated
        act = view.act  # type: ignore[attr-defined]
        if act is None:  # no such method: DRF says so next
            return True
        if act not in rights.RIGHTS:
            raise exceptions.PermissionDenied(f"{act} has no entry in the table of rights.")
        lacking = [*rights.missing(request.user, act)]
        if lacking:
            raise exceptions.PermissionDenied(f"That takes the permission {', '.join(lacking)}.")
        return True


class View(GenericViewSet[Any]):
    """A resource; its acts have their rights in the table."""

    resource: ClassVar[str]
    tenant_field: ClassVar[str] = ""
    """Where a row says whose it is, as a lookup; empty: it is nobody's."""

    permission_classes = [HasRights]
    renderer_classes = [JSONRenderer]
    parser_classes = [BoundedJSONParser]
    versioning_class = None
    http_method_names = ["get", "head", "post", "patch"]
    schema = Describing()
    said: ClassVar[Mapping[str, Said]]
    """What each act takes and answers, for the description."""

    @property
    def act(self) -> str | None:
        """The resource and what is done with it, as the table of rights names it."""
        unknown = self.action in (None, "metadata")  # OPTIONS is none of our methods either
        return None if unknown else f"{self.resource}.{self.action}"

    @property
    def webhook_scope(self) -> str:
        if self.act == "retries.drain":
            return "webhooks-drain"
        reads = self.request.method in ("GET", "HEAD")
        return "webhooks-read" if reads else "webhooks-change"

    def get_authenticators(self) -> list[BaseAuthentication]:
        classes: Any = api_settings.DEFAULT_AUTHENTICATION_CLASSES
        return [each() for each in classes]

    def get_authenticate_header(self, request: Request) -> str:
        """The first that any of them knows: DRF asks the first only, and sessions know none."""
        challenges = (each.authenticate_header(request) for each in self.get_authenticators())
        return next(filter(None, challenges), CHALLENGE)

    def get_throttles(self) -> list[BaseThrottle]:
        classes: Any = api_settings.DEFAULT_THROTTLE_CLASSES
        return [each() for each in [*classes, Throttle]]

    def get_exception_handler(self) -> Callable[..., Response | None]:
        return problem_of

    def get_queryset(self) -> QuerySet[Any]:
        """Only rows of the user's tenants."""
        rows = super().get_queryset()
        tenants = tenancy.tenants_of(self.request) if self.tenant_field else None
        return rows if tenants is None else self.scoped(rows, tenants)

    def scoped(self, rows: QuerySet[Any], tenants: Sequence[str]) -> QuerySet[Any]:
        return rows.filter(**{f"{self.tenant_field}__in": tenants})

    def given(self, kind: type[Strict]) -> dict[str, Any]:
        """What the body says. Raises ValidationError."""
        reader = kind(data=self.request.data, context=self.get_serializer_context())
        reader.is_valid(raise_exception=True)
        read: dict[str, Any] = reader.validated_data
        return read


class ListView(View):
    """A resource that is listed, page by page, and narrowed by filters."""

    pagination_class = Pages
    filter_backends = [StrictBackend]
    lookup_value_regex = "[^/]+"
    identified = NUMBER
    """How a row is named in an address, for the description."""
    filterset_class: ClassVar[type[FilterSet] | None] = None

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        rows = self.get_queryset()
        with patience(using=router.db_for_read(rows.model)):
            page = self.paginate_queryset(self.filter_queryset(rows))
            return self.get_paginated_response(self.represented(page))

    def get_object(self) -> Any:
        """The row of that number, of the user's tenants. Raises Http404."""
        if number_in(self.kwargs["pk"]) is None:
            raise Http404
        return super().get_object()

    def represented(self, rows: Any) -> Any:
        """How a page of rows looks in the answer."""
        return self.get_serializer(rows, many=True).data
