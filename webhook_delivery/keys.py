"""Secrets at rest: sealed with Fernet, bound to their endpoint, and opened only to be used."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.encoding import force_bytes
from django.views.decorators.debug import sensitive_variables

from webhook_delivery.conf import settings

Keys = tuple[str | bytes, ...]


class SecretUnavailable(Exception):
    """The secret cannot be opened: none of SECRET_KEYS fits, or it was sealed for another row."""


class Opened(str):
    """A text that was sealed: it is what it is, but does not show itself in a `repr`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'…'"


@sensitive_variables()
def seal(text: str, *, owner: object) -> bytes:
    """Encrypt a text by the newest key for one owner (an id): it opens in no other row."""
    return _box(_keys()).encrypt(json.dumps([str(owner), text]).encode())


@sensitive_variables()
def unseal(sealed: bytes, *, owner: object) -> str:
    """Decrypt what `seal` made for the same owner, or raise SecretUnavailable."""
    return _unsealed(bytes(sealed), str(owner), _keys())


@sensitive_variables()
def renew(sealed: bytes, *, owner: object) -> bytes:
    """
    Seal with the newest key what an older one sealed; what the newest sealed stays as it is.

    What a key derived from SECRET_KEY sealed, before there were SECRET_KEYS, is opened as well.
    Raises SecretUnavailable if none of these fits.
    """
    sealed, owner, keys = bytes(sealed), str(owner), _keys()
    if _fits(sealed, owner, keys[:1]):
        return sealed
    return seal(_unsealed(sealed, owner, (*keys, *_derived())), owner=owner)


def opens(sealed: bytes, *, owner: object) -> bool:
    """Whether `unseal` would open it."""
    return _fits(bytes(sealed), str(owner), _keys())


@sensitive_variables()
def _fits(sealed: bytes, owner: str, keys: Keys) -> bool:
    try:
        _unsealed(sealed, owner, keys)
    except SecretUnavailable:
        return False
    return True


@lru_cache(maxsize=1024)
@sensitive_variables()
def _unsealed(sealed: bytes, owner: str, keys: Keys) -> Opened:
    """Decrypt once for many attempts: it takes four times as long as signing a kilobyte."""
    try:
        sealed_for, text = json.loads(_box(keys).decrypt(sealed))
    except (InvalidToken, ValueError, TypeError):  # the last two: of a key that is none
        raise SecretUnavailable(SecretUnavailable.__doc__) from None
    if sealed_for != owner:
        raise SecretUnavailable(SecretUnavailable.__doc__)
    return Opened(text)


def _box(keys: Keys) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def _keys() -> Keys:
    """What seals, and after it what only opens: the newest first. Not both kinds at once."""
    return tuple(settings.SECRET_KEYS or ()) or _derived()


def _derived() -> Keys:
    """What stands in for SECRET_KEYS: from Django's own key, and from those it had before."""
    try:
        ours = [django_settings.SECRET_KEY, *django_settings.SECRET_KEY_FALLBACKS]
    except ImproperlyConfigured:  # no SECRET_KEY: nothing opens, and Django says why
        raise SecretUnavailable(SecretUnavailable.__doc__) from None
    return tuple(_derived_key(force_bytes(key)) for key in ours)


@lru_cache(maxsize=8)
def _derived_key(secret_key: bytes) -> bytes:
    digest = hashlib.sha256(b"webhook_delivery.keys:" + secret_key)
    return base64.urlsafe_b64encode(digest.digest())
