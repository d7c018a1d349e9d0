"""
What an endpoint may ask of the body of an event: a few conditions, all of which must hold (pure).

    {"data.status": "paid", "data.total": {"gte": 100, "lt": 1000}, "data.note": {"exists": true}}

By dotted path: a value that must be there, or operators. The path begins at the body, as that of a
search key does: a payload is in its `data`, unless it was published as bytes.
"""

from __future__ import annotations

import enum
import json
import operator
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from webhook_delivery.paths import NOTHING, PATH, at
from webhook_delivery.texts import is_storable

MOST, LONGEST, CHOICES, LARGEST = 20, 200, 100, 8192
"""How many paths, how long a text, how many values of `in`, how many characters in all."""
BIGGEST = 2**63
"""Every database keeps smaller whole numbers as they are."""
NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?")
"""A text that counts as a number where one is asked for: Django writes decimals so."""


class Flaw(enum.Enum):
    """Why conditions cannot be asked for."""

    NOT_A_MAPPING = enum.auto()
    TOO_MANY = enum.auto()
    TOO_LARGE = enum.auto()
    PATH = enum.auto()
    OPERATOR = enum.auto()
    VALUE = enum.auto()


def flaw_of(conditions: Any) -> tuple[Flaw, str] | None:
    """Say what is wrong with conditions, and where; None if they can be kept."""
    if not isinstance(conditions, Mapping):
        return Flaw.NOT_A_MAPPING, ""
    if len(conditions) > MOST:
        return Flaw.TOO_MANY, ""
    for path, wanted in conditions.items():
        if not _fits_path(path):
            return Flaw.PATH, repr(path)[:80]
        if flaw := _flaw_of(wanted):
            return flaw, path
    return (Flaw.TOO_LARGE, "") if len(json.dumps(dict(conditions))) > LARGEST else None


def told_in(body: bytes) -> Any:
    """Read a body; `NOTHING` if it is no JSON."""
    try:
        return json.loads(body, parse_int=Decimal, parse_float=Decimal, parse_constant=_none)
    except (ValueError, ArithmeticError, RecursionError):
        return NOTHING


def matches(conditions: Mapping[str, Any], told: Any) -> bool:
    """
    Whether all of them hold for a body that `told_in` has read; none asks for nothing.

    What cannot be compared does not hold: another kind of value, or nothing where something is
    asked for; only `ne` holds of it. However the conditions came to be stored, none raises.
    """
    if told is NOTHING or not isinstance(conditions, Mapping):
        return not conditions
    return all(_holds(at(told, path), wanted) for path, wanted in conditions.items())


def _holds(found: Any, wanted: Any) -> bool:
    if not isinstance(wanted, Mapping):
        return _equal(found, wanted)
    return all(
        name in OPERATORS and OPERATORS[name].fits(value) and OPERATORS[name].holds(found, value)
        for name, value in wanted.items()
    )


def _flaw_of(wanted: Any) -> Flaw | None:
    if not isinstance(wanted, Mapping):
        return None if _is_value(wanted) else Flaw.VALUE
    if not wanted or not wanted.keys() <= OPERATORS.keys():
        return Flaw.OPERATOR
    fits = all(OPERATORS[name].fits(value) for name, value in wanted.items())
    return None if fits else Flaw.VALUE


def _fits_path(path: Any) -> bool:
    return _is_text(path) and bool(PATH.fullmatch(path))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST and is_storable(value)


def _is_number(value: Any) -> bool:
    """One that is finite, and that every database keeps."""
    number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return number and -BIGGEST < value < BIGGEST


def _is_value(value: Any) -> bool:
    return value is None or isinstance(value, bool) or _is_text(value) or _is_number(value)


def _is_order(value: Any) -> bool:
    return _is_text(value) or _is_number(value)


def _are_choices(values: Any) -> bool:
    return isinstance(values, list) and 0 < len(values) <= CHOICES and all(map(_is_value, values))


def _equal(found: Any, wanted: Any) -> bool:
    if _is_number(wanted):
        return _number(found) == _exact(wanted)
    return type(found) is type(wanted) and bool(found == wanted)


def _compared(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Numbers with numbers, texts with texts: moments in ISO 8601 and one zone are in order."""

    def holds(found: Any, wanted: Any) -> bool:
        if isinstance(wanted, str):
            return isinstance(found, str) and compare(found, wanted)
        number = _number(found)
        return number is not None and compare(number, _exact(wanted))

    return holds


def _number(found: Any) -> Decimal | None:
    """A number, also one that is written as a text."""
    if isinstance(found, str):
        return Decimal(found) if NUMBER.fullmatch(found) else None
    return found if isinstance(found, Decimal) else None


def _exact(wanted: Any) -> Decimal:
    """As it is written: 0.1 is a tenth."""
    return Decimal(str(wanted))


def _none(constant: str) -> None:
    """NaN and the like are no JSON."""


class Operator(NamedTuple):
    """Which values it takes, and whether it holds of what was found."""

    fits: Callable[[Any], bool]
    holds: Callable[[Any, Any], bool]


OPERATORS: Mapping[str, Operator] = {
    "ne": Operator(_is_value, lambda found, wanted: not _equal(found, wanted)),
    "in": Operator(_are_choices, lambda found, wanted: any(_equal(found, w) for w in wanted)),
    "lt": Operator(_is_order, _compared(operator.lt)),
    "lte": Operator(_is_order, _compared(operator.le)),
    "gt": Operator(_is_order, _compared(operator.gt)),
    "gte": Operator(_is_order, _compared(operator.ge)),
    "exists": Operator(
        lambda value: isinstance(value, bool),
        lambda found, wanted: (found is not NOTHING) is wanted,
    ),
    "prefix": Operator(
        _is_text, lambda found, wanted: isinstance(found, str) and found.startswith(wanted)
    ),
}
