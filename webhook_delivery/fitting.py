"""Says whether data fits the schema of its event type, by the `jsonschema` library, if there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from webhook_delivery import catalogue
from webhook_delivery.deriving import written

SHOWN = 120
"""How much of a rule, or of a path, is shown."""


class SchemaLibraryMissing(ImproperlyConfigured):
    """Schemas are checked by jsonschema: `pip install "django-webhook-delivery[schema]"`."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """Where data breaks which rule. Its text is without what was found, which may be a secret."""

    where: str
    reason: str
    found: Any = None

    def __str__(self) -> str:
        return f"{self.where} {self.reason}"


def available() -> bool:
    """Whether the library is installed."""
    return find_spec("jsonschema") is not None


def known(event_type: str) -> bool:
    """Whether the type is in the catalogue."""
    return _known(event_type, catalogue.edition())


def misfits(event_type: str, data: Any) -> list[Misfit]:
    """
    Return how data, read from JSON, does not fit the type's schema; none: it fits, or may be
    anything. Raises SchemaLibraryMissing.
    """
    validator = _validator(event_type, catalogue.edition())
    return _found(validator, data) if validator else []


def misfits_of(schema: Mapping[str, Any], data: Any) -> list[Misfit]:
    """Return the same for a schema that is given. Raises SchemaLibraryMissing."""
    return _found(_compiled(schema), data)


def flaw_of(schema: Any) -> str:
    """Say what is wrong with a schema itself; empty: nothing is. Raises SchemaLibraryMissing."""
    if not isinstance(schema, Mapping):
        return "it is no object"
    compiled = _compiled(schema)
    from jsonschema.exceptions import SchemaError

    try:
        type(compiled).check_schema(compiled.schema)
    except SchemaError as error:
        return f"{error.json_path}: {error.message[:SHOWN]}"
    return next(_dangling(compiled.schema), "")


@lru_cache(maxsize=1024)
def _known(event_type: str, edition: int) -> bool:
    return catalogue.entry_of(event_type) is not None


@lru_cache(maxsize=1024)
def _validator(event_type: str, edition: int) -> Any:
    """Compiled once for each edition of the catalogue; None: there is nothing to be checked."""
    entry = catalogue.entry_of(event_type)
    return _compiled(entry.schema) if entry and entry.schema is not None else None


def _compiled(schema: Mapping[str, Any]) -> Any:
    """It knows the dialects of JSON Schema, and fetches nothing from any network."""
    if not available():
        raise SchemaLibraryMissing(SchemaLibraryMissing.__doc__)
    from jsonschema import Draft202012Validator
    from jsonschema.validators import validator_for
    from jsonschema_specifications import REGISTRY

    kind = validator_for(schema, default=Draft202012Validator)
    whole = written(schema)
    return kind(whole, registry=REGISTRY, format_checker=kind.FORMAT_CHECKER)


def _found(validator: Any, data: Any) -> list[Misfit]:
    from referencing.exceptions import Unresolvable

    try:
        found = (_misfit(each) for each in validator.iter_errors(data))
        return list({str(each): each for each in found}.values())
    except Unresolvable as error:
        return [Misfit("data", f"cannot be checked: its schema lacks {str(error.ref)[:SHOWN]}")]


def _misfit(error: Any) -> Misfit:
    where = f"data{error.json_path[1:]}"
    rule = str(error.validator_value)[:SHOWN]
    reason = REASONS.get(error.validator, f"breaks “{error.validator}”: {{rule}}")
    if error.validator == "required":
        rule = ", ".join(sorted(set(error.validator_value) - set(error.instance)))
    return Misfit(where[:SHOWN], reason.format(rule=rule), error.instance)


REASONS = {
    "type": "must be of type {rule}",
    "required": "lacks {rule}",
    "enum": "must be one of {rule}",
    "const": "must be {rule}",
    "format": "is no {rule}",
    "pattern": "must match {rule}",
    "maxLength": "is longer than {rule}",
    "additionalProperties": "has more properties than the schema names",
    "anyOf": "fits none of the schemas that it might",
    "oneOf": "must fit exactly one of the schemas that it might",
    None: "holds what may not be there",
}
"""By the keyword that is broken; the library's own messages show the data."""


def _dangling(schema: Any) -> Iterator[str]:
    """What is referred to and is not there; the rest of the dialects is the library's to know."""
    from referencing.exceptions import Unresolvable

    if _has_names(schema):
        return
    resolver = _resolver(schema)
    for reference in _references(schema):
        try:
            resolver.lookup(reference)
        except Unresolvable:
            yield f"it refers to {reference[:SHOWN]}, which is not in it"


def _resolver(schema: Any) -> Any:
    from jsonschema_specifications import REGISTRY
    from referencing import Resource
    from referencing.jsonschema import DRAFT202012

    whole = Resource.from_contents(schema, default_specification=DRAFT202012)
    return REGISTRY.with_resource("", whole).resolver()


def _references(schema: Any) -> Iterator[str]:
    for part in _parts(schema):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]


def _has_names(schema: Any) -> bool:
    """Names of its own change what a reference means."""
    return any("$id" in part for part in _parts(schema))


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
    inner = schema.values() if isinstance(schema, dict) else schema
    for each in inner if isinstance(schema, dict | list) else ():
        yield from _parts(each)
