"""Several saves of one row in one transaction are one event, for those models that ask for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID
from weakref import WeakKeyDictionary

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from webhook_delivery.models import Event
from webhook_delivery.occasions import Occasion, Verb

Scope = tuple[int, str | None] | None
"""What stands for a transaction: its outermost block; None: there is none but a test's own."""

BORN = ""
"""Stands where an event type does, for a row that this transaction has created."""


@dataclass(frozen=True)
class _Told:
    """
    That something was told of a row, or taken back (`event` is None).

    It waits among the callbacks of its transaction, because those are dropped with the savepoint
    that they were made in, as the event is.
    """

    scope: Scope
    source: str
    event_type: str
    event: UUID | None
    connection: BaseDatabaseWrapper

    def __call__(self) -> None:
        _books.pop(self.connection, None)


@dataclass
class _Book:
    """What has been told in the transaction whose callbacks these are."""

    scope: Scope
    callbacks: Sequence[object]
    told: defaultdict[str, dict[str, UUID | None]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    def enter(self, told: _Told) -> None:
        if told.scope == self.scope:
            self.told[told.source][told.event_type] = told.event


_books: WeakKeyDictionary[BaseDatabaseWrapper, _Book] = WeakKeyDictionary()


def settle(occasion: Occasion) -> Occasion | None:
    """
    Take back what the transaction has told of the row so far, if its model asks for one event.

    Returns what is to be told now: an update of a row that is new as its creation; None of a row
    that nobody else will ever have seen.
    """
    if not occasion.teller.once_per_transaction:
        return occasion
    told = dict(_book(occasion.using).told[occasion.source])
    born = told.pop(BORN, None) is not None
    if occasion.verb == Verb.DELETED:
        _take_back(occasion, [*told, BORN])
        return None if born else occasion
    if occasion.verb == Verb.CREATED or born:
        occasion = replace(occasion, verb=Verb.CREATED, before=None)
        _enter(occasion, BORN, UUID(int=0))
    _take_back(occasion, [one for one in occasion.possible if told.get(one)])
    return occasion


def remember(occasion: Occasion, event: Event) -> None:
    """Keep in mind what has been told of the row, until the transaction ends."""
    if occasion.teller.once_per_transaction:
        _enter(occasion, event.event_type, event.pk)


def is_current(event: Event, using: str) -> bool:
    """Whether an event that was told together with others has not been taken back since."""
    told = _book(using).told.get(event.source, {})
    return told.get(event.event_type, event.pk) == event.pk


def _take_back(occasion: Occasion, types: list[str]) -> None:
    told = _book(occasion.using).told[occasion.source]
    events = [event for one in types if one != BORN and (event := told.get(one))]
    if events:
        Event.objects.using(occasion.using).filter(pk__in=events).delete()
    for one in types:
        _enter(occasion, one, None)


def _enter(occasion: Occasion, event_type: str, event: UUID | None) -> None:
    book, connection = _book(occasion.using), connections[occasion.using]
    told = _Told(book.scope, occasion.source, event_type, event, connection)
    transaction.on_commit(told, using=occasion.using)
    book.enter(told)


def _book(using: str) -> _Book:
    """
    The book of the transaction that is open; where a savepoint was rolled back, written anew.

    Django puts another list in the place of the one it drops callbacks from, at every end.
    """
    connection = connections[using]
    scope, callbacks = _scope(connection), connection.run_on_commit
    book = _books.get(connection)
    if book is None or book.callbacks is not callbacks or book.scope != scope or scope is None:
        book = _books[connection] = _Book(scope, callbacks)
        for _, callback, *_ in callbacks if scope else ():
            if isinstance(callback, _Told):
                book.enter(callback)
    return book


def _scope(connection: BaseDatabaseWrapper) -> Scope:
    """A `TestCase` is one transaction: what is inside of it stands for transactions, as Django's
    `durable` has it."""
    savepoints = [None, *connection.savepoint_ids]
    for depth, block in enumerate(connection.atomic_blocks):
        if not getattr(block, "_from_testcase", False):
            return depth, savepoints[depth]
    return None
