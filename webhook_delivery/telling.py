"""Tells what happened to rows of registered models, if somebody hears it: at once or together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from webhook_delivery import coalescing, hearing
from webhook_delivery.composing import compose
from webhook_delivery.hearing import Kind, Subscriber
from webhook_delivery.models import Event
from webhook_delivery.occasions import Occasion
from webhook_delivery.publishing import publish_composed
from webhook_delivery.writing import CHUNK


@dataclass(frozen=True, slots=True)
class Audience:
    """Who hears some kinds of event: the first page of them, and which kinds those are."""

    kinds: set[Kind]
    first: list[Subscriber]

    @property
    def heard(self) -> set[Kind]:
        return hearing.kinds_heard(self.kinds, self.first)


def kinds_of(occasions: Iterable[Occasion]) -> set[Kind]:
    """The kinds of event that any of these may be."""
    return {kind for one in occasions for kind in one.kinds(one.possible)}


def audience_of(occasions: Iterable[Occasion], *, using: str) -> Audience:
    """Ask who hears what these may be; one query, or none if they are nothing."""
    kinds = kinds_of(occasions)
    return Audience(kinds, hearing.first_page(kinds, using=using) if kinds else [])


def tell(occasions: Iterable[Occasion], *, using: str, audience: Audience | None = None) -> None:
    """
    Write an event of whatever somebody hears of, in the transaction that is open.

    audience: who hears it, if that was asked before; asked again if it was about others.
    """
    settled = [one for occasion in occasions if (one := coalescing.settle(occasion))]
    together = _together.get(connections[using])
    if together is not None:
        together.add(settled, using)
        return
    if audience is None or not kinds_of(settled) <= audience.kinds:
        audience = audience_of(settled, using=using)
    if events := list(_events(settled, audience.heard)):
        publish_composed(events, using=using, first=audience.first)


@contextmanager
def told_together(using: str) -> Iterator[None]:
    """Write at its end what is told inside: a number of statements that does not grow with it."""
    connection = connections[using]
    if connection in _together:
        yield
        return
    with transaction.atomic(using=using):
        together = _together[connection] = _Together()
        try:
            yield
        finally:
            del _together[connection]
        together.write(using)


def _events(occasions: Iterable[Occasion], heard: set[Kind]) -> Iterator[Event]:
    for occasion in occasions:
        types = {kind.event_type for kind in occasion.kinds(occasion.possible) & heard}
        for event in map(compose, occasion.news(types) if types else ()):
            coalescing.remember(occasion, event)
            yield event


@dataclass(eq=False)
class _Said:
    """An event that waits among the callbacks of its transaction, to be dropped as they are."""

    event: Event | None
    together: _Together

    def __call__(self) -> None:
        """Nothing: it was written before the commit."""


@dataclass(eq=False)
class _Together:
    """What is told together: who hears it is asked once for each kind."""

    heard: dict[Kind, bool] = field(default_factory=dict)
    waiting: int = 0

    def add(self, occasions: Sequence[Occasion], using: str) -> None:
        kinds = kinds_of(occasions)
        if unknown := kinds - self.heard.keys():
            heard = Audience(unknown, hearing.first_page(unknown, using=using)).heard
            self.heard |= {kind: kind in heard for kind in unknown}
        for event in _events(occasions, {kind for kind in kinds if self.heard[kind]}):
            transaction.on_commit(_Said(event, self), using=using)
            self.waiting += 1
        if self.waiting >= CHUNK:
            self.write(using)

    def write(self, using: str) -> None:
        callbacks = (callback for _, callback, *_ in connections[using].run_on_commit)
        said = [one for one in callbacks if isinstance(one, _Said) and one.together is self]
        events = [one.event for one in said if one.event]
        if current := [event for event in events if coalescing.is_current(event, using)]:
            publish_composed(current, using=using)
        for one in said:
            one.event = None
        self.waiting = 0


_together: WeakKeyDictionary[BaseDatabaseWrapper, _Together] = WeakKeyDictionary()
