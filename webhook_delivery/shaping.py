"""What of a row is sent: which fields, as which values, and never a secret by accident."""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db.models import BinaryField, DecimalField, Field, FileField, ManyToManyField, Model

ALL = "__all__"

SENSITIVE = re.compile(
    r"(^|_)(pass(word|wd|phrase|code)?|secrets?|tokens?|otp|totp|salt|pin|cvv|cvc|ssn|iban"
    r"|credentials?|(api|private|secret|signing|encryption|access|auth)_?keys?)(_|$)"
    r"|password|passwd|apikey",
    re.IGNORECASE,
)
"""Names of fields that hold what nobody else should know; Rails filters much the same from its
logs (`config.filter_parameters`)."""

M = TypeVar("M", bound=Model)


def is_sensitive(field: Field[Any, Any]) -> bool:
    """Whether the name of a field, or of its class, says that it holds a secret."""
    return bool(SENSITIVE.search(field.name)) or "Encrypted" in type(field).__name__


def fields_sent(
    model: type[Model], fields: Sequence[str], exclude: Sequence[str]
) -> list[Field[Any, Any]]:
    """
    Find the fields that are sent: those named, or all that JSON can say and that are no secret.

    Raises FieldDoesNotExist, and ImproperlyConfigured for a field that cannot be sent.
    """
    for name in exclude:
        model._meta.get_field(name)
    if fields and fields != ALL:
        return [sendable_field(model, name) for name in fields if name not in exclude]
    if fields or exclude:
        return [field for field in _of_rows(model) if field.name not in exclude]
    return []


def sendable_field(model: type[Model], name: str) -> Field[Any, Any]:
    """Find a field that has a value to send, or raise FieldDoesNotExist, ImproperlyConfigured."""
    field = model._meta.get_field(name)
    if not isinstance(field, Field) or not (field.concrete or field.many_to_many):
        raise ImproperlyConfigured(
            f"{model.__name__}.{name} has no column: send it from `payload()`."
        )
    if isinstance(field, BinaryField):
        raise ImproperlyConfigured(
            f"{model.__name__}.{name} holds bytes, which JSON has no form for: send them from "
            "`payload()`."
        )
    return field


def _of_rows(model: type[Model]) -> Iterator[Field[Any, Any]]:
    """Every column but keys that only point to the same row's parent, bytes, and secrets."""
    for field in model._meta.concrete_fields:
        points_to_parent = field.remote_field and getattr(field.remote_field, "parent_link", False)
        if not (points_to_parent or isinstance(field, BinaryField) or is_sensitive(field)):
            yield field


def as_stored(
    instance: M, update_fields: Collection[str] | None, names: Collection[str], using: str
) -> M:
    """
    Return the instance, if it holds what the database does; else a copy that does, by one query.

    It does not where it was saved in part, where a field is an expression (`F("n") + 1`), and where
    one was never loaded.

    update_fields: what was saved, as `post_save` tells; None: all of it.
    names: the fields that are asked for; empty: all.
    """
    stale = [
        field.attname
        for field in _stale(instance, update_fields)
        if not names or field.name in names
    ]
    if not stale:
        return instance
    stored = copy.copy(instance)
    stored.refresh_from_db(using=using, fields=stale)
    return stored


def is_stored(instance: Model) -> bool:
    """Whether a row that was saved as a whole holds what the database does."""
    return next(_stale(instance, None), None) is None


def _stale(instance: Model, update_fields: Collection[str] | None) -> Iterator[Field[Any, Any]]:
    fields = instance._meta.concrete_fields
    return (field for field in fields if _is_stale(instance, field, update_fields))


def _is_stale(
    instance: Model, field: Field[Any, Any], update_fields: Collection[str] | None
) -> bool:
    if field.primary_key:
        return False
    if getattr(field, "generated", False):
        return True  # the database makes it anew; Django reads it back from some, at some saves
    saved = update_fields is None or not {field.name, field.attname}.isdisjoint(update_fields)
    held = instance.__dict__.get(field.attname, instance)  # the instance itself: nothing is held
    return not saved or held is instance or hasattr(held, "resolve_expression")


def value_of(instance: Model, field: Field[Any, Any]) -> Any:
    """A field as it is stored: a foreign key is its key, a file its name, 5 a Decimal("5.00")."""
    if isinstance(field, ManyToManyField):
        related = getattr(instance, field.name).using(instance._state.db)
        return sorted(related.values_list("pk", flat=True))
    return normal(field, getattr(instance, field.attname))


def normal(field: Field[Any, Any], value: Any) -> Any:
    """Bring what was assigned into the form in which it comes back from the database."""
    if isinstance(field, FileField):
        return str(value)
    if isinstance(field, DecimalField) and value is not None and field.decimal_places is not None:
        return field.to_python(value).quantize(Decimal(1).scaleb(-field.decimal_places))
    return field.to_python(value)
