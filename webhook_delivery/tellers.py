"""What registered models tell: the class that people write, and who speaks for a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured, ValidationError
from django.db.models import Field, Model

from webhook_delivery.shaping import ALL, fields_sent, sendable_field, value_of
from webhook_delivery.transitions import Rule
from webhook_delivery.validation import validate_event_type


class ModelWebhooks:
    """
    What one model tells the world. Subclass it, and decorate it with `@register(Model)`.

    created, updated, deleted: event types such as "order.created"; None: nothing is said.
    transitions: event types of changes: `{"order.paid": {"status": "paid"}}` when the status has
        become that, `("new", "paid")` from one value to another, `("paid", ...)` from it to any
        other, or a function of both values. They are told besides `updated`.
    fields: names of the model fields in the payload, many-to-many fields too; "__all__": every
        column but bytes and what sounds like a secret (`password`, `api_token`).
    exclude: names that are left out; without `fields`, of all.
    serializer: a class of Django REST framework, or any whose instances have `data`; instead.
    watch: an update is told only if one of these fields has changed; empty: each is.
    descriptions: what the event types mean, for the catalogue: `{"order.created": "An order was
        placed."}`; those without one have the first paragraph of the class's docstring.
    once_per_transaction: several saves of one row in one transaction are one event, with what it
        has become; of a row that is deleted in the transaction that created it, nothing is told.

    Or override `payload`, for whatever else there is to send. It is called inside the save, if
    somebody is subscribed, with the row as it is stored; what it raises, the save raises.
    """

    created: ClassVar[str | None] = None
    updated: ClassVar[str | None] = None
    deleted: ClassVar[str | None] = None
    transitions: ClassVar[Mapping[str, Mapping[str, Rule]]] = {}
    fields: ClassVar[Sequence[str]] = ()
    exclude: ClassVar[Sequence[str]] = ()
    serializer: ClassVar[type[Any] | None] = None
    watch: ClassVar[Sequence[str]] = ()
    descriptions: ClassVar[Mapping[str, str]] = {}
    once_per_transaction: ClassVar[bool] = False

    def __init__(self, model: type[Model]) -> None:
        self.model = model
        validate(self)

    def payload(self, instance: Any) -> Any:
        """Return what to send about the instance: anything Django's JSON encoder can write."""
        if self.serializer is not None:
            return self.serializer(instance).data
        return {field.name: value_of(instance, field) for field in self.sent}

    def when(self, instance: Any, event_type: str) -> bool:
        """Return whether to tell of it at all; it is asked only if somebody is subscribed."""
        return True

    def tenant(self, instance: Any) -> str:
        """Return whose event it is; only endpoints of the same tenant hear of it."""
        return ""

    def key(self, instance: Any) -> str:
        """Return the ordering key: events of one key reach each endpoint in order; empty: none."""
        return ""

    @property
    def types(self) -> list[str]:
        """Every event type that it tells."""
        return [one for one in (self.created, self.updated, self.deleted) if one] + list(
            self.transitions
        )

    @cached_property
    def sent(self) -> list[Field[Any, Any]]:
        """The fields of the payload, unless it is made in another way."""
        return fields_sent(self.model, self.fields, self.exclude)

    @cached_property
    def compared(self) -> list[Field[Any, Any]]:
        """The columns of which must be known what was in them before."""
        names = {name for rules in self.transitions.values() for name in rules} | set(self.watch)
        found = (sendable_field(self.model, name) for name in sorted(names))
        return [field for field in found if field.concrete and not field.many_to_many]

    @cached_property
    def looked_at(self) -> frozenset[str]:
        """The fields that the payload shows, and those compared; empty: it may look at any."""
        shown = [*self.sent, *self.compared] if self.by_fields else ()
        return frozenset(field.name for field in shown)

    @property
    def by_fields(self) -> bool:
        """Whether the payload is made of the fields named, and of nothing else."""
        return self.serializer is None and type(self).payload is ModelWebhooks.payload


