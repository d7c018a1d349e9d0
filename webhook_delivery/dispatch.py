"""One attempt at a claimed delivery: open what is sealed, sign, post, and say what was found."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from urllib.parse import unquote, unquote_plus, urlsplit

from django.core.exceptions import ValidationError
from django.views.decorators.debug import sensitive_variables

from webhook_delivery import keys, observing, signing
from webhook_delivery.claims import Claim, Finding
from webhook_delivery.conf import settings
from webhook_delivery.headers import masked, sendable
from webhook_delivery.logs import log_of
from webhook_delivery.outcomes import Fault, Outcome
from webhook_delivery.transport import TLS, Transport
from webhook_delivery.validation import validate_url
from webhook_delivery.version import __version__

logger = log_of(__name__)

LONG_ENOUGH = 16
"""Characters that make a part of a path look like a token."""
USER_AGENT = f"django-webhook-delivery/{__version__}"


def attempt(claim: Claim, transport: Transport) -> Finding:
    """Make one attempt. Whatever goes wrong is an outcome, and costs this delivery only."""
    with observing.attempting(claim) as tell:
        finding = _finding(claim, transport)
        tell(finding)
    return finding


def _finding(claim: Claim, transport: Transport) -> Finding:
    started_at, began = claim.now(), time.monotonic()
    try:
        outcome = _outcome(claim, transport)
    except Exception as error:  # its request may have arrived: it counts
        _complain("Delivery %s failed in itself: %s", claim, error)
        outcome = Outcome(fault=Fault.INTERNAL, detail=type(error).__name__)
    return Finding(claim, outcome, started_at=started_at, duration=time.monotonic() - began)


def _complain(said: str, claim: Claim, error: Exception) -> None:
    logger.error(said, claim.delivery_id, _place_of(error), extra=claim.about())


def _place_of(error: Exception) -> str:
    """What and where, without what it says: messages hold URLs and headers, where tokens live."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.name} ({frame.filename}:{frame.lineno})"


@sensitive_variables()
def _outcome(claim: Claim, transport: Transport) -> Outcome:
    if claim.orphaned:
        return Outcome(fault=Fault.CONFIG, detail="Its event or its endpoint is gone.")
    if claim.hollow:
        return Outcome(fault=Fault.ERASED, detail="Its event's body is gone.")
    if _expired(claim):
        return Outcome(fault=Fault.EXPIRED, detail=f"Its time was over at {claim.expires_at}.")
    if claim.lapsed:
        return Outcome(fault=Fault.LAPSED, detail="It was held for too long.")
    try:
        validate_url(claim.url)
        headers, tls = _headers(claim), _tls(claim)
    except keys.SecretUnavailable as error:
        return Outcome(fault=Fault.SECRET, detail=str(error))
    except ValidationError as error:
        return Outcome(fault=Fault.BLOCKED, detail=" ".join(error.messages))
    except Exception as error:
        _complain("Delivery %s cannot be prepared: %s", claim, error)
        return Outcome(fault=Fault.CONFIG, detail=type(error).__name__)
    # Begun late, it must still be over before somebody else may begin.
    timeout = min(claim.timeout, claim.left())
    outcome = transport.post(
        claim.endpoint_id, claim.url, claim.body, headers, timeout=timeout, tls=tls
    )
    if not outcome.excerpt:
        return outcome
    return replace(outcome, excerpt=masked(outcome.excerpt, _told_in_confidence(claim)))


def _expired(claim: Claim) -> bool:
    left = claim.expires_in()
    return left is not None and left <= 0


@sensitive_variables()
def _told_in_confidence(claim: Claim) -> Iterator[str]:
    """What only the receiver is to know, and may repeat: in a page that says what went wrong."""
    for value in _own(claim).values():
        yield value
        yield value.rpartition(" ")[2]  # the token, without its scheme
    url = urlsplit(claim.url)
    values = [pair.split("=", 1)[-1] for pair in url.query.split("&")]
    parts = [part for part in url.path.split("/") if len(part) >= LONG_ENOUGH]
    yield from (url.query, *values, *parts)
    yield from (*map(unquote_plus, values), *map(unquote, parts))  # as it may have read them


@sensitive_variables()
def _headers(claim: Claim) -> dict[str, str]:
    """Ours last: whatever was asked for, each of them is there once, and says what we say."""
    ours = {**_known_to_all(claim), **_trace(claim), **_signature(claim)}
    return {**_own(claim), **claim.headers, **ours}


def _trace(claim: Claim) -> dict[str, str]:
    """Where the receiver's own trace goes on, if it is to know."""
    traceparent = observing.traceparent_of(claim) if settings.PROPAGATE_TRACE else ""
    return {"traceparent": traceparent} if traceparent else {}


def _own(claim: Claim) -> dict[str, str]:
    """Those that the endpoint asked for, as far as anybody may."""
    if not claim.sealed_headers:
        return {}
    headers = json.loads(keys.unseal(claim.sealed_headers, owner=claim.endpoint_id))
    return sendable(headers, prefix=settings.HEADER_PREFIX)


def _known_to_all(claim: Claim) -> dict[str, str]:
    first = claim.first_attempted_at or claim.now()
    return known_to_all(claim.content_type, claim.number, first)


def known_to_all(content_type: str, number: int, first: datetime) -> dict[str, str]:
    """The headers of an attempt that hold no secret; `first` is when the first one began."""
    return {
        "content-type": content_type,
        "user-agent": USER_AGENT,
        "accept-encoding": "identity",
        f"{settings.HEADER_PREFIX}attempt": str(number),
        f"{settings.HEADER_PREFIX}first-attempted-at": str(int(first.timestamp())),
    }


@sensitive_variables()
def _signature(claim: Claim) -> dict[str, str]:
    secrets = [keys.unseal(sealed, owner=claim.endpoint_id) for sealed in claim.sealed_secrets]
    if not secrets:
        raise keys.SecretUnavailable("The endpoint has no live secret; nothing is sent unsigned.")
    return signing.headers(
        claim.webhook_id,
        int(claim.now().timestamp()),
        claim.body,
        [signing.key_of(secret) for secret in secrets],
        prefix=settings.HEADER_PREFIX,
    )


@sensitive_variables()
def _tls(claim: Claim) -> TLS:
    sealed = claim.sealed_client_certificate
    certificate = keys.unseal(sealed, owner=claim.endpoint_id) if sealed else ""
    return TLS(claim.ca_bundle, certificate, claim.tls_minimum)
