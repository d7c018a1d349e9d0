"""Turns bytes that strangers wrote into text that can be looked at without harm (pure)."""

from __future__ import annotations

import codecs
import json
import unicodedata
from typing import NamedTuple

LONGEST = 16_384
"""How much of a body or an answer is shown."""

UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that show nothing themselves, but may hide or turn around what does."""


class Shown(NamedTuple):
    """A text to show, and whether it is only the start."""

    text: str
    cut: bool


def readable(raw: bytes) -> Shown:
    """Decode the start; what is no UTF-8, controls, or changes direction becomes an escape."""
    cut = len(raw) > LONGEST
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    return Shown(visible(decoder.decode(raw[:LONGEST], final=not cut)), cut)


def pretty(body: bytes) -> Shown:
    """Indent JSON, and show anything else as it is."""
    try:
        text = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return readable(body)
    return Shown(visible(text[:LONGEST]), len(text) > LONGEST)


def visible(text: str) -> str:
    """Write control and direction characters as escapes; line ends and tabs stay."""
    return "".join(map(_visible, text.replace("\r\n", "\n")))


def _visible(character: str) -> str:
    if character in "\n\t" or unicodedata.category(character) not in UNSEEN:
        return character
    return character.encode("unicode_escape").decode()
