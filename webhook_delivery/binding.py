"""Makes a save of a registered model, and what it tells, one transaction; sees what was there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from django.db import connections, router, transaction
from django.db.models import Model, QuerySet

from webhook_delivery.occasions import Occasion, Verb
from webhook_delivery.shaping import normal
from webhook_delivery.tellers import ModelWebhooks, tellers_of
from webhook_delivery.telling import Audience, audience_of
from webhook_delivery.transitions import Values


@dataclass
class Glimpse:
    """What was seen of a row just before it was saved; of no row, nothing."""

    audience: Audience | None = None
    before: dict[ModelWebhooks, Values] = field(default_factory=dict)


def bind(model: type[Model]) -> None:
    """
    Wrap `save_base`, through which every save goes, of this model and those that inherit it.

    Otherwise Django would commit a save outside of a transaction before it tells anybody of it, and
    a crash between would lose the event.
    """
    original = model.save_base

    @wraps(original)
    def save_base(self: Any, raw: bool = False, *args: Any, **kwargs: Any) -> None:
        if raw:
            original(self, raw, *args, **kwargs)
            return
        using = _alias_of(self, args, kwargs)
        with _one_transaction(using), _glimpse(self, using):
            original(self, raw, *args, **kwargs)

    model.save_base = save_base  # type: ignore[method-assign]


def unbind(model: type[Model]) -> None:
    """Take the wrapping off again; for tests."""
    original: Callable[..., None] = model.save_base.__wrapped__  # type: ignore[attr-defined]
    del model.save_base
    if model.save_base is not original:
        model.save_base = original  # type: ignore[method-assign]


def glimpse_of(instance: Model) -> Glimpse:
    """What was seen of the row before the save that is going on."""
    found: Glimpse = getattr(instance._state, "webhook_glimpse", None) or Glimpse()
    return found


def values_of(teller: ModelWebhooks, row: dict[str, Any]) -> Values:
    """What the fields that a teller compares held, out of the columns of a row."""
    return {one.name: normal(one, row[one.attname]) for one in teller.compared}


def columns_of(tellers: list[ModelWebhooks]) -> list[str]:
    """The columns that these compare."""
    return sorted({one.attname for teller in tellers for one in teller.compared})


def locked(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Lock rows as an update of them will, so that nobody changes them in between."""
    weaker = connections[rows.db].features.has_select_for_no_key_update
    return rows.select_for_update(no_key=weaker)


def _alias_of(instance: Model, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Find the database: `save_base(raw, force_insert, force_update, using, update_fields)`."""
    given = kwargs.get("using") or (args[2] if len(args) > 2 else None)
    return str(given or router.db_for_write(type(instance), instance=instance))


def _one_transaction(using: str) -> Any:
    inside = connections[using].in_atomic_block
    return nullcontext() if inside else transaction.atomic(using=using)


@contextmanager
def _glimpse(instance: Model, using: str) -> Iterator[None]:
    state = instance._state
    outer = getattr(state, "webhook_glimpse", None)
    state.webhook_glimpse = _look(instance, using)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        state.webhook_glimpse = outer  # type: ignore[attr-defined]


def _look(instance: Model, using: str) -> Glimpse:
    """Read what was there, if that is to be compared and somebody may hear what comes of it."""
    tellers = [teller for teller in tellers_of(type(instance)) if teller.compared]
    if not tellers or not _may_exist(instance):
        return Glimpse()
    if any(teller.once_per_transaction for teller in tellers):
        audience = None
    else:
        saves = (Occasion(teller, instance, Verb.UPDATED, using) for teller in tellers)
        audience = audience_of(saves, using=using)
        if not audience.heard:
            return Glimpse(audience)
    rows = type(instance)._base_manager.using(using).filter(pk=instance.pk)
    row = locked(rows).values(*columns_of(tellers)).first()
    return Glimpse(audience, {one: values_of(one, row) for one in tellers} if row else {})


def _may_exist(instance: Model) -> bool:
    new = instance._state.adding and instance._meta.pk.has_default()
    return instance.pk is not None and not new
