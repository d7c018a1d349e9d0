"""Secrets at rest: sealed with Fernet, bound to their endpoint, and opened only to sign."""

from __future__ import annotations

import base64
import hashlib
import json

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings as django_settings

from webhook_delivery.conf import settings


class SecretUnavailable(Exception):
    """The secret cannot be opened: none of SECRET_KEYS fits, or it was sealed for another row."""


def seal(text: str, *, owner: object) -> bytes:
    """Encrypt a text for one owner (an id), so that it opens in no other row."""
    return _box().encrypt(json.dumps([str(owner), text]).encode())


def unseal(sealed: bytes, *, owner: object) -> str:
    """Decrypt what `seal` made for the same owner, or raise SecretUnavailable."""
    try:
        sealed_for, text = json.loads(_box().decrypt(bytes(sealed)))
    except (InvalidToken, ValueError):
        raise SecretUnavailable(SecretUnavailable.__doc__) from None
    if sealed_for != str(owner):
        raise SecretUnavailable(SecretUnavailable.__doc__)
    return str(text)


def _box() -> MultiFernet:
    keys = settings.SECRET_KEYS or (_derived_key(),)
    return MultiFernet([Fernet(key) for key in keys])


def _derived_key() -> bytes:
    digest = hashlib.sha256(b"webhook_delivery.keys:" + django_settings.SECRET_KEY.encode())
    return base64.urlsafe_b64encode(digest.digest())
