"""Keeps attempts in the air: threads that do HTTP only, and who gets the next one."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from webhook_delivery.claims import Claim, Finding
from webhook_delivery.conf import settings
from webhook_delivery.logs import log_of

logger = log_of(__name__)

SLOW_SECONDS = 0.2
"""A request that has waited so long only waits: another thread may work beside it."""
HUSH_SECONDS = 0.1
"""How long nothing begins, at most, while something else is in a hurry."""


class Flights:
    """
    Attempts in the air, and claims that are ready to fly.

    The endpoint with the fewest in the air comes first, so one that hangs waits behind all others.
    Requests to slow receivers do not count: for each of them there is one more thread, up to
    MAX_THREADS, of which no endpoint takes more than half of what is left.
    """

    def __init__(
        self,
        fly: Callable[[Claim], Finding | None],
        landed: Callable[[tuple[Claim, Finding | None]], None],
        stopped: Callable[[int], bool] = lambda endpoint: False,
    ) -> None:
        """
        Prepare for flights; threads begin with the first that is launched.

        fly: makes an attempt. landed: is told of each, in any thread.
        stopped: whether nothing may begin to an endpoint, which is `ground`ed once that is so.
        """
        self._fly = fly
        self._concurrency, self._most = settings.CONCURRENCY, settings.MAX_THREADS
        self._landed = landed
        self._stopped = stopped
        self._ready: dict[int, deque[Claim]] = {}
        self._aloft: dict[tuple[int, int], float] = {}
        """
        When each of those in the air began, by its delivery and its number: if a lease ended while
        a request hung, the next attempt at the same delivery may be in the air beside it.
        """
        self._by_endpoint: Counter[int] = Counter()
        self._threads = 0
        self._idle = 0
        self._closed = False
        self._hushed_until = 0.0
        self._changed = threading.Condition()

    @contextmanager
    def hushed(self) -> Iterator[None]:
        """
        Begin nothing while the block runs, but for `HUSH_SECONDS` at most.

        Threads that send hold the interpreter, and what is done beside them takes twice as long.
        """
        self._hushed_until = time.monotonic() + HUSH_SECONDS
        try:
            yield
        finally:
            with self._changed:
                self._hushed_until = 0.0
                self._changed.notify(self.ready)

    def launch(self, claims: Iterable[Claim]) -> None:
        claims = list(claims)
        with self._changed:
            stopped = {to for to in {claim.endpoint_id for claim in claims} if self._stopped(to)}
            for claim in claims:
                if claim.endpoint_id not in stopped:
                    self._ready.setdefault(claim.endpoint_id, deque()).append(claim)
            self._man()
            self._changed.notify(self.ready)
        self._unbegun(claim for claim in claims if claim.endpoint_id in stopped)

    def reinforce(self) -> None:
        """See to it that those who only wait are replaced by threads that work."""
        with self._changed:
            self._man()

    def ground(self, endpoint: int) -> None:
        """Begin nothing more to this endpoint that is ready: it lands without a finding."""
        with self._changed:
            waiting = self._ready.pop(endpoint, ())
        self._unbegun(waiting)

    def take_back(self) -> list[Claim]:
        """Those that have not begun; they will not."""
        with self._changed:
            claims = [claim for waiting in self._ready.values() for claim in waiting]
            self._ready.clear()
        return claims

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._ready.clear()
            self._changed.notify_all()

    @property
    def ready(self) -> int:
        """How many wait for a thread."""
        return sum(map(len, self._ready.values()))

    def may_begin(self) -> int:
        """How many of them may begin as soon as a thread is free; the rest wait for their own."""
        with self._changed:
            share, aloft = self._share(), self._by_endpoint
            return sum(
                min(len(waiting), max(0, share - aloft[endpoint]))
                for endpoint, waiting in self._ready.items()
            )

    def working(self) -> int:
        """How many are in the air and not slow."""
        with self._changed:
            return len(self._aloft) - self._slow()

    def quiet(self) -> bool:
        """Whether nothing will land soon."""
        return not self._ready and not self.working()

    def _unbegun(self, claims: Iterable[Claim]) -> None:
        for claim in claims:
            self._landed((claim, None))

    def _man(self) -> None:
        """One thread for each that could begin, as far as there may be more."""
        missing = min(self.ready - self._idle, self._wanted() - self._threads)
        for _ in range(missing):
            try:
                threading.Thread(target=self._work, name="webhook-attempt", daemon=True).start()
            except RuntimeError:  # the machine allows no more of them
                if not self._threads:
                    raise
                return
            self._threads += 1

    def _wanted(self) -> int:
        return min(self._most, self._concurrency + self._slow())

    def _slow(self) -> int:
        since = time.monotonic() - SLOW_SECONDS
        return sum(1 for began in self._aloft.values() if began < since)

    def _work(self) -> None:
        while (claim := self._next()) is not None:
            finding = None
            try:
                finding = self._fly(claim)
            except Exception:
                said = "Delivery %s: the attempt failed in itself"
                logger.exception(said, claim.delivery_id, extra=claim.about())
            self._land(claim)
            self._landed((claim, finding))

    def _next(self) -> Claim | None:
        """What this thread does next; None if it is one too many."""
        with self._changed:
            while not self._closed and self._threads <= self._wanted():
                if claim := self._pop():
                    self._aloft[claim.delivery_id, claim.number] = time.monotonic()
                    self._by_endpoint[claim.endpoint_id] += 1
                    return claim
                self._idle += 1
                self._changed.wait(HUSH_SECONDS if self._hushed_until else None)
                self._idle -= 1
            self._threads -= 1
            return None

    def _pop(self) -> Claim | None:
        """One of the endpoint with the fewest in the air."""
        if not self._ready or time.monotonic() < self._hushed_until:
            return None
        endpoint = min(self._ready, key=self._by_endpoint.__getitem__)
        if self._by_endpoint[endpoint] >= self._share():
            return None
        waiting = self._ready[endpoint]
        claim = waiting.popleft()
        if not waiting:
            del self._ready[endpoint]
        return claim

    def _share(self) -> int:
        """How many of one endpoint may be in the air."""
        return max(1, (self._most - len(self._aloft)) // 2)

    def _land(self, claim: Claim) -> None:
        with self._changed:
            del self._aloft[claim.delivery_id, claim.number]
            self._by_endpoint[claim.endpoint_id] -= 1
            if not self._by_endpoint[claim.endpoint_id]:
                del self._by_endpoint[claim.endpoint_id]