registered: dict[type[Model], ModelWebhooks] = {}
"""Every registered model, and what it tells."""


def tellers_of(model: type[Model]) -> Iterator[ModelWebhooks]:
    """
    Yield who tells of a saved row of the model: the registered class itself, or what it is a proxy
    of; and those of the parents whose tables the row is also in.
    """
    tables = set()
    for base in model.__mro__:
        teller = registered.get(base)
        if teller is not None and (table := teller.model._meta.concrete_model) not in tables:
            tables.add(table)
            yield teller


def teller_of_table(model: type[Model]) -> ModelWebhooks | None:
    """Return who tells of a deleted row of the model; Django tells of its parents' rows itself."""
    same = model._meta.concrete_model
    found = (one for one in tellers_of(model) if one.model._meta.concrete_model is same)
    return next(found, None)


def validate(webhooks: ModelWebhooks) -> None:
    """Whatever is wrong shows when the class is registered, not when a customer saves something."""
    name = type(webhooks).__name__
    types = [webhooks.created, webhooks.updated, webhooks.deleted, *webhooks.transitions]
    if not any(types):
        raise ImproperlyConfigured(
            f"{name} names no event type: created, updated, deleted, or transitions."
        )
    for event_type in filter(None, types):
        _validate_type(name, event_type)
    for attribute in ("fields", "exclude", "watch"):
        _validate_names(webhooks, attribute)
    _validate_payload(webhooks)
    for event_type, rules in webhooks.transitions.items():
        validate_rules(name, event_type, rules)
    if unknown := sorted(set(webhooks.descriptions) - set(types)):
        raise ImproperlyConfigured(f"{name}.descriptions: it does not tell {unknown[0]!r}.")
    _find(name, webhooks)


def _validate_type(name: str, event_type: Any) -> None:
    try:
        validate_event_type(event_type)
    except ValidationError as error:
        raise ImproperlyConfigured(f"{name}: {event_type!r}: {error.messages[0]}") from None


def _validate_names(webhooks: ModelWebhooks, attribute: str) -> None:
    names = getattr(webhooks, attribute)
    if isinstance(names, str) and not (attribute == "fields" and names == ALL):
        raise ImproperlyConfigured(
            f"{type(webhooks).__name__}.{attribute} must be a list of names, not a text."
        )


def _validate_payload(webhooks: ModelWebhooks) -> None:
    name, named = type(webhooks).__name__, bool(webhooks.fields or webhooks.exclude)
    own = type(webhooks).payload is not ModelWebhooks.payload
    if webhooks.serializer is not None and (named or own):
        raise ImproperlyConfigured(
            f"{name} has a `serializer`, which says all: leave out `fields`, `exclude`, `payload`."
        )
    if webhooks.by_fields and not named:
        raise ImproperlyConfigured(f"{name} must name the `fields` to send, or define `payload()`.")


def validate_rules(name: str, event_type: str, rules: Any) -> None:
    if not isinstance(rules, Mapping) or not rules:
        raise ImproperlyConfigured(
            f'{name}: the transition {event_type!r} needs fields and values: {{"status": "paid"}}.'
        )
    for field, rule in rules.items():
        if isinstance(rule, tuple) and len(rule) != 2:
            raise ImproperlyConfigured(
                f"{name}: {event_type!r}: {field} goes from one value to another; for several "
                "values, write a list."
            )


def _find(name: str, webhooks: ModelWebhooks) -> None:
    """Look every field up; a mistyped name raises FieldDoesNotExist."""
    try:
        if webhooks.by_fields and not webhooks.sent:
            raise ImproperlyConfigured(f"{name} leaves out every field there is to send.")
        compared = {field.name for field in webhooks.compared}
    except FieldDoesNotExist as error:
        raise FieldDoesNotExist(f"{name}: {error}") from None
    for event_type, rules in webhooks.transitions.items():
        if unknown := sorted(set(rules) - compared):
            raise ImproperlyConfigured(
                f"{name}: {event_type!r}: {unknown[0]} has no column that could be compared."
            )
