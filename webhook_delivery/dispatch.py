"""One attempt at a claimed delivery: open the secrets, sign, post, and say what was found."""

from __future__ import annotations

import logging
import time

from django.core.exceptions import ValidationError

from webhook_delivery import keys, signing
from webhook_delivery.claims import Claim, Finding
from webhook_delivery.outcomes import Fault, Outcome
from webhook_delivery.transport import Transport
from webhook_delivery.validation import validate_url
from webhook_delivery.version import __version__

logger = logging.getLogger(__name__)

USER_AGENT = f"django-webhook-delivery/{__version__}"


def attempt(claim: Claim, transport: Transport) -> Finding:
    """Make one attempt. Whatever goes wrong is an outcome, and costs this delivery only."""
    started_at, began = claim.now(), time.monotonic()
    outcome = _outcome(claim, transport)
    return Finding(claim, outcome, started_at=started_at, duration=time.monotonic() - began)


def _outcome(claim: Claim, transport: Transport) -> Outcome:
    if claim.orphaned:
        return Outcome(fault=Fault.CONFIG, detail="Its event or its endpoint is gone.")
    try:
        validate_url(claim.url)
        headers = _headers(claim)
    except keys.SecretUnavailable as error:
        return Outcome(fault=Fault.SECRET, detail=str(error))
    except ValidationError as error:
        return Outcome(fault=Fault.BLOCKED, detail=" ".join(error.messages))
    except Exception as error:
        logger.exception("Delivery %s could not be prepared", claim.delivery_id)
        return Outcome(fault=Fault.CONFIG, detail=type(error).__name__)
    # Begun late, it must still be over before somebody else may begin.
    timeout = min(claim.timeout, claim.left())
    return transport.post(claim.endpoint_id, claim.url, claim.body, headers, timeout=timeout)


def _headers(claim: Claim) -> dict[str, str]:
    secrets = [keys.unseal(sealed, owner=claim.endpoint_id) for sealed in claim.sealed_secrets]
    if not secrets:
        raise keys.SecretUnavailable("The endpoint has no live secret; nothing is sent unsigned.")
    signed = [signing.key_of(secret) for secret in secrets]
    return {
        "content-type": claim.content_type,
        "user-agent": USER_AGENT,
        "accept-encoding": "identity",
        "webhook-attempt": str(claim.number),
        **signing.headers(claim.webhook_id, int(claim.now().timestamp()), claim.body, signed),
    }
