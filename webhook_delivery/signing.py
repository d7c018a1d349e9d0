"""
Standard Webhooks signatures for a body (pure).

The signed content is `{webhook-id}.{webhook-timestamp}.{body}`; the key is the decoded part of a
`whsec_` secret; several live secrets give several signatures, separated by blanks. From the
specification 1.0.0, https://github.com/standard-webhooks/standard-webhooks.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64
"""Bytes a key may have, by the specification."""


class InvalidSecret(ValueError):
    """A secret must be `whsec_` and 24 to 64 bytes in base64."""


def generate_secret() -> str:
    """Make a new secret of 32 random bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """
    Decode a `whsec_` secret into the bytes that sign.

    Raises InvalidSecret for anything that `b64decode` would quietly repair into another key.
    """
    if not secret.startswith(PREFIX):
        raise InvalidSecret(InvalidSecret.__doc__)
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidSecret(InvalidSecret.__doc__) from None
    if not SHORTEST <= len(key) <= LONGEST:
        raise InvalidSecret(InvalidSecret.__doc__)
    return key


def headers(webhook_id: str, timestamp: int, body: bytes, keys: Iterable[bytes]) -> dict[str, str]:
    """Return the three Standard Webhooks headers; `timestamp` is in Unix seconds."""
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signature(webhook_id, timestamp, body, key) for key in keys),
    }


def signature(webhook_id: str, timestamp: int, body: bytes, key: bytes) -> str:
    """Return the `v1` signature: HMAC-SHA256 in base64."""
    signed = b".".join([webhook_id.encode(), str(timestamp).encode(), body])
    digest = hmac.digest(key, signed, hashlib.sha256)
    return "v1," + base64.b64encode(digest).decode()
