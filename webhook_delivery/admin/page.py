"""What the page of one delivery shows."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.utils.functional import Promise

from webhook_delivery.admin import hints
from webhook_delivery.admin.text import Shown, pretty, readable, visible
from webhook_delivery.admin.times import relative
from webhook_delivery.lifecycle.sequences import first_before
from webhook_delivery.models import Attempt, Delivery, Transition
from webhook_delivery.redelivery import obstacle

ATTEMPTS = 100
"""How many attempts are shown, the newest; and how many transitions."""


class Line(NamedTuple):
    """One attempt, in words."""

    attempt: Attempt
    fault: Promise | str
    hint: Promise | str
    verdict: Promise | str
    detail: str
    answer: Shown


class Move(NamedTuple):
    """What else moved the delivery, between two attempts."""

    transition: Transition


def context_of(delivery: Delivery) -> dict[str, Any]:
    """What the template needs besides what every admin page has."""
    newest = list(delivery.attempts.order_by("-number")[: ATTEMPTS + 1])
    moves = list(delivery.transitions.order_by("-after", "-pk")[:ATTEMPTS])
    body = bytes(delivery.event.body)
    return {
        "delivery": delivery,
        "obstacle": obstacle(delivery),
        "reason": hints.reason_of(delivery),
        "hint": hints.HINTS.get(delivery.reason, ""),
        "due": delivery.due_at and relative(delivery.due_at),
        "next": hints.NEXT.get(delivery.state, ""),
        "before": first_before(delivery),
        "lines": _log(newest[:ATTEMPTS], moves),
        "more_attempts": len(newest) > ATTEMPTS,
        "body": pretty(body),
        "body_bytes": len(body),
    }


def _log(attempts: list[Attempt], transitions: list[Transition]) -> list[Line | Move]:
    """Both kinds of entries, the newest first."""
    lines: list[Line | Move] = []
    oldest = attempts[-1].number if attempts else 0
    for attempt in attempts:
        after = [each for each in transitions if each.after >= attempt.number]
        transitions = transitions[len(after) :]
        lines += [*map(Move, after), _line(attempt)]
    return lines + [Move(each) for each in transitions if oldest <= 1]


def _line(attempt: Attempt) -> Line:
    return Line(
        attempt=attempt,
        fault=hints.LABELS.get(attempt.fault, attempt.fault),
        hint=hints.HINTS.get(attempt.fault, ""),
        verdict=hints.VERDICTS.get(attempt.verdict, attempt.verdict),
        detail=visible(attempt.detail),
        answer=readable(bytes(attempt.excerpt)),
    )
