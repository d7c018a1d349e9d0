"""Writes the catalogue as an AsyncAPI 3.0 document: what is sent, and with which headers (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

VERSION = "3.0.0"


@dataclass(frozen=True, slots=True)
class Message:
    """One event type: what is said of it, the JSON Schema of its data, and a request, if known."""

    event_type: str
    description: str
    deprecated: str
    schema: Mapping[str, Any] | None
    headers: Mapping[str, str]
    envelope: Mapping[str, Any] | None


def document(
    messages: Iterable[Message], *, title: str, version: str, prefix: str = "webhook-"
) -> dict[str, Any]:
    """
    Return the document: a channel and an operation for each type, all sent by us.

    A channel has no address: that is each receiver's own.
    prefix: what the names of the headers begin with.
    """
    told = {each.event_type: each for each in messages}
    schemas = {name: each.schema for name, each in told.items() if each.schema is not None}
    return {
        "asyncapi": VERSION,
        "info": {"title": title, "version": version},
        "defaultContentType": "application/json",
        "channels": {name: _channel(each) for name, each in told.items()},
        "operations": {f"send.{name}": _operation(name) for name in told},
        "components": {
            "messages": {name: _message(each) for name, each in told.items()},
            "messageTraits": {"signed": {"headers": _headers(prefix)}},
            "schemas": {name: _embedded(schema, name) for name, schema in schemas.items()},
        },
    }


def _channel(message: Message) -> dict[str, Any]:
    name = message.event_type
    there = {"$ref": f"#/components/messages/{name}"}
    return {"address": None, "title": name, "messages": {name: there}}


def _operation(name: str) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{name}"},
        "messages": [{"$ref": f"#/channels/{name}/messages/{name}"}],
        "bindings": {"http": {"method": "POST", "bindingVersion": "0.3.0"}},
    }


def _message(message: Message) -> dict[str, Any]:
    old = f"Deprecated: {message.deprecated}" if message.deprecated else ""
    said = "\n\n".join(filter(None, [message.description, old]))
    example = {"headers": dict(message.headers), "payload": message.envelope}
    return {
        "name": message.event_type,
        "title": message.event_type,
        **({"description": said} if said else {}),
        "traits": [{"$ref": "#/components/messageTraits/signed"}],
        "payload": _envelope(message),
        **({"examples": [example]} if message.envelope else {}),
    }


def _envelope(message: Message) -> dict[str, Any]:
    data = {"$ref": f"#/components/schemas/{message.event_type}"}
    return {
        "type": "object",
        "properties": {
            "type": {"type": "string", "const": message.event_type},
            "timestamp": {"type": "string", "format": "date-time"},
            "data": data if message.schema is not None else {},
        },
        "required": ["type", "timestamp", "data"],
        **({"deprecated": True} if message.deprecated else {}),
    }


def _headers(prefix: str) -> dict[str, Any]:
    number = {"type": "string", "pattern": "^[0-9]+$"}
    return {
        "type": "object",
        "properties": {
            f"{prefix}id": {
                "type": "string",
                "description": "Which event it is: the same in each attempt.",
            },
            f"{prefix}timestamp": {
                **number,
                "description": "When this attempt was signed, in Unix seconds.",
            },
            f"{prefix}signature": {
                "type": "string",
                "description": "By Standard Webhooks: one for each live secret, joined by blanks.",
            },
            f"{prefix}attempt": {**number, "description": "Which attempt this is."},
            f"{prefix}first-attempted-at": {
                **number,
                "description": "When the first attempt began, in Unix seconds.",
            },
        },
        "required": [f"{prefix}id", f"{prefix}timestamp", f"{prefix}signature"],
    }


def _embedded(schema: Any, name: str) -> Any:
    """A schema that refers to its own parts refers to where those are in the document."""
    whole = {key: value for key, value in schema.items() if key not in ("$schema", "$id")}
    return _moved(whole, f"#/components/schemas/{name}")


def _moved(value: Any, to: str) -> Any:
    if isinstance(value, list | tuple):
        return [_moved(each, to) for each in value]
    if not isinstance(value, Mapping):
        return value
    return {key: _reference(key, each, to) for key, each in value.items()}


def _reference(key: str, value: Any, to: str) -> Any:
    own = key == "$ref" and isinstance(value, str) and (value == "#" or value.startswith("#/"))
    return f"{to}{value[1:]}" if own else _moved(value, to)
