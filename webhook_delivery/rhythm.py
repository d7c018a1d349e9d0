"""When a drain looks for what is due: how soon again, and whether for newcomers only."""

from __future__ import annotations

import time
from collections.abc import Callable

from webhook_delivery.conf import settings

AHEAD = 4
"""How much is claimed for each request in flight, so that none waits for the database."""
LOOK_SECONDS = 0.1
"""How often a drain looks for what has become due, when it has enough to do or nothing at all."""
PEEK_SECONDS = 0.02
"""How often, while it only waits for answers: what they belong to must not delay the rest."""
IN_VAIN_SECONDS = 1
"""How long no newcomers are looked for, at most, after there were none: twice as long each time."""


class Rhythm:
    """
    Remembers what the last looks led to.

    An endpoint with a long backlog fills the stock. A commit then makes the drain look at once, and
    beyond the stock, for endpoints of which it holds little: newcomers. If there are none, it looks
    at its usual pace.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.news = False
        """Whether anything was settled, or given back, since the last look."""
        self.called = False
        """Whether something may have become due since."""
        self.fruitful = True
        """Whether the last look found something, so that there may be more."""
        self._filled = False
        """Whether it filled the room."""
        self._looked, self._newcomers_from, self._in_vain = 0.0, 0.0, PEEK_SECONDS

    def may_be_more(self) -> bool:
        """Whether there may be something to send that the last look did not see."""
        return self.fruitful or self.news or self.called

    def ago(self) -> float:
        """How many seconds ago the last look was."""
        return self._clock() - self._looked

    def asks_for(self, room: int) -> bool:
        """
        Whether to look now: soon while there is more and the stock runs low, else now and then.

        room: for so many more there would be enough to do; less than none if there is too much.
        """
        if self.only_newcomers(room):
            return self.places(room, newcomers=True) > 0
        if self.fruitful and _low(room) and (self._filled or self.news):
            return True
        patient = LOOK_SECONDS if self.fruitful and not self.called else PEEK_SECONDS
        return room > 0 and self.ago() >= patient

    def only_newcomers(self, room: int) -> bool:
        """Whether the next look is for newcomers: for the rest there is enough in stock."""
        return self.called and not _low(room) and self._clock() >= self._newcomers_from

    def places(self, room: int, *, newcomers: bool) -> int:
        """How many such a look is for: newcomers find as many places again as the stock has."""
        return room + _stock() if newcomers else room

    def looked(self, found: int, places: int, *, newcomers: bool) -> None:
        """Remember that a look led to so many claims."""
        self._looked, self.news = self._clock(), False
        filled = found == places
        self.called = newcomers and filled
        self.fruitful = bool(found) or (newcomers and self.fruitful)
        self._filled = filled or (newcomers and self._filled)
        if newcomers:
            self._newcomers_from = self._looked + (0 if found else self._in_vain)
            self._in_vain = PEEK_SECONDS if found else min(2 * self._in_vain, IN_VAIN_SECONDS)


def _stock() -> int:
    return AHEAD * settings.CONCURRENCY


def _low(room: int) -> bool:
    return room >= _stock() - settings.CONCURRENCY
