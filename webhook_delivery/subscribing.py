"""Makes an endpoint that can be sent to: its row, a secret, its headers, and what it hears of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.db import router, transaction
from django.views.decorators.debug import sensitive_variables

from webhook_delivery.models import Endpoint, Secret
from webhook_delivery.signing import generate_secret


@sensitive_variables()
def subscribe(
    url: str,
    *patterns: str,
    secret: str = "",
    headers: Mapping[str, str] | None = None,
    using: str | None = None,
    **fields: Any,
) -> Endpoint:
    """
    Create an endpoint that hears these event types or patterns: `subscribe(url, "order.*")`.

    All of it is written, or nothing. What it signs with is `endpoint.secrets.get().reveal()`.

    url: where to send.
    patterns: `order.created`, `order.*`, `*`; without any, it hears only what names it.
    secret: `whsec_` or `whsk_`; default: a new one.
    headers: what is sent with each request besides ours.
    using: the database; default: where the router writes endpoints.
    fields: others of `Endpoint`: `tenant`, `name` (default: the host), `retry_schedule` …

    Raises ValidationError, as its form in the admin would, and `signing.InvalidSecret`.
    """
    endpoint = Endpoint(url=url, **fields)
    endpoint.full_clean(exclude=() if endpoint.name else ("name",))
    endpoint.name = endpoint.name or str(urlsplit(endpoint.url).hostname)[:200]
    using = using or router.db_for_write(Endpoint)
    with transaction.atomic(using=using):
        endpoint.save(using=using)
        Secret.keep(endpoint, secret or generate_secret(), using=using)
        if headers:
            endpoint.set_headers(headers, using=using)
        return endpoint.subscribe(*patterns, using=using)
