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

    A secret is `***`, and so is each of several, so that it is seen how many there are; of an
    address, only what stands before its host is, and its query is left out.
    """
    return {name: _told(name, getattr(settings, name)) for name in sorted(KNOWN)}


def changed() -> frozenset[str]:
    """The names of those that the project has set."""
    return KNOWN & frozenset(getattr(django_settings, "WEBHOOK_DELIVERY", {}))


def _told(name: str, value: Any) -> Any:
    if name == "EGRESS_PROXY" and value:
        return _address(value)
    if name in SECRET:
        return _hidden(value)
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, list | tuple | set | frozenset) else value


def _hidden(value: Any) -> Any:
    if value is None:
        return None
    return HIDDEN if isinstance(value, str) else [HIDDEN for _each in value]


def _address(value: str) -> str:
    parts = urlsplit(value)
    host = parts.netloc.rpartition("@")[2]
    shown = host if host == parts.netloc else f"{HIDDEN}@{host}"
    return parts._replace(netloc=shown, query="").geturl()
