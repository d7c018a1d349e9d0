"""Whose rows a user sees: `CONSOLE_TENANTS`, asked in one place and kept with what is begun."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.db.models import BigIntegerField, Q, QuerySet
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.utils.module_loading import import_string

from webhook_delivery.conf import settings
from webhook_delivery.models import BatchQuerySet, Endpoint, RedeliveryBatch

Rows = TypeVar("Rows", bound=QuerySet[Any])

KEPT = "_webhook_delivery_tenants"
"""Under this name a request keeps whom it was asked about, and the answer."""


def tenants_of(request: HttpRequest) -> Sequence[str] | None:
    """The tenants of which the user sees something; None: of all. A request asks once."""
    if settings.CONSOLE_TENANTS is None:
        return None
    own = getattr(request, "_request", request)  # inside of REST framework's is Django's own
    kept: tuple[Any, Sequence[str] | None] = vars(own).get(KEPT, (None, None))
    if kept[0] is not request.user:
        kept = request.user, _ask(request.user)
        setattr(own, KEPT, kept)
    return kept[1]


def _ask(user: Any) -> Sequence[str] | None:
    tenants: Callable[[Any], Sequence[str] | None] = import_string(settings.CONSOLE_TENANTS or "")
    found = tenants(user)
    return None if found is None else sorted(set(found))


def of_tenants(rows: Rows, tenants: Sequence[str] | None, *, by: str = "tenant") -> Rows:
    """Those of the rows that belong to these tenants; None: all. by: where a row names its own."""
    return rows if tenants is None else rows.filter(**{f"{by}__in": tenants})


def may(request: HttpRequest, codename: str) -> bool:
    """Whether the user has the right of ours that is called so."""
    return request.user.has_perm(f"webhook_delivery.{codename}")


def redeliveries_of(rows: BatchQuerySet, tenants: Sequence[str]) -> BatchQuerySet:
    """What was begun for just the same tenants, or makes what their endpoints missed."""
    endpoints = Endpoint.objects.filter(tenant__in=tenants).values("pk")
    named = Cast(KeyTextTransform("endpoint", "selection"), BigIntegerField())
    missed = Q(kind=RedeliveryBatch.Kind.MISSED, its_endpoint__in=endpoints)
    same = Q(selection__tenants=list(tenants))
    return rows.alias(its_endpoint=named).filter(same | missed)
