"""Presents the catalogue to those who receive: as Markdown for a page, or as AsyncAPI."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from webhook_delivery import asyncapi, signing
from webhook_delivery.catalogue import Entry
from webhook_delivery.conf import settings
from webhook_delivery.deriving import AT
from webhook_delivery.dispatch import known_to_all
from webhook_delivery.models.event import webhook_id
from webhook_delivery.payloads import JSON, body_of

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - everybody may know it
"""What examples are signed with: that of the golden vectors."""
ID = webhook_id(uuid.UUID("019aa6e8-1c5a-7c1e-9d57-5a3c1f0e8b24"))


@dataclass(frozen=True, slots=True)
class Sample:
    """The request that an entry's example would be, as it is really sent."""

    headers: Mapping[str, str]
    body: bytes


def sample_of(entry: Entry) -> Sample | None:
    """Make the request, signed with `SECRET`; None: the entry has no example."""
    if entry.example is None:
        return None
    body = body_of(entry.event_type, entry.example, at=AT)
    keys, seconds = [signing.key_of(SECRET)], int(AT.timestamp())
    signature = signing.headers(ID, seconds, body, keys, prefix=settings.HEADER_PREFIX)
    return Sample({**known_to_all(JSON, 1, AT), **signature}, body)


def as_asyncapi(entries: Iterable[Entry], *, title: str, version: str) -> dict[str, Any]:
    """Return the entries as an AsyncAPI 3.0 document, of that title and version."""
    messages = (_message(entry, sample_of(entry)) for entry in entries)
    return asyncapi.document(messages, title=title, version=version, prefix=settings.HEADER_PREFIX)


def _message(entry: Entry, sample: Sample | None) -> asyncapi.Message:
    return asyncapi.Message(
        event_type=entry.event_type,
        description=entry.description,
        deprecated=entry.deprecated,
        schema=entry.schema,
        headers=sample.headers if sample else {},
        envelope=json.loads(sample.body) if sample else None,
    )


def as_markdown(entries: Sequence[Entry], *, title: str) -> str:
    """Return a page for developers: for each type what it means, its fields, and an example."""
    signed = f"The examples are signed with `{SECRET}`, by [Standard Webhooks]({STANDARD})."
    listed = [f"- [`{each.event_type}`](#{_anchor(each)})" for each in entries]
    parts = [f"# {title}", signed, "\n".join(listed), *map(_section, entries)]
    return "\n\n".join(parts)


STANDARD = "https://www.standardwebhooks.com/"


def _anchor(entry: Entry) -> str:
    """As GitHub and most others make it of a heading."""
    return entry.event_type.lower().replace(".", "")


def _section(entry: Entry) -> str:
    old = f"> **Deprecated:** {entry.deprecated}" if entry.deprecated else ""
    sample = sample_of(entry)
    parts = [
        f"## `{entry.event_type}`",
        old,
        entry.description,
        "\n".join(_table(entry.schema or {})),
        _request(sample) if sample else "",
    ]
    return "\n\n".join(filter(None, parts))


def _request(sample: Sample) -> str:
    headers = [f"{name}: {value}" for name, value in sample.headers.items()]
    return "\n".join(["```http", "POST / HTTP/1.1", *headers, "", sample.body.decode(), "```"])


def _table(schema: Mapping[str, Any]) -> Iterator[str]:
    rows = list(_rows(schema))
    if rows:
        yield from ("| field | type | meaning |", "|---|---|---|")
    for name, is_required, field in rows:
        kind = type_of(field) if is_required else f"{type_of(field)}, may be missing"
        yield f"| `{name}` | {_cell(kind)} | {_cell(str(field.get('description', '')))} |"


def _rows(schema: Any, before: str = "") -> Iterator[tuple[str, bool, Mapping[str, Any]]]:
    """Yield each field, those inside others too: `lines[].sku`."""
    if not isinstance(schema, Mapping):
        return
    for name, field in schema.get("properties", {}).items():
        if isinstance(field, Mapping):
            yield f"{before}{name}", name in schema.get("required", ()), field
            yield from _rows(field, f"{before}{name}.")
            yield from _rows(field.get("items"), f"{before}{name}[].")


def type_of(schema: Any) -> str:
    """Say in a few words what a value is: `string (date-time) or null`, `one of "new", "paid"`."""
    if not isinstance(schema, Mapping):
        return "anything"
    if "enum" in schema:
        return "one of " + ", ".join(map(_value, schema["enum"]))
    if "const" in schema:
        return _value(schema["const"])
    if "type" in schema:
        return _typed(schema)
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    several = schema.get("anyOf") or schema.get("oneOf")
    return " or ".join(map(type_of, several)) if several else "anything"


def _value(value: Any) -> str:
    return f"`{json.dumps(value)}`"


def _typed(schema: Mapping[str, Any]) -> str:
    types = [schema["type"]] if isinstance(schema["type"], str) else list(schema["type"])
    return " or ".join(_one_type(each, schema) for each in types)


def _one_type(name: str, schema: Mapping[str, Any]) -> str:
    if name == "array":
        return f"array of {type_of(schema.get('items'))}"
    if name != "string":
        return name
    longest = f", at most {schema['maxLength']} characters" if "maxLength" in schema else ""
    return f"string ({schema['format']}){longest}" if "format" in schema else f"string{longest}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
