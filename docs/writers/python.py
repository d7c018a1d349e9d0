"""Writes docs/reference/python.md: what code of a project imports, from the names themselves."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import webhook_delivery
from docs.writers import signatures
from docs.writers.docstrings import body_of, markdown, of_attributes, one_line

INTRODUCTION = """# Python

What the package offers to code. The names of the first part are imported from `webhook_delivery`
itself; they are loaded when they are first used, so that the package can be imported before Django
is ready. Querysets and rows are in [models](models.md), signals in [signals](signals.md), what
tests need in [testing with it](../testing.md).
"""

ELSEWHERE = {
    "webhook_delivery.redelivery": ("redeliver", "discard", "restore", "retry_now", "Done"),
    "webhook_delivery.selecting": ("selection_of",),
    "webhook_delivery.batches": (
        "preview",
        "start",
        "start_missed",
        "pause",
        "resume",
        "cancel",
        "set_rate",
        "progress",
        "Preview",
        "Progress",
    ),
    "webhook_delivery.endpoints": ("pause", "switch_on", "switch_off", "Switched"),
    "webhook_delivery.forwarding": ("forward", "Forwarded"),
    "webhook_delivery.probing": ("probe", "Probed"),
    "webhook_delivery.rotation": ("rotate",),
    "webhook_delivery.erasing": ("erase", "Erased"),
    "webhook_delivery.signing": ("generate_secret", "generate_signing_key", "public_key_of"),
    "webhook_delivery.receiving": ("Webhook",),
}
"""What the console does, for code, and what a view is given: by module."""


def page() -> str:
    return "\n".join([INTRODUCTION, *_public(), *_verbs()])


def _public() -> Iterator[str]:
    yield "## `webhook_delivery`\n"
    for name in sorted(webhook_delivery.__all__, key=str.lower):
        if name != "__version__":
            yield from _entry(name, getattr(webhook_delivery, name))


def _verbs() -> Iterator[str]:
    for module, names in ELSEWHERE.items():
        yield f"## `{module}`\n\n{markdown(import_module(module).__doc__)}\n"
        for name in names:
            short = module.rpartition(".")[2]
            yield from _entry(f"{short}.{name}", getattr(import_module(module), name))


def _entry(name: str, told: Any) -> Iterator[str]:
    yield f"### `{name}`\n"
    if isinstance(told, type):
        yield from of_class(told)
    else:
        signature = signatures.of_function(name.rpartition(".")[2], told)
        yield signatures.fenced(signature) + "\n"
        yield _text_of(told) + "\n"


def _text_of(function: Callable[..., Any]) -> str:
    """What it says of itself; a coroutine's twin has said it already."""
    if inspect.iscoroutinefunction(function) and (twin := getattr(function, "__wrapped__", None)):
        same = f"As [`{twin.__name__}`](#{twin.__name__}), from a coroutine"
        return f"{same}: [publishing](../publishing.md#in-a-coroutine)."
    return markdown(function.__doc__, signatures.names_of(function))


def of_class(owner: type) -> Iterator[str]:
    """Its signature, its text and its attributes; then its own methods and properties."""
    yield signatures.fenced(signatures.of_class(owner)) + "\n"
    yield markdown(owner.__doc__, inspect.get_annotations(owner)) + "\n"
    attributes = of_attributes(body_of(owner))
    if attributes:
        told = (f"- `{name}`: {one_line(text)}" for name, text in attributes.items())
        yield "\n".join(told) + "\n"
    for name, member in vars(owner).items():
        if not name.startswith("_"):
            yield from of_member(name, member)


def of_member(name: str, member: Any) -> Iterator[str]:
    """A method or a property that says what it is for; others are for the package."""
    function = getattr(member, "fget", None) or getattr(member, "__func__", member)
    text = inspect.getdoc(function) if inspect.isfunction(function) else None
    if not text:
        return
    if isinstance(member, property):
        yield f"`{name}`: {markdown(text)}\n"
    else:
        yield signatures.fenced(signatures.of_function(name, function, method=True)) + "\n"
        yield markdown(text, signatures.names_of(function)) + "\n"
