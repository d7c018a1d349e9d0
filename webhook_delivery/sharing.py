"""Shares free places among endpoints: who has the fewest is served first (pure)."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

LATE_SHARE = 4
"""One place in so many is kept for retries when first attempts would take them all."""

Chance = Callable[[], float]
"""At random from 0 up to 1."""


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery that is due, as far as sharing is concerned."""

    pk: int
    endpoint: int
    first: bool
    """Whether it would be its first attempt since publishing."""
    sequence: int | None = None


def share(
    waiting: Sequence[Due],
    places: int,
    *,
    rooms: Mapping[int, int],
    held: Mapping[int, int],
    chance: Chance = random.random,
) -> list[Due]:
    """
    Choose at most `places` of those waiting, which are given in the order of their due times.

    An endpoint gets at most its room, and those that hold the fewest come first. When places are
    scarce, first attempts go before retries, which keep a quarter: of all, and of each room. Of
    one place, that is the whole, one time in four.
    """
    late = [due for due in waiting if not due.first]
    first = [due for due in waiting if due.first]
    retrying = {due.endpoint for due in late}
    narrow = {
        pk: room - (_quarter(room, chance) if pk in retrying else 0) for pk, room in rooms.items()
    }
    chosen = _in_turn(first, places - min(len(late), _quarter(places, chance)), narrow, held)
    chosen += _in_turn(late, places - len(chosen), *_after(chosen, rooms, held))
    passed = {due.pk for due in chosen}
    rest = [due for due in first if due.pk not in passed]
    return chosen + _in_turn(rest, places - len(chosen), *_after(chosen, rooms, held))


def seat(seen: Sequence[Due], seats: int, *, chance: Chance = random.random) -> set[int]:
    """
    Choose at most so many endpoints to look after, at random; most of them have first attempts.

    Those that only have retries keep a quarter of the seats.
    """
    fresh = {due.endpoint for due in seen if due.first}
    late = {due.endpoint for due in seen} - fresh
    kept = min(len(late), max(seats - len(fresh), _quarter(seats, chance)))
    return {*_some(fresh, seats - kept, chance), *_some(late, kept, chance)}


def _quarter(count: int, chance: Chance) -> int:
    """What retries keep: a part of one place is one, as often."""
    return int(count / LATE_SHARE + chance())


def _some(endpoints: set[int], count: int, chance: Chance) -> list[int]:
    if len(endpoints) <= count:
        return list(endpoints)
    return sorted(sorted(endpoints), key=lambda _: chance())[:count]


def _in_turn(
    waiting: Iterable[Due], places: int, rooms: Mapping[int, int], held: Mapping[int, int]
) -> list[Due]:
    queues: dict[int, deque[Due]] = {}
    for due in waiting:
        queues.setdefault(due.endpoint, deque()).append(due)
    turns = [(held.get(endpoint, 0), number, endpoint) for number, endpoint in enumerate(queues)]
    heapq.heapify(turns)
    left, chosen = dict(rooms), list[Due]()
    while turns and len(chosen) < places:
        holds, number, endpoint = heapq.heappop(turns)
        if left.get(endpoint, 0) > 0:
            left[endpoint] -= 1
            chosen.append(queues[endpoint].popleft())
            if queues[endpoint]:
                heapq.heappush(turns, (holds + 1, number, endpoint))
    return chosen


def _after(
    chosen: Iterable[Due], rooms: Mapping[int, int], held: Mapping[int, int]
) -> tuple[dict[int, int], dict[int, int]]:
    """The rooms and the holdings once these have been given."""
    left, holds = dict(rooms), dict(held)
    for due in chosen:
        left[due.endpoint] -= 1
        holds[due.endpoint] = holds.get(due.endpoint, 0) + 1
    return left, holds
