"""What happened to a row of a registered model, and which event types that may be and is."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

from django.db.models import Model

from webhook_delivery.composing import NewEvent
from webhook_delivery.hearing import Kind
from webhook_delivery.references import reference_of
from webhook_delivery.shaping import as_stored, value_of
from webhook_delivery.tellers import ModelWebhooks
from webhook_delivery.transitions import Values, changed, fired


class Verb(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Occasion:
    """
    One row was created, updated or deleted.

    before: what its compared fields held; None: it is new, or nobody compares.
    update_fields: what was saved; None: all of it.
    relation: the many-to-many field that changed, instead of a column.
    fresh: the instance has just been read: it holds what the database does.
    """

    teller: ModelWebhooks
    instance: Model
    verb: Verb
    using: str
    before: Values | None = None
    update_fields: Collection[str] | None = None
    relation: str = ""
    fresh: bool = False

    @property
    def source(self) -> str:
        return reference_of(self.instance, self.teller.model)

    @property
    def event_type(self) -> str | None:
        """What is said of the verb itself."""
        said: str | None = getattr(self.teller, self.verb.value)
        return said

    def kinds(self, types: Collection[str]) -> set[Kind]:
        """The kinds of event that these types are of this row."""
        tenant = self.teller.tenant(self.instance) if types else ""
        return {Kind(tenant, event_type) for event_type in types}

    @property
    def possible(self) -> list[str]:
        """The event types that this may be, before it is looked at closely."""
        unwatched = self.relation and self.teller.watch and self.relation not in self.teller.watch
        own = [self.event_type] if self.event_type and not unwatched else []
        comparable = self.verb != Verb.DELETED and not self.relation
        return [*own, *(self.teller.transitions if comparable else ())]

    def news(self, types: Collection[str]) -> Iterator[NewEvent]:
        """Yield what is to be told, of these types only: those that somebody hears."""
        stored = self._stored()
        for event_type in self._actual(stored):
            if event_type in types and self.teller.when(stored, event_type):
                yield NewEvent(
                    event_type,
                    self.teller.payload(stored),
                    tenant=self.teller.tenant(stored),
                    key=self.teller.key(stored),
                    source=self.source,
                )

    def _stored(self) -> Model:
        if self.verb == Verb.DELETED or self.fresh:
            return self.instance
        return as_stored(self.instance, self.update_fields, self.teller.looked_at, self.using)

    def _actual(self, stored: Model) -> Iterator[str]:
        if self.verb == Verb.DELETED or self.relation:
            yield from self.possible
            return
        after = {field.name: value_of(stored, field) for field in self.teller.compared}
        if self.event_type and self._is_relevant(after):
            yield self.event_type
        if self.before is not None or self.verb == Verb.CREATED:
            yield from fired(self.teller.transitions, self.before, after)

    def _is_relevant(self, after: Values) -> bool:
        if not self.teller.watch or self.verb == Verb.CREATED:
            return True
        watched = [name for name in self.teller.watch if name in after]
        return bool(watched) and changed(watched, self.before, after)
