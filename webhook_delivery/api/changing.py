"""Writes endpoints as the console's form does: validated, with what is sealed, and who did it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError as ModelError
from django.db import router
from django.views.decorators.debug import sensitive_variables
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request

from webhook_delivery import keys, rotation, tenancy
from webhook_delivery.endpoints import record
from webhook_delivery.locking import insist
from webhook_delivery.models import Endpoint
from webhook_delivery.signing import InvalidSecret
from webhook_delivery.subscribing import subscribe
from webhook_delivery.tenancy import may

ANEW = "It leads elsewhere now: enter this anew, or leave it empty."
SUBSCRIBING = frozenset({"add_subscription", "delete_subscription"})


@sensitive_variables()
def create(request: Request, given: dict[str, Any]) -> Endpoint:
    """Make an endpoint of what was read. Raises ValidationError."""
    _require_tenant(request, given.get("tenant", ""))
    fields, reason = dict(given), given["reason"]
    patterns, pem = fields.pop("subscriptions", []), fields.pop("client_certificate", "")
    del fields["reason"]
    using = router.db_for_write(Endpoint)

    def make() -> Endpoint:
        made = subscribe(fields["url"], *patterns, using=using, **_but(fields, "url"))
        if pem:
            made.set_client_certificate(pem, using=using)
        record("create_endpoint", made, by=request.user, reason=reason, using=using)
        return made

    with _in_our_words():
        return insist(make, using=using)


@sensitive_variables()
def change(request: Request, endpoint: Endpoint, given: dict[str, Any]) -> None:
    """Change what was said of an endpoint, and nothing else. Raises ValidationError."""
    if "tenant" in given:
        _require_tenant(request, given["tenant"])
    if "subscriptions" in given and not all(may(request, each) for each in SUBSCRIBING):
        raise PermissionDenied("To change what it hears of takes the rights to subscriptions.")
    _refuse_what_is_kept(request, endpoint, given)
    columns = {name: given[name] for name in given.keys() & _columns()}
    for name, value in columns.items():
        setattr(endpoint, name, value)

    using = router.db_for_write(Endpoint)

    def write() -> None:
        endpoint.save(using=using, update_fields=[*columns, "updated_at"])
        _seal(endpoint, given, using)
        if "subscriptions" in given:
            _hear(endpoint, given["subscriptions"], using)
        record("change_endpoint", endpoint, by=request.user, reason=given["reason"], using=using)

    with _in_our_words():
        endpoint.clean_fields(exclude=_columns() - columns.keys())
        insist(write, using=using)


@sensitive_variables()
def rotate(request: Request, endpoint: Endpoint, overlap: timedelta, reason: str) -> str:
    """Give it a new secret, and keep who did; returns the secret."""
    who: dict[str, Any] = {"by": request.user, "reason": reason}
    using = router.db_for_write(Endpoint)
    return rotation.rotate(endpoint.pk, using=using, overlap=overlap, **who)


def _columns() -> set[str]:
    return {field.name for field in Endpoint._meta.concrete_fields}


def _but(given: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in names}


def _require_tenant(request: Request, tenant: str) -> None:
    tenants = tenancy.tenants_of(request)
    if tenants is not None and tenant not in tenants:
        raise ValidationError({"tenant": ["That is not one of yours."]})


def _refuse_what_is_kept(request: Request, endpoint: Endpoint, given: dict[str, Any]) -> None:
    """Else whoever may change an endpoint could have its tokens sent to a server of his own."""
    url, ca_bundle = given.get("url", endpoint.url), given.get("ca_bundle", endpoint.ca_bundle)
    if may(request, "reveal_secret") or not endpoint.leads_elsewhere(url, ca_bundle):
        return
    wanted = given.get("headers", {"": None} if bytes(endpoint.sealed_headers) else {})
    if None in wanted.values():
        raise ValidationError({"headers": [ANEW]})
    if bytes(endpoint.sealed_client_certificate) and "client_certificate" not in given:
        raise ValidationError({"client_certificate": [ANEW]})


@sensitive_variables()
def _seal(endpoint: Endpoint, given: Mapping[str, Any], using: str) -> None:
    if "headers" in given:
        kept = _kept(endpoint)
        if lacking := [n for n, v in given["headers"].items() if v is None and n not in kept]:
            raise ModelError({"headers": [f"There is no value of {lacking[0]} to be kept."]})
        wanted = {name: value or kept[name] for name, value in given["headers"].items()}
        endpoint.set_headers(wanted, using=using)
    if "client_certificate" in given:
        endpoint.set_client_certificate(given["client_certificate"], using=using)


def _kept(endpoint: Endpoint) -> dict[str, str]:
    try:
        return endpoint.kept_headers
    except keys.SecretUnavailable:
        return {}


def _hear(endpoint: Endpoint, patterns: list[str], using: str) -> None:
    endpoint.subscriptions.using(using).exclude(pattern__in=patterns).delete()
    endpoint.subscribe(*patterns, using=using)


@contextmanager
def _in_our_words() -> Iterator[None]:
    """What models refuse is a 400 too."""
    try:
        yield
    except InvalidSecret as error:
        raise ValidationError({"secret": [str(error)]}) from None
    except ModelError as error:
        told = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
        raise ValidationError(told) from None
