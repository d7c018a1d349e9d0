"""Writes docs/reference/models.md: the rows, and the words by which they are asked for."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, get_overloads

from django.db.models import AutoField, CharField, Field, Model

from docs.writers.docstrings import body_of, markdown, of_attributes, one_line
from docs.writers.python import of_member
from webhook_delivery import models

INTRODUCTION = """# Models

The rows are the truth, and may be read by anybody. Write them by the verbs of [Python](python.md),
the console or the API, not by themselves: a delivery's state is one of several things that change
together. What the machine keeps for itself may change in any version.
"""

PARTS: Mapping[str, tuple[type[Model], ...]] = {
    "What is told, and to whom": (
        models.Endpoint,
        models.Subscription,
        models.Secret,
        models.Event,
        models.Delivery,
    ),
    "What became of it": (models.Attempt, models.Transition, models.EndpointStat),
    "What people do": (models.RedeliveryBatch, models.ConsoleAction, models.Acknowledgement),
    "What the machine keeps for itself": (
        models.Lane,
        models.Doorbell,
        models.SearchKey,
        models.Notice,
        models.KeptAnswer,
        models.RollUp,
        models.Walk,
    ),
    "Pages of the console": (models.DeadLetter, models.FailureGroup, models.Overview),
}


def page() -> str:
    shown = {model for part in PARTS.values() for model in part}
    known = {each for each in vars(models).values() if isinstance(each, type)}
    if missing := {each for each in known if issubclass(each, Model)} - shown:
        raise LookupError(f"{missing} is in no part of docs/writers/models.py.")
    return "\n".join([INTRODUCTION, *_parts()])


def _parts() -> Iterator[str]:
    for title, members in PARTS.items():
        yield f"## {title}\n"
        for model in members:
            yield from _model(model)


def _model(model: type[Model]) -> Iterator[str]:
    yield f"### `{model.__name__}`\n"
    yield markdown(model.__doc__) + "\n"
    if model._meta.proxy:
        return
    yield _fields(model)
    yield from _permissions(model)
    for name, member in vars(model).items():
        if not name.startswith("_") and _is_ours(member):
            yield from of_member(name, member)
    yield from _queries(model)


def _is_ours(member: Any) -> bool:
    """Django adds methods to models, such as `get_state_display`, which are none of ours."""
    function = getattr(member, "fget", None) or getattr(member, "__func__", member)
    return getattr(function, "__module__", "").startswith("webhook_delivery.")


def _fields(model: type[Model]) -> str:
    texts = of_attributes(body_of(model))
    named = [each for each in model._meta.local_fields if not isinstance(each, AutoField)]
    rows = [_field(field, texts.get(field.name, "")) for field in named]
    return "\n".join(["| field | type | meaning |", "|---|---|---|", *rows]) + "\n"


def _field(field: Field[Any, Any], text: str) -> str:
    meaning = one_line(text or str(field.help_text)) or f"{field.verbose_name}"
    return f"| `{field.name}` | {_type(field)} | {meaning} |"


def _type(field: Field[Any, Any]) -> str:
    """As the code has it, with what matters to who reads rows."""
    kind = f"`{type(field).__name__}`"
    if isinstance(field.related_model, type):
        kind = f"{kind} → `{field.related_model.__name__}`"
    elif field.choices:
        values = ", ".join(f"`{value}`" for value, _ in field.flatchoices)
        return f"{values}{_or_null(field)}"
    elif isinstance(field, CharField):
        kind = f"{kind}, {field.max_length}"
    return f"{kind}{_or_null(field)}"


def _or_null(field: Field[Any, Any]) -> str:
    return ", or NULL" if field.null else ""


def _permissions(model: type[Model]) -> Iterator[str]:
    if model._meta.permissions:
        told = (f"`{code}`" for code, _ in model._meta.permissions)
        yield f"Permissions besides Django's own: {', '.join(told)}.\n"


def _queries(model: type[Model]) -> Iterator[str]:
    """What its querysets say, theirs first and then what they inherit of ours."""
    kind = type(model._default_manager.all())
    ours = [each for each in kind.__mro__ if each.__module__.startswith("webhook_delivery.")]
    told = {name: member for each in reversed(ours) for name, member in vars(each).items()}
    words = {name: member for name, member in told.items() if not name.startswith("_")}
    if not words:
        return
    yield f"`{model.__name__}.objects` can be asked, in any order and with all that Django has:\n"
    yield "\n".join(filter(None, (_word(name, member) for name, member in words.items()))) + "\n"


def _word(name: str, member: Any) -> str:
    text = inspect.getdoc(member) if inspect.isfunction(member) else None
    if not text:
        return ""
    said = [member, *get_overloads(inspect.unwrap(member))][-1]
    given = list(inspect.signature(said).parameters.values())[1:]
    names = ", ".join(str(each).partition(":")[0] for each in given)
    first, *more = markdown(text, [each.name for each in given]).split("\n")
    rest = "".join(f"\n  {line}" if line else "\n" for line in more)
    return f"- `{name}({names})`: {first}{rest}"
