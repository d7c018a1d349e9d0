"""Secrets at rest: sealed with Fernet, bound to their endpoint, and opened only to sign."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings as django_settings

from webhook_delivery.conf import settings


class SecretUnavailable(Exception):
    """The secret cannot be opened: none of SECRET_KEYS fits, or it was sealed for another row."""


def seal(text: str, *, owner: object) -> bytes:
    """Encrypt a text for one owner (an id), so that it opens in no other row."""
    return _box(_keys()).encrypt(json.dumps([str(owner), text]).encode())


def unseal(sealed: bytes, *, owner: object) -> str:
    """Decrypt what `seal` made for the same owner, or raise SecretUnavailable."""
    return _unsealed(bytes(sealed), str(owner), _keys())


@lru_cache(maxsize=1024)
def _unsealed(sealed: bytes, owner: str, keys: tuple[str | bytes, ...]) -> str:
    """Decrypt once for many attempts: it takes four times as long as signing a kilobyte."""
    try:
        sealed_for, text = json.loads(_box(keys).decrypt(sealed))
    except (InvalidToken, ValueError):
        raise SecretUnavailable(SecretUnavailable.__doc__) from None
    if sealed_for != owner:
        raise SecretUnavailable(SecretUnavailable.__doc__)
    return str(text)


def _box(keys: tuple[str | bytes, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def _keys() -> tuple[str | bytes, ...]:
    return tuple(settings.SECRET_KEYS) or (_derived_key(django_settings.SECRET_KEY),)


@lru_cache(maxsize=8)
def _derived_key(secret_key: str) -> bytes:
    digest = hashlib.sha256(b"webhook_delivery.keys:" + secret_key.encode())
    return base64.urlsafe_b64encode(digest.digest())
