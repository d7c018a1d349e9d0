"""Remembers in Django's cache which webhooks were processed, and which are being processed."""

from __future__ import annotations

import enum
import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from django.core.cache import InvalidCacheBackendError, caches
from django.db import connections, transaction

from webhook_delivery.logs import log_of

logger = log_of(__name__)

DONE = "done"


class Known(enum.Enum):
    """What is known of a webhook."""

    NEW = enum.auto()
    BUSY = enum.auto()
    DONE = enum.auto()


@dataclass
class Turn:
    """
    One attempt to process one webhook: nobody else processes it meanwhile.

    names: by which it may be known; who takes one takes them all.
    busy: seconds after which whoever began is taken for dead. remember: seconds that what was
    processed is known.
    """

    cache: str
    names: Sequence[str]
    busy: float
    remember: float
    _token: str = field(default_factory=lambda: secrets.token_hex(8), repr=False)

    @property
    def _keys(self) -> list[str]:
        """Ids are anybody's text, and a key is not; in one order, so that of two one gets all."""
        hashes = {hashlib.sha256(name.encode(errors="replace")).hexdigest() for name in self.names}
        return [f"webhook_delivery:{each}" for each in sorted(hashes)]

    def begin(self) -> Known:
        """Take the turn, unless the webhook was processed, or is being processed."""
        cache = caches[self.cache]
        if all(cache.add(key, self._token, self.busy) for key in self._keys):
            return Known.NEW
        self.fail()
        return Known.DONE if DONE in map(cache.get, self._keys) else Known.BUSY

    def succeed(self) -> None:
        """Remember it once what the view wrote is committed, if a transaction is open."""
        _after([each for each in connections if _is_open(each)], self._remember)

    def fail(self) -> None:
        """Forget it, so that the next attempt is processed; but not another's turn."""
        cache = caches[self.cache]
        for key in self._keys:
            if cache.get(key) == self._token:
                cache.delete(key)

    def _remember(self) -> None:
        """It is processed, whatever the cache says; who cannot remember it may see it again."""
        try:
            for key in self._keys:
                caches[self.cache].set(key, DONE, self.remember)
        except Exception:
            logger.exception("The cache does not remember a webhook that was processed")


def exists(cache: str) -> bool:
    """Whether there is a cache of that name."""
    try:
        caches[cache]
    except InvalidCacheBackendError:
        return False
    return True


def _is_open(database: str) -> bool:
    """Whether a transaction is open that may still be rolled back; a TestCase's own is none."""
    blocks = connections[database].atomic_blocks
    return any(not getattr(block, "_from_testcase", False) for block in blocks)


def _after(databases: Sequence[str], act: Callable[[], None]) -> None:
    """Act when the transactions in all of these have committed: with ATOMIC_REQUESTS, later."""
    if not databases:
        act()
        return
    first, *rest = databases
    transaction.on_commit(lambda: _after(rest, act), using=first, robust=True)
