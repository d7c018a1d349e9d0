"""Dotted paths into a body: `data.order.id`, `data.lines.0.sku` (pure)."""

from __future__ import annotations

import re
from typing import Any, Final

PATH = re.compile(r"[^.\0]+(\.[^.\0]+)*")
"""What a path may be; a number counts in a list, and is a name elsewhere."""


class Nothing:
    """That nothing is there: `null` would be something."""

    def __repr__(self) -> str:
        return "nothing"


NOTHING: Final = Nothing()


def at(told: Any, path: str) -> Any:
    """What lies there in a body that was read; `NOTHING` if nothing does."""
    for word in path.split("."):
        told = member(told, word)
    return told


def member(told: Any, word: str) -> Any:
    """What lies there one step down; `NOTHING` if nothing does."""
    if isinstance(told, dict):
        return told.get(word, NOTHING)
    counts = isinstance(told, list) and word.isascii() and word.isdecimal() and len(word) < 9
    return told[int(word)] if counts and int(word) < len(told) else NOTHING
