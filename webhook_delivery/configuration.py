"""The settings as they are in force, for those who look at a system: no secret is among them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings as django_settings

from webhook_delivery.conf import KNOWN, SECRET, settings

HIDDEN = "***"


def effective() -> dict[str, Any]:
    """
    Say the value of each setting, by name, whether it was set or is the default.

    Of `SECRET_KEYS` each key is `***`, so that it is seen how many there are; of an address, so
    is whatever stands before its host.
    """
    return {name: _told(name, getattr(settings, name)) for name in sorted(KNOWN)}


def changed() -> frozenset[str]:
    """The names of those that the project has set."""
    return KNOWN & frozenset(getattr(django_settings, "WEBHOOK_DELIVERY", {}))


def _told(name: str, value: Any) -> Any:
    if name in SECRET:
        return _without_secret(value)
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, list | tuple | set | frozenset) else value


def _without_secret(value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, str):
        return [HIDDEN for _each in value]
    parts = urlsplit(value)
    host = parts.netloc.rpartition("@")[2]
    return value if host == parts.netloc else parts._replace(netloc=f"{HIDDEN}@{host}").geturl()
