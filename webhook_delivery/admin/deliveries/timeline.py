"""What happened to one delivery, the newest first: its attempts, and what moved it in between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple

from django.utils.functional import Promise

from webhook_delivery import explaining
from webhook_delivery.admin import hints
from webhook_delivery.admin.deliveries.request import Request
from webhook_delivery.admin.deliveries.surroundings import Link
from webhook_delivery.admin.text import Shown, readable, visible
from webhook_delivery.admin.times import element
from webhook_delivery.models import Attempt, ConsoleAction, Delivery, Transition

ATTEMPTS = 50
"""How many attempts one page shows; and twice as many moves."""
ACTS = 200
"""Among so many of the last acts of people it is looked for who moved it."""
AT_ONCE = timedelta(seconds=60)
"""An act and the move that it made are no further apart: two clocks told them."""

STEP, TALLEST = 10, 60
"""Of the picture of durations: how far its bars are apart, and how high they are at most."""


class Try(NamedTuple):
    """One attempt, in words."""

    attempt: Attempt
    when: str
    fault: Promise | str
    hint: Promise | str
    verdict: Promise | str
    took: str
    detail: str
    answer: Shown | None
    headers: dict[str, str] | None
    """None, like the answer, if they are not for who asks."""
    newest: bool


class Move(NamedTuple):
    """What else moved the delivery, between two attempts; and who did, if that is known."""

    transition: Transition
    when: str
    by: str
    reason: str
    batch_link: str


class Timeline(NamedTuple):
    entries: list[Try | Move]
    moves: list[Move]
    attempts: list[Attempt]
    """Those that are shown, the newest first."""
    older: int | None
    """Ask for those before this number to see more; None: there are none."""


def timeline_of(
    delivery: Delivery, request: Request | None, *, before: int | None, link: Link
) -> Timeline:
    """
    Read one page of it.

    request: what is sent, if who asks may see that and the answers.
    before: show only what came before the attempt of that number; None: the newest.
    """
    found = _attempts(delivery, before, whole=request is not None)
    shown, more = found[:ATTEMPTS], len(found) > ATTEMPTS
    oldest = shown[-1].number if more else 0
    moves = _moves(delivery, before, oldest, link)
    newest = shown[0].number if shown and before is None else None
    tries = [_try(attempt, request, newest) for attempt in shown]
    return Timeline(list(_mixed(tries, moves)), moves, shown, oldest or None)


def _attempts(delivery: Delivery, before: int | None, *, whole: bool) -> list[Attempt]:
    rows = delivery.attempts.order_by("-number")
    rows = rows if before is None else rows.filter(number__lt=before)
    return list((rows if whole else rows.defer("excerpt"))[: ATTEMPTS + 1])


def _moves(delivery: Delivery, before: int | None, oldest: int, link: Link) -> list[Move]:
    rows = delivery.transitions.filter(after__gte=oldest).order_by("-after", "-pk")
    rows = rows if before is None else rows.filter(after__lt=before)
    transitions = list(rows.select_related("batch")[: 2 * ATTEMPTS])
    alone = any(each.batch is None for each in transitions)
    acts = _acts_on(delivery) if alone else []
    return [_move(each, acts, link) for each in transitions]


def _acts_on(delivery: Delivery) -> list[ConsoleAction]:
    """The last things that people did to it. Numbers are in order of time, and indexed."""
    last = ConsoleAction.objects.using(delivery._state.db).order_by("-pk")[:ACTS]
    return [action for action in last if delivery.pk in action.deliveries]


def _move(transition: Transition, acts: Iterable[ConsoleAction], link: Link) -> Move:
    batch = transition.batch
    by = batch or next((act for act in acts if _led_to(act, transition)), None)
    told = (visible(by.by_name), visible(by.reason)) if by else ("", "")
    return Move(transition, element(transition.at), *told, batch_link=link(batch) if batch else "")


def _led_to(act: ConsoleAction, transition: Transition) -> bool:
    return act.verb == transition.verb and abs(act.created_at - transition.at) < AT_ONCE


def _mixed(tries: Sequence[Try], moves: Sequence[Move]) -> Iterator[Try | Move]:
    """Both kinds of entries, the newest first."""
    left = list(moves)
    for each in tries:
        while left and left[0].transition.after >= each.attempt.number:
            yield left.pop(0)
        yield each
    yield from left


def _try(attempt: Attempt, request: Request | None, newest: int | None) -> Try:
    return Try(
        attempt=attempt,
        when=element(attempt.started_at),
        fault=hints.label_of(attempt.fault),
        hint=explaining.hint_of(attempt.fault, attempt.status),
        verdict=hints.VERDICTS.get(attempt.verdict, attempt.verdict),
        took="" if attempt.duration_ms is None else hints.duration(attempt.duration_ms),
        detail=visible(attempt.detail),
        answer=readable(bytes(attempt.excerpt)) if request else None,
        headers=request.headers(attempt.number, attempt.started_at) if request else None,
        newest=attempt.number == newest,
    )


class Bar(NamedTuple):
    """An attempt in the picture of durations: a column, as high as it took long."""

    attempt: Attempt
    took: str
    fault: Promise | str
    x: int
    y: int
    height: int


class Bars(NamedTuple):
    columns: list[Bar]
    width: int


def bars_of(attempts: Sequence[Attempt]) -> Bars | None:
    """Those whose durations are known, the oldest first; None if there is nothing to compare."""
    timed = [attempt for attempt in reversed(attempts) if attempt.duration_ms is not None]
    longest = max((attempt.duration_ms or 0 for attempt in timed), default=0) or 1
    bars = [_bar(attempt, number, longest) for number, attempt in enumerate(timed)]
    return Bars(bars, len(bars) * STEP) if len(bars) > 1 else None


def _bar(attempt: Attempt, number: int, longest: int) -> Bar:
    took = attempt.duration_ms or 0
    height = max(2, took * TALLEST // longest)
    fault = hints.label_of(attempt.fault)
    return Bar(attempt, hints.duration(took), fault, number * STEP, TALLEST - height, height)
