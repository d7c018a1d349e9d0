"""Writes the signatures of functions and classes, as one would type them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

WIDEST = 88
STARS = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}


def fenced(signature: str) -> str:
    return f"```py\n{signature}\n```"


def of_function(name: str, function: Callable[..., Any], *, method: bool = False) -> str:
    """`def name(…) -> …`, on several lines if it is long; of a method without its `self`."""
    kind = "async def" if inspect.iscoroutinefunction(function) else "def"
    signature = inspect.signature(function)
    given = list(signature.parameters.values())[1 if method else 0 :]
    returned = signature.return_annotation
    ends = "" if returned is inspect.Signature.empty else f" -> {_named(returned)}"
    return _folded(f"{kind} {name}", given, ends)


def of_class(owner: type) -> str:
    """`class Name(…)`: with its fields, if they are what it is made of; else with its parents."""
    if "__dataclass_fields__" in vars(owner):
        given = list(inspect.signature(owner).parameters.values())
        return _folded(owner.__name__, given, "")
    parents = ", ".join(base.__name__ for base in owner.__bases__ if base is not object)
    return f"class {owner.__name__}({parents})" if parents else f"class {owner.__name__}"


def names_of(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)


def _folded(begin: str, given: list[inspect.Parameter], end: str) -> str:
    told = list(_marked(given))
    flat = f"{begin}({', '.join(told)}){end}"
    if len(flat) <= WIDEST:
        return flat
    return "\n".join([f"{begin}(", *(f"    {each}," for each in told), f"){end}"])


def _marked(given: list[inspect.Parameter]) -> Iterator[str]:
    """Each as it is typed, with the `*` after which they are named."""
    kinds = [each.kind for each in given]
    for place, each in enumerate(given):
        named = each.kind is inspect.Parameter.KEYWORD_ONLY
        before = kinds[place - 1] if place else None
        if named and before not in (each.kind, inspect.Parameter.VAR_POSITIONAL):
            yield "*"
        yield _typed(each)


def _typed(given: inspect.Parameter) -> str:
    """With its type and its default, as one types them."""
    name = f"{STARS.get(given.kind.name, '')}{given.name}"
    hinted = given.annotation is not inspect.Parameter.empty
    typed = f"{name}: {_named(given.annotation)}" if hinted else name
    if given.default is inspect.Parameter.empty:
        return typed
    default = repr(given.default).replace("'", '"').replace("<factory>", "[]")
    return f"{typed} = {default}" if hinted else f"{typed}={default}"


def _named(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
