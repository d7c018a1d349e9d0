"""Finds in an event's body the values by which people look for it: `order_id` is `7` (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from webhook_delivery.paths import PATH, at
from webhook_delivery.texts import is_storable

NAME = re.compile(r"[A-Za-z0-9_-]{1,50}")
"""What a search key may be called: it stands before a colon where people type it."""
LONGEST = 100
"""Characters a value may have; a longer one is no name for anything, and is not kept."""
MOST = 20
"""How many there may be: each is a row more for each event that has it."""


def fine(keys: Mapping[Any, Any]) -> bool:
    """Whether these are search keys: names, and dotted paths of what they stand for."""
    return len(keys) <= MOST and all(
        isinstance(name, str)
        and isinstance(path, str)
        and NAME.fullmatch(name)
        and PATH.fullmatch(path)
        for name, path in keys.items()
    )


def values_in(body: bytes, keys: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """
    Yield the name and the value of each key that the body has a value for.

    keys: dotted paths by name: `data.order.id`.
    Numbers are as they are written. What is no text, number or truth, is empty, or cannot be
    stored is left out; so is everything of a body that is no JSON.
    """
    try:
        told = json.loads(body, parse_int=str, parse_float=str, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return
    for name, path in keys.items():
        if value := _text_of(at(told, path)):
            yield name, value


def key_and_value(term: str) -> tuple[str, str] | None:
    """Read what a person typed, `order_id:7`; None if it is no key and value."""
    name, _, value = term.partition(":")
    value = value.strip()
    return (name, value) if NAME.fullmatch(name) and _text_of(value) else None


def _text_of(value: Any) -> str:
    """The value as it is kept and looked for; empty if it is neither."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value.strip() if isinstance(value, str) else ""
    return text if len(text) <= LONGEST and is_storable(text) else ""
