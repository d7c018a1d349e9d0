"""Which headers an endpoint may ask for beside ours, and which of them are sent (pure)."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from typing import Any

MOST, LONGEST, LARGEST = 20, 1024, 8192
"""How many, how long a value may be, and how many bytes they may be together."""
MASK = b"***"
NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
"""A token of RFC 9110 §5.6.2."""
VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
"""Printable ASCII, without blanks at its ends."""

OURS = re.compile(
    "host|content-.*|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect|proxy-.*"
    "|accept-encoding|cookie2?|date|user-agent|via|webhook-.*|svix-.*|ce-.*"
    "|traceparent|tracestate|:.*",
    re.IGNORECASE,
)
"""Those that frame the message, steer proxies, or are written by us."""


class Flaw(enum.Enum):
    """Why headers cannot be asked for."""

    NOT_A_MAPPING = enum.auto()
    TOO_MANY = enum.auto()
    TOO_LARGE = enum.auto()
    NAME = enum.auto()
    VALUE = enum.auto()
    RESERVED = enum.auto()
    TWICE = enum.auto()


def flaw_of(headers: Any, *, prefix: str = "webhook-") -> tuple[Flaw, str] | None:
    """
    Say what is wrong with headers, and which one; None if they can be sent.

    prefix: what the names of the signature's headers begin with.
    """
    if not isinstance(headers, Mapping):
        return Flaw.NOT_A_MAPPING, ""
    if len(headers) > MOST:
        return Flaw.TOO_MANY, ""
    for name, value in headers.items():
        if flaw := _flaw_of(name, value, prefix):
            return flaw, repr(name)[:80]
    if sum(len(name) + len(value) for name, value in headers.items()) > LARGEST:
        return Flaw.TOO_LARGE, ""
    return _twice(headers)


def sendable(headers: Mapping[str, str], *, prefix: str = "webhook-") -> dict[str, str]:
    """Leave out what nobody may ask for, however it came to be stored."""
    return {name: value for name, value in headers.items() if _flaw_of(name, value, prefix) is None}


def _flaw_of(name: Any, value: Any, prefix: str) -> Flaw | None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        return Flaw.NAME
    folded = name.lower().replace("_", "-")  # as gateways do
    if OURS.fullmatch(folded) or folded.startswith(prefix):
        return Flaw.RESERVED
    if not isinstance(value, str) or len(value) > LONGEST or not VALUE.fullmatch(value):
        return Flaw.VALUE
    return None


def masked(text: bytes, secrets: Iterable[str]) -> bytes:
    """
    Hide what a receiver echoes of these, also where its end is cut off.

    Shorter ones than four characters are no secrets.
    """
    for secret in sorted(filter(_worth_hiding, secrets), key=len, reverse=True):
        text = text.replace(secret.encode(), MASK)
        cut = next((n for n in range(len(secret), 3, -1) if text.endswith(secret[:n].encode())), 0)
        text = text[:-cut] + MASK if cut else text
    return text


def _worth_hiding(secret: str) -> bool:
    return len(secret) > 3


def _twice(names: Iterable[str]) -> tuple[Flaw, str] | None:
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            return Flaw.TWICE, repr(name)
        seen.add(name.lower())
    return None
