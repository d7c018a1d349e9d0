"""Lays rows out in columns that stand below each other, with colours on a terminal only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.core.management.color import Style
from django.utils import timezone

NOTHING = "-"
"""Stands where there is no value, so that `cut` and `awk` find each column in its place."""
GOOD, BAD, WARNING = "SUCCESS", "ERROR", "WARNING"
COLOURS = {
    "delivered": GOOD,
    "on": GOOD,
    "done": GOOD,
    "dead": BAD,
    "off": BAD,
    "guarded": BAD,
    "held": WARNING,
    "paused": WARNING,
    "retry": WARNING,
    "deferred": WARNING,
}
"""What each state and verdict looks like; others look like any text."""


def table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], style: Style) -> str:
    """Rows as lines below the names of their columns; numbers are right-aligned."""
    known = list(rows)
    cells = [[cell(row[name]) for name in columns] for row in known]
    right = [_is_numeric(known, name) for name in columns]
    heads = [name.upper() for name in columns]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]

    def line(texts: Sequence[str], paint: Callable[[str, str], str]) -> str:
        laid = zip(texts, widths, right, strict=True)
        padded = [
            text.rjust(width) if to_right else text.ljust(width) for text, width, to_right in laid
        ]
        return "  ".join(paint(text, pad) for text, pad in zip(texts, padded, strict=True)).rstrip()

    painted = [line(texts, lambda text, padded: coloured(text, style, padded)) for texts in cells]
    return "\n".join([line(heads, lambda _text, padded: padded), *painted])


def facts(values: Mapping[str, Any], style: Style) -> str:
    """One thing: the name and the value of each of its facts on a line."""
    width = max(map(len, values))
    said = {name.replace("_", " "): coloured(cell(value), style) for name, value in values.items()}
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in said.items())


def cell(value: Any) -> str:
    """
    A value as one word, unless it is a text of several: so that `awk` finds its column.

    What strangers wrote cannot move the cursor. Moments are local, as `--since` takes them.
    """
    match value:
        case None | "":
            return NOTHING
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{timezone.localtime(value):%Y-%m-%dT%H:%M:%S}"
        case float():
            return f"{value:g}"
        case Mapping():
            return ";".join(f"{name}={cell(each)}" for name, each in value.items()) or NOTHING
        case list() | tuple():
            return ",".join(map(cell, value)) or NOTHING
    return "".join(each if each.isprintable() else _escaped(each) for each in str(value))


def coloured(text: str, style: Style, shown: str = "") -> str:
    """The text, or it as it is `shown` between others, in its colour."""
    paint = getattr(style, COLOURS.get(text, ""), None)
    return paint(shown or text) if paint else shown or text


def _is_numeric(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    values = [row[name] for row in rows if row[name] is not None]
    return bool(values) and all(isinstance(value, int | float) for value in values)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
