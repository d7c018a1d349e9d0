"""Writes docs/reference/signals.md from `webhook_delivery/signals.py`."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

from docs.writers.docstrings import markdown, of_attributes
from webhook_delivery import signals

INTRODUCTION = """# Signals

In `webhook_delivery.signals`; [Asking, and hearing back](../asking.md#hearing-back) has an example.
"""


def page() -> str:
    return "\n".join([INTRODUCTION, markdown(signals.__doc__), "", *_signals()])


def arguments() -> dict[str, list[str]]:
    """What each signal is sent with, by its name: what its text explains."""
    return {name: _explained(text) for name, text in _texts().items()}


def _texts() -> dict[str, str]:
    return of_attributes(ast.parse(Path(inspect.getfile(signals)).read_text()).body)


def _signals() -> Iterator[str]:
    for name, text in _texts().items():
        yield f"## `{name}`\n\n{markdown(text, _explained(text))}\n"


def _explained(text: str) -> list[str]:
    """The words that begin a line and are followed by a colon."""
    heads = (line.partition(": ") for line in text.splitlines())
    return [head for head, colon, _ in heads if colon and head.isidentifier()]
