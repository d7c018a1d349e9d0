"""Verifies requests by Standard Webhooks, for receivers in Python and for tests (pure)."""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial

from cryptography.exceptions import InvalidSignature as Mismatch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from webhook_delivery.signing import (
    PUBLIC,
    SHARED,
    InvalidSecret,
    Key,
    content_of,
    decode,
    key_of,
    public_key_of,
)

MOST_SIGNATURES = 16
"""In one request; with more it is refused unread, since each `v1a` costs a pass over the body."""

PUBLIC_KEY_BYTES = 32
"""Of Ed25519 (RFC 8032 §5.1.5)."""

Fits = Callable[[bytes, Sequence[str]], bool]
"""Whether one of the signatures is of the content, and was made with the one secret it knows."""


class InvalidSignature(Exception):
    """A request that must not be trusted; the message says what is wrong with it."""


def verify(
    body: bytes,
    headers: Mapping[str, str],
    secrets: str | Iterable[str],
    *,
    tolerance: float = 300,
    now: float | None = None,
    prefix: str = "webhook-",
) -> None:
    """
    Return if the request was signed with one of the secrets and sent just now; raise if not.

    What is signed is the id, the time and the body, and no other header: in CloudEvents' binary
    form, the type of the event is not.

    body: exactly the bytes that came in, not what was parsed from them.
    headers: any mapping; upper and lower case in names are the same.
    secrets: one text or several, during a rotation: `whsec_`, `whpk_` (or the `whsk_` itself).
    tolerance: seconds that the sender's clock and ours may be apart; 300 as in the libraries of
        the specification's authors.
    now: Unix seconds; None: the system's clock.
    prefix: what the headers' names begin with; Svix calls its own `svix-`.

    Raises InvalidSignature for whatever a stranger may have sent: a header that is missing or
    comes twice, a timestamp that is not a number, too old or too new, or no signature that fits;
    an id with a full stop too, since it could be read as another id with another timestamp.
    Raises InvalidSecret for a secret that is none, and if there is none at all.

    The same request may come again within the tolerance, and a retry at any time: remember the
    `webhook-id`. A Django view::

        from django.conf import settings
        from django.http import HttpRequest, HttpResponse
        from django.views.decorators.csrf import csrf_exempt
        from django.views.decorators.http import require_POST

        from webhook_delivery import InvalidSignature, verify


        @csrf_exempt
        @require_POST
        def hook(request: HttpRequest) -> HttpResponse:
            try:
                verify(request.body, request.headers, settings.WEBHOOK_SECRETS)
            except InvalidSignature as error:
                return HttpResponse(str(error), status=400)
            ...  # act, unless request.headers["webhook-id"] has been seen before
            return HttpResponse(status=204)
    """
    fitting = _fitting([secrets] if isinstance(secrets, str) else secrets)
    del secrets  # reports of errors show what a function holds
    if not fitting:
        raise InvalidSecret(InvalidSecret.__doc__)
    names = [f"{prefix}{part}".lower() for part in ("id", "timestamp", "signature")]
    webhook_id, timestamp, signatures = (_header(headers, name) for name in names)
    _check_time(timestamp, tolerance, time.time() if now is None else now)
    if "." in webhook_id:
        raise InvalidSignature("No signature fits: the id holds a full stop.")
    content, candidates = content_of(webhook_id, timestamp, body), _candidates(signatures)
    if not any(fits(content, candidates) for fits in fitting):
        raise InvalidSignature("No signature fits.")


def _header(headers: Mapping[str, str], name: str) -> str:
    """Find the one value; of two, a receiver might go by that which was not verified."""
    values = [value for key, value in headers.items() if key.lower() == name]
    if len(values) > 1:
        raise InvalidSignature(f"The header {name} comes more than once.")
    if not any(values):
        raise InvalidSignature(f"The header {name} is missing.")
    return values[0]


def _check_time(timestamp: str, tolerance: float, now: float) -> None:
    """`int()` would also take `+5`, `1_000` and digits of other scripts, which no sender means."""
    if not re.fullmatch(r"[0-9]{1,18}", timestamp):
        raise InvalidSignature("The timestamp is not a number of seconds.")
    age = now - int(timestamp)
    if age > tolerance:
        raise InvalidSignature(f"The timestamp is too old: more than {tolerance:g} s ago.")
    if age < -tolerance:
        raise InvalidSignature(f"The timestamp is too new: more than {tolerance:g} s ahead.")


def _candidates(signatures: str) -> list[str]:
    found = signatures.split(" ", MOST_SIGNATURES)
    if len(found) > MOST_SIGNATURES:
        raise InvalidSignature(f"No signature fits: there are more than {MOST_SIGNATURES}.")
    return [signature for signature in found if signature.isascii()]


def _fitting(secrets: Iterable[str]) -> list[Fits]:
    """Read the secrets; none, if one of them is malformed."""
    try:
        return [_fits(secret) for secret in secrets]
    except InvalidSecret:
        return []


@lru_cache(maxsize=1024)
def _fits(secret: str) -> Fits:
    if secret.startswith(SHARED):
        return partial(_fits_shared, key_of(secret))
    public = decode(secret if secret.startswith(PUBLIC) else public_key_of(secret), PUBLIC)
    if len(public) != PUBLIC_KEY_BYTES:
        raise InvalidSecret(InvalidSecret.__doc__)
    return partial(_fits_public, Ed25519PublicKey.from_public_bytes(public))


def _fits_shared(key: Key, content: bytes, signatures: Sequence[str]) -> bool:
    expected = key.sign(content)
    return any(hmac.compare_digest(expected, signature) for signature in signatures)


def _fits_public(key: Ed25519PublicKey, content: bytes, signatures: Sequence[str]) -> bool:
    made = (decode(signature, "v1a,") for signature in signatures)
    return any(_made_by(key, signature, content) for signature in made)


def _made_by(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    try:
        key.verify(signature, content)
    except Mismatch:
        return False
    return True
