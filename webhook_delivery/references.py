"""How rows are named in texts: ours by their number, those of the user's models `shop.order:7`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from django.db.models import Model

LONGEST = 200
"""Characters a reference is cut to, as the columns that keep it are."""


REFERENCE = re.compile(r"[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*:.+", re.DOTALL)


def reference_of(instance: Model, model: type[Model] | None = None) -> str:
    """
    Name a row by its model and primary key, in any database: `shop.order:7`.

    A proxy is named as the model it stands for.
    model: name it as a row of this model, if the row is also one of its parents.

    Raises ValueError for a row that was never saved: it has no name yet.
    """
    if instance.pk is None:
        raise ValueError(f"{instance!r} was never saved: nothing can refer to it.")
    concrete = (model or type(instance))._meta.concrete_model or type(instance)
    return f"{concrete._meta.label_lower}:{instance.pk}"[:LONGEST]


def references_of(rows: Iterable[Model | str]) -> list[str]:
    """
    The names of these; what is a name already stays as it is. Raises ValueError as above.

    A row of a model that inherits a table has a name in each: its parent may be the one that tells.
    """
    names = ([row] if isinstance(row, str) else _names_of(row) for row in rows)
    return [name for some in names for name in some]


def _names_of(row: Model) -> list[str]:
    models = (base for base in type(row).__mro__ if issubclass(base, Model) and base is not Model)
    tables = dict.fromkeys(base._meta.concrete_model for base in models if not base._meta.abstract)
    return [reference_of(row, table) for table in tables]


def number_in(text: str) -> int | None:
    """The number of a row that a text is; None if it is none."""
    fits = text.isascii() and text.isdecimal() and len(text) < 19
    return int(text) if fits else None


def is_reference(text: str) -> bool:
    """Whether a person who typed this means a row: `shop.order:7`."""
    return len(text) <= LONGEST and bool(REFERENCE.fullmatch(text))
