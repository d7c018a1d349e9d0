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

    busy: seconds after which whoever began is taken for dead. remember: seconds that what was
    processed is known.
    """

    cache: str
    name: str
    busy: float
    remember: float
    _token: str = field(default_factory=lambda: secrets.token_hex(8), repr=False)

    @property
    def _key(self) -> str:
        """Ids are anybody's text, and a key is not."""
        return f"webhook_delivery:{hashlib.sha256(self.name.encode(errors='replace')).hexdigest()}"

    def begin(self) -> Known:
        """Take the turn, unless the webhook was processed, or is being processed."""
        cache = caches[self.cache]
        if cache.add(self._key, self._token, self.busy):
            return Known.NEW
        return Known.DONE if cache.get(self._key) == DONE else Known.BUSY

    def succeed(self) -> None:
        """Remember it once what the view wrote is committed, if a transaction is open."""
        _after([each for each in connections if _is_open(each)], self._remember)

    def fail(self) -> None:
        """Forget it, so that the next attempt is processed; but not another's turn."""
        cache = caches[self.cache]
        if cache.get(self._key) == self._token:
            cache.delete(self._key)

    def _remember(self) -> None:
        """It is processed, whatever the cache says; who cannot remember it may see it again."""
        try:
            caches[self.cache].set(self._key, DONE, self.remember)
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
