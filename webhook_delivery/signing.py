"""
Standard Webhooks signatures for a body, by HMAC-SHA256 (`v1`) and by Ed25519 (`v1a`) (pure).

The signed content is `{webhook-id}.{webhook-timestamp}.{body}`. The receiver shares a `whsec_`
secret; of a `whsk_` secret it gets only the public half, `whpk_`. Several live secrets give several
signatures, separated by blanks. From the specification 1.0.0,
https://github.com/standard-webhooks/standard-webhooks.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache, partial

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SHARED, PRIVATE, PUBLIC = "whsec_", "whsk_", "whpk_"
"""What secrets begin with, by what they are."""
SHORTEST, LONGEST = 24, 64
"""Bytes a shared secret may have, by the specification."""
SEED_BYTES = 32
"""The first half of an Ed25519 private key, from which the rest follows (RFC 8032 §5.1.5)."""


class InvalidSecret(ValueError):
    """A secret is base64 after `whsec_` (24 to 64 bytes) or `whsk_`; a `whpk_` only verifies."""


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """What signs; it never shows what it is made of."""

    version: str
    """`v1` or `v1a`."""
    _signature: Callable[[bytes], bytes] = field(repr=False)

    def sign(self, content: bytes) -> str:
        """Return one signature as the header has it: the version, a comma, and base64."""
        return f"{self.version},{base64.b64encode(self._signature(content)).decode()}"


def generate_secret() -> str:
    """Make a new secret of 32 random bytes, to be shared with the receiver (`v1`)."""
    return _encode(SHARED, secrets.token_bytes(32))


def generate_signing_key() -> str:
    """Make a new Ed25519 key pair, `whsk_`, of which the receiver gets `public_key_of` (`v1a`)."""
    private = Ed25519PrivateKey.generate()
    pair = private.private_bytes_raw() + private.public_key().public_bytes_raw()
    return _encode(PRIVATE, pair)


def public_key_of(secret: str) -> str:
    """
    Return the `whpk_` text that verifies what a `whsk_` secret has signed.

    Raises InvalidSecret for any other secret: a shared one has no public half.
    """
    private = _private_key(secret)
    del secret  # reports of errors show what a function holds
    if private is None:
        raise InvalidSecret(InvalidSecret.__doc__)
    return _encode(PUBLIC, private.public_key().public_bytes_raw())


def key_of(secret: str) -> Key:
    """
    Read a `whsec_` or `whsk_` secret.

    Raises InvalidSecret for what cannot sign, and for what `b64decode` would repair into another.
    """
    key = _key(secret)
    del secret  # reports of errors show what a function holds
    if key is None:
        raise InvalidSecret(InvalidSecret.__doc__)
    return key


def headers(
    webhook_id: str,
    timestamp: int,
    body: bytes,
    keys: Iterable[Key],
    *,
    prefix: str = "webhook-",
) -> dict[str, str]:
    """
    Return the three headers that carry and sign a body.

    webhook_id: must hold no full stop, or it could be read as another id with another timestamp.
    timestamp: of this attempt, in Unix seconds.
    keys: all that are live, the newest first; each signs, in this order.
    prefix: what the headers' names begin with; `svix-` for receivers that know Svix.
    """
    content = content_of(webhook_id, timestamp, body)
    return {
        f"{prefix}id": webhook_id,
        f"{prefix}timestamp": str(timestamp),
        f"{prefix}signature": " ".join(key.sign(content) for key in keys),
    }


def content_of(webhook_id: str, timestamp: int | str, body: bytes) -> bytes:
    """Return the bytes that are signed; other text than ASCII stays distinct, whatever it is."""
    return f"{webhook_id}.{timestamp}.".encode(errors="surrogatepass") + body


def decode(text: str, prefix: str) -> bytes:
    """Decode what follows the prefix; empty if the text has another, or is no strict base64."""
    encoded = text.removeprefix(prefix) if text.startswith(prefix) else ""
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except ValueError:
        return b""
    # `b64decode` ignores bits that are left over, so several texts would be one secret.
    return decoded if base64.b64encode(decoded).decode() == encoded else b""


def _encode(prefix: str, raw: bytes) -> str:
    return prefix + base64.b64encode(raw).decode()


@lru_cache(maxsize=1024)
def _key(secret: str) -> Key | None:
    """Read it once for many attempts: a private key takes as long to read as to sign with."""
    shared = decode(secret, SHARED)
    if SHORTEST <= len(shared) <= LONGEST:
        return Key("v1", partial(hmac.digest, shared, digest=hashlib.sha256))
    private = _private_key(secret)
    return Key("v1a", private.sign) if private else None


def _private_key(secret: str) -> Ed25519PrivateKey | None:
    """Read a `whsk_` secret: a seed, which its public key may follow if it is the seed's own."""
    raw = decode(secret, PRIVATE)
    if len(raw) < SEED_BYTES:
        return None
    private = Ed25519PrivateKey.from_private_bytes(raw[:SEED_BYTES])
    own = private.public_key().public_bytes_raw()
    return private if raw[SEED_BYTES:] in (b"", own) else None
