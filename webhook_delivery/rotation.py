"""Rotates an endpoint's signing secret: the new one signs first, those before it for a while."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import connections
from django.db.models import Q
from django.views.decorators.debug import sensitive_variables

from webhook_delivery import keys, signing
from webhook_delivery.clock import Now
from webhook_delivery.locking import insist
from webhook_delivery.models import ConsoleAction, Endpoint, Secret

OVERLAP = timedelta(hours=24)
"""How long a receiver has for putting the new secret in the place of the old one."""
MOST_LIVE = 3
"""So many secrets sign at once; Svix has the same maximum. Each makes the header longer."""


@sensitive_variables()
def rotate(
    endpoint: int,
    *,
    using: str,
    overlap: timedelta = OVERLAP,
    secret: str | None = None,
    by: Any = None,
    reason: str = "",
) -> str:
    """
    Give an endpoint a new signing secret, which signs first from now on; returns it.

    endpoint: its number.
    overlap: for how long the secrets before it sign as well, by the database's clock; nothing, if
        one is in the wrong hands. What was to end sooner does; of more than two the oldest end at
        once, and what cannot be opened. A worker that holds a claim signs with what it has read.
    secret: the text to use, `whsec_` or `whsk_`; default: a new one of the kind of the last one.
    by: the user who asks (or a name), who is then kept with the reason; None: nobody is.

    Raises Endpoint.DoesNotExist, `signing.InvalidSecret`, and ValueError for an overlap below zero.
    """
    if overlap < timedelta():
        raise ValueError("The overlap cannot be less than nothing.")
    # Not a partial, which shows its arguments wherever variables are printed.
    return insist(lambda: _kept(endpoint, secret, overlap, using, by, reason), using=using)


def newest(endpoint: int, *, using: str) -> int | None:
    """
    The number of the endpoint's newest secret; None if it has none.

    Only inside a transaction, until whose end it stays the newest: the endpoint is locked.
    """
    secrets = _locked(endpoint, using).secrets.using(using)
    found = secrets.order_by("-pk").values_list("pk", flat=True).first()
    return None if found is None else int(found)


@sensitive_variables()
def _kept(
    endpoint: int, secret: str | None, overlap: timedelta, using: str, by: Any, reason: str
) -> str:
    new = _rotate(endpoint, secret, overlap, using)
    if by is not None:
        named = Endpoint.objects.using(using).values_list("name", flat=True).get(pk=endpoint)
        who: dict[str, Any] = {"by": by, "reason": reason, "about": f"{endpoint} ({named})"}
        ConsoleAction.record("rotate_secret", [], using=using, **who)
    return new


def _rotate(endpoint: int, secret: str | None, overlap: timedelta, using: str) -> str:
    owner = _locked(endpoint, using)
    secrets = owner.secrets.using(using)
    live = secrets.live()
    signing_now = [each for each in live if keys.opens(bytes(each.sealed), owner=endpoint)]
    staying = [each.pk for each in signing_now[: MOST_LIVE - 1]]
    live.order_by().exclude(pk__in=staying).update(valid_until=Now())
    until = Now() + overlap
    longer = Q(valid_until=None) | Q(valid_until__gt=until)
    secrets.filter(longer, pk__in=staying).update(valid_until=until)
    secret = _successor_of(signing_now) if secret is None else secret
    Secret.keep(owner, secret, using=using)
    return secret


def _locked(endpoint: int, using: str) -> Endpoint:
    """The endpoint, so that nobody else rotates meanwhile; publishing need not wait for that."""
    no_key = connections[using].features.has_select_for_no_key_update
    return Endpoint.objects.using(using).select_for_update(no_key=no_key).get(pk=endpoint)


def _successor_of(secrets: list[Secret]) -> str:
    """A new one for a receiver that verifies as it did so far, as far as anybody can tell."""
    private = any(secret.reveal().startswith(signing.PRIVATE) for secret in secrets[:1])
    return signing.generate_signing_key() if private else signing.generate_secret()
