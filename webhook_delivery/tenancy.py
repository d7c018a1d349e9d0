"""Whose rows a user sees: `CONSOLE_TENANTS`, asked in one place and kept with what is begun."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from django.utils.module_loading import import_string

from webhook_delivery.conf import settings
from webhook_delivery.models import BatchQuerySet, Endpoint, RedeliveryBatch


def tenants_of(request: HttpRequest) -> Sequence[str] | None:
    """The tenants of which the user sees something; None: of all."""
    if settings.CONSOLE_TENANTS is None:
        return None
    tenants: Callable[[Any], Sequence[str] | None] = import_string(settings.CONSOLE_TENANTS)
    found = tenants(request.user)
    return None if found is None else sorted(found)


def may(request: HttpRequest, codename: str) -> bool:
    """Whether the user has the right of ours that is called so."""
    return request.user.has_perm(f"webhook_delivery.{codename}")


def redeliveries_of(rows: BatchQuerySet, tenants: Sequence[str]) -> BatchQuerySet:
    """What was begun for just the same tenants, or makes what their endpoints missed."""
    endpoints = Endpoint.objects.filter(tenant__in=tenants).values_list("pk", flat=True)
    missed = Q(kind=RedeliveryBatch.Kind.MISSED, selection__endpoint__in=list(endpoints[:1000]))
    return rows.filter(Q(selection__tenants=list(tenants)) | missed)
