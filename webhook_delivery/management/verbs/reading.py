"""Reads what is typed after options: numbers, states, rates, and moments, past and to come."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from webhook_delivery.endpoints import LONGEST_PAUSE
from webhook_delivery.models import Delivery
from webhook_delivery.references import number_in
from webhook_delivery.validation import validate_rate

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def positive(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 1_000_000:
        raise ArgumentTypeError("use a whole number above 0")
    return int(text)


def number(text: str) -> int:
    """The number of a row."""
    if (found := number_in(text)) is None:
        raise ArgumentTypeError("use a number")
    return found


def within(least: int, most: int) -> Callable[[str], int]:
    """What reads a whole number between these."""

    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise ArgumentTypeError(f"use a whole number, {least} to {most}")
        return int(text)

    return read


def states(text: str) -> list[str]:
    """One state of deliveries, or several with commas between them, as the console's lists."""
    found = text.split(",")
    if wrong := [each for each in found if each not in Delivery.State.values]:
        known = ", ".join(Delivery.State.values)
        raise ArgumentTypeError(f"{wrong[0]!r} is no state; use one or some of {known}")
    return found


def rate(text: str) -> float:
    """How many a second."""
    try:
        value = float(text)
        validate_rate(value)
    except ValidationError as error:
        raise ArgumentTypeError(" ".join(error.messages)) from None
    except ValueError:
        raise ArgumentTypeError("use a number, how many a second") from None
    return value


def rate_or_none(text: str) -> float | None:
    """How many a second; `none`: as many as the endpoints' own limits allow."""
    return None if text == "none" else rate(text)


def span(text: str) -> timedelta:
    """A span of time: `90s`, `15m`, `24h`, `7d`, `2w`."""
    if not (found := re.fullmatch(r"(\d{1,6})([smhdw])", text)):
        raise ArgumentTypeError("use a span, as in 90s, 15m, 24h, 7d")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def moment(text: str) -> datetime:
    """A moment in ISO 8601, or how long ago it was."""
    return timezone.now() - span(text) if _is_span(text) else _iso(text)


def coming(text: str) -> datetime:
    """A moment to come, in ISO 8601, or in how long it will be; no more than a year ahead."""
    read = timezone.now() + span(text) if _is_span(text) else _iso(text)
    if not timezone.now() < read <= timezone.now() + LONGEST_PAUSE:
        raise ArgumentTypeError("use a moment to come, within a year")
    return read


def _is_span(text: str) -> bool:
    return re.fullmatch(r"\d+[smhdw]", text) is not None


def _iso(text: str) -> datetime:
    try:
        read = parse_datetime(text)
    except ValueError:  # well formed, and in no calendar
        read = None
    if read is None:
        raise ArgumentTypeError("use ISO 8601, as in 2026-11-21T14:00+00:00, or a span: 24h, 7d")
    return timezone.make_aware(read) if timezone.is_naive(read) else read
