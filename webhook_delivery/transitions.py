"""Decides which changes of a row are event types of their own: from this value to that (pure)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from types import EllipsisType
from typing import Any

Values = Mapping[str, Any]
"""What a row holds, by the names of its fields."""

Rule = Any | tuple[Any, Any] | Callable[[Any, Any], bool]
"""What one field must have done; `fired` says how it is read."""


def fired(
    transitions: Mapping[str, Mapping[str, Rule]], before: Values | None, after: Values
) -> Iterator[str]:
    """
    Yield the event types whose rules all hold, if one of the fields they name has changed.

    A rule is a value that the field now has, `"paid"`; a pair of what it had and what it has,
    `("new", "paid")`; or a function of both, `lambda before, after: before < 100 <= after`. A set
    or a list stands for any of its values, `...` for whatever there may be.

    before: None for a new row, which comes from nowhere: of the rules, only values hold then.
    """
    for event_type, rules in transitions.items():
        if changed(rules, before, after) and all(
            _holds(rule, before is None, (before or {}).get(name), after[name])
            for name, rule in rules.items()
        ):
            yield event_type


def changed(names: Collection[str], before: Values | None, after: Values) -> bool:
    """Whether any of these fields is another than it was; of a new row, all are."""
    return before is None or any(before[name] != after[name] for name in names)


def _holds(rule: Rule, new: bool, before: Any, after: Any) -> bool:
    if callable(rule):
        return not new and bool(rule(before, after))
    if isinstance(rule, tuple):
        was, becomes = rule
        return not new and before != after and _is(was, before) and _is(becomes, after)
    return _is(rule, after)


def _is(expected: Any, value: Any) -> bool:
    if isinstance(expected, EllipsisType):
        return True
    if isinstance(expected, list | set | frozenset):
        return value in expected
    return bool(expected == value)
