"""Looks into a published body as Django's filters look into rows: `data__order__number__gte`."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from webhook_delivery.paths import NOTHING, member

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "exact": operator.eq,
    "in": lambda found, expected: found in expected,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "contains": operator.contains,
    "startswith": lambda found, expected: found.startswith(expected),
    "endswith": lambda found, expected: found.endswith(expected),
    "regex": lambda found, expected: re.search(expected, found) is not None,
    "isnull": lambda found, expected: (found in (None, NOTHING)) is bool(expected),
}


@dataclass(frozen=True)
class Difference:
    """Where a body is not as expected."""

    lookup: str
    found: Any
    expected: Any

    def __str__(self) -> str:
        return f"{self.lookup}: found {self.found!r}, expected {self.expected!r}"


def differences(document: Any, lookups: Mapping[str, Any]) -> Iterator[Difference]:
    """
    Yield where the document is not as the lookups say.

    Each lookup is a path of names and of numbers in lists, joined by `__`, and perhaps an operator.
    Raises TypeError for what could not be in JSON.
    """
    for lookup, expected in lookups.items():
        found, compare = _follow(document, lookup.split("__"))
        if not _fits(compare, found, expected):
            yield Difference(lookup, found, expected)


def _follow(document: Any, path: list[str]) -> tuple[Any, str]:
    """Walk the path; its last word is an operator if there is no such name."""
    found = document
    for index, word in enumerate(path):
        inner = member(found, word)
        if inner is NOTHING and word in OPERATORS and index == len(path) - 1:
            return found, word
        found = inner
    return found, "exact"


def _fits(compare: str, found: Any, expected: Any) -> bool:
    wanted = _written(expected)
    if isinstance(expected, Decimal):  # written as a text, and meant as a number
        found, wanted = _number(found), expected
    try:
        return bool(OPERATORS[compare](found, wanted))
    except (TypeError, AttributeError):
        return False


def _written(value: Any) -> Any:
    """The value as a body would have it: dates, decimals and ids are texts there."""
    plain = list(value) if isinstance(value, set | frozenset) else value
    return json.loads(json.dumps(plain, cls=DjangoJSONEncoder))


def _number(found: Any) -> Any:
    try:
        return Decimal(str(found))
    except InvalidOperation:
        return NOTHING
