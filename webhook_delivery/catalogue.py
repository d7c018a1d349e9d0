"""The catalogue of event types: what registered models tell, and what else was described."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import reduce
from itertools import groupby
from operator import attrgetter
from typing import Any

from django.utils.text import capfirst
from django.utils.translation import gettext as _

from webhook_delivery import operational
from webhook_delivery.conf import settings
from webhook_delivery.deriving import Form, Schema, form_of
from webhook_delivery.outcomes import patterns_matching
from webhook_delivery.tellers import ModelWebhooks, registered

TEST = "webhook.test"
"""The type of what an operator sends to try one endpoint, which no other is owed."""
TEST_DATA = {"message": "A test, sent by an operator."}


@dataclass(frozen=True, slots=True)
class Entry:
    """
    What developers are told of one event type.

    example: what `data` may be; None: none is given.
    schema: a JSON Schema of `data`; None: it may be anything.
    deprecated: what to use instead; empty: it is in use.
    """

    event_type: str
    description: str = ""
    example: Any = None
    schema: Mapping[str, Any] | None = None
    deprecated: str = ""

    def as_dict(self) -> dict[str, Any]:
        named = asdict(self)
        return {"type": named.pop("event_type"), **named}


described: list[Entry] = []
"""What `describe` was told, in its order."""

_edition = 0


def describe(
    event_type: str,
    description: str = "",
    *,
    example: Any = None,
    schema: Mapping[str, Any] | None = None,
    deprecated: str = "",
) -> None:
    """
    Say what an event type means: `describe("order.shipped", "An order has left the house.")`.

    In an app's `webhooks.py`. Of a type that a registered model tells, whatever is given here
    takes the place of what is derived from the model. `manage.py check` looks at all of it.

    description: a sentence or two, in Markdown.
    example: what `data` may be, for the reader.
    schema: a JSON Schema of `data`; draft 2020-12, unless its `$schema` names another.
    deprecated: what to use instead, as a sentence: it is not to be relied on any more.
    """
    described.append(Entry(event_type, description, example, schema, deprecated))
    changed()


def forget(event_type: str) -> None:
    """Take back what was described; for tests."""
    described[:] = [each for each in described if each.event_type != event_type]
    changed()


def changed() -> None:
    """Let everybody who has kept something of the catalogue look again."""
    global _edition
    _edition += 1


def edition() -> int:
    """Which catalogue it is; another number after each change."""
    return _edition


def entries(pattern: str = "*") -> list[Entry]:
    """Return all entries that the pattern is of, `order.*`, sorted by their types."""
    found = [*_of_ours(), *_of_models(), *described]
    fitting = sorted(
        (each for each in found if pattern in patterns_matching(each.event_type)),
        key=attrgetter("event_type"),
    )
    return [_merged(same) for _, same in groupby(fitting, key=attrgetter("event_type"))]


def entry_of(event_type: str) -> Entry | None:
    """Return what is known of the type; None: it is not in the catalogue."""
    found = [*_of_ours(), *_of_models(event_type), *described]
    same = [each for each in found if each.event_type == event_type]
    return _merged(same) if same else None


def _of_ours() -> Iterator[Entry]:
    text = {"type": "string"}
    schema: Schema = {"type": "object", "properties": {"message": text}, "required": ["message"]}
    yield Entry(TEST, _("An operator tries whether this endpoint answers."), TEST_DATA, schema)
    told = operational.DESCRIPTIONS if settings.OPERATIONAL_TENANT else {}
    for event_type, description in told.items():
        yield Entry(event_type, str(description), schema=operational.SCHEMAS[event_type])


def _of_models(event_type: str = "") -> Iterator[Entry]:
    """
    What registered models tell, each type once; what several tell is any of theirs.

    event_type: only what those models tell that tell this; empty: all.
    """
    tellers = [each for each in registered.values() if event_type in ("", *each.types)]
    told = [entry for teller in tellers for entry in _of_model(teller)]
    for _type, same in groupby(
        sorted(told, key=attrgetter("event_type")), attrgetter("event_type")
    ):
        yield reduce(_either, same)


def _of_model(teller: ModelWebhooks) -> Iterator[Entry]:
    form = form_of(teller.sent) if teller.by_fields else Form({}, None)
    for event_type in teller.types:
        yield Entry(event_type, _said_of(teller, event_type), form.example, form.schema or None)


def _said_of(teller: ModelWebhooks, event_type: str) -> str:
    """By its people; or what is plain to see."""
    own = teller.descriptions.get(event_type) or _first_paragraph(type(teller).__doc__)
    name = capfirst(str(teller.model._meta.verbose_name))
    plain = {
        teller.created: _("%(model)s created."),
        teller.updated: _("%(model)s updated."),
        teller.deleted: _("%(model)s deleted."),
    }
    return str(own) or plain.get(event_type, _("%(model)s changed.")) % {"model": name}


def _first_paragraph(text: str | None) -> str:
    return " ".join(re.split(r"\n\s*\n", (text or "").strip())[0].split())


def _either(one: Entry, other: Entry) -> Entry:
    """Two models tell of the same: the data is that of either."""
    if one.schema is None or other.schema is None:
        return replace(one, schema=None)
    known = _alternatives(one.schema)
    several = known + [each for each in _alternatives(other.schema) if each not in known]
    return one if several == known else replace(one, schema={"anyOf": several})


def _alternatives(schema: Mapping[str, Any]) -> list[Any]:
    return list(schema["anyOf"]) if list(schema) == ["anyOf"] else [schema]


def _merged(same: Iterable[Entry]) -> Entry:
    """What is said later takes the place of what was said before."""
    first, *later = same  # their texts may be lazy translations
    for entry in later:
        given = {
            name: getattr(entry, name)
            for name in ("description", "example", "schema", "deprecated")
            if getattr(entry, name) not in (None, "")
        }
        first = replace(first, **given)
    return replace(first, description=str(first.description), deprecated=str(first.deprecated))
