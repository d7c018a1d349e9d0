"""What the catalogue says of event types: schemas, examples, and types that nobody could hear."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ValidationError

from webhook_delivery import fitting
from webhook_delivery.catalogue import Entry, described, entries
from webhook_delivery.conf import settings
from webhook_delivery.deriving import written
from webhook_delivery.validation import validate_event_type


def of_catalogue() -> Iterator[CheckMessage]:
    yield from _twice()
    for entry in described:
        yield from _unheard(entry)
    if fitting.available():
        for entry in entries():
            yield from _unfit(entry)


def of_validation() -> Iterator[CheckMessage]:
    """Without the library, the first event that is published would raise."""
    if settings.VALIDATE_EVENTS and not fitting.available():
        yield Error(
            f"WEBHOOK_DELIVERY['VALIDATE_EVENTS'] is {settings.VALIDATE_EVENTS!r}, and jsonschema "
            "is not installed.",
            hint='pip install "django-webhook-delivery[schema]", or leave the setting out.',
            id="webhook_delivery.E023",
        )


def _twice() -> Iterator[CheckMessage]:
    counts = Counter(entry.event_type for entry in described)
    for event_type in [each for each, count in counts.items() if count > 1]:
        yield checks.Warning(
            f"{event_type!r} is described more than once; what is said later is shown.",
            hint="Keep one describe() of it.",
            id="webhook_delivery.W020",
        )


def _unheard(entry: Entry) -> Iterator[CheckMessage]:
    try:
        validate_event_type(entry.event_type)
    except ValidationError as error:
        yield Error(
            f"{entry.event_type!r} is described, and is no event type: nobody can subscribe to it.",
            hint=str(error.messages[0]),
            id="webhook_delivery.E022",
        )


def _unfit(entry: Entry) -> Iterator[CheckMessage]:
    if entry.schema is None:
        return
    if flaw := fitting.flaw_of(entry.schema):
        yield Error(
            f"The schema of {entry.event_type!r} is none: {flaw}.",
            hint="Write a JSON Schema, draft 2020-12: https://json-schema.org/.",
            id="webhook_delivery.E020",
        )
        return
    for misfit in _misfits(entry, entry.schema)[:1]:
        yield Error(
            f"The example of {entry.event_type!r} does not fit its schema: {misfit}.",
            hint="Mend the example, or the schema: developers will read both.",
            id="webhook_delivery.E021",
        )


def _misfits(entry: Entry, schema: Mapping[str, Any]) -> list[Any]:
    try:
        example = written(entry.example)
    except (TypeError, ValueError) as error:
        return [error]
    return [] if example is None else fitting.misfits_of(schema, example)
