"""Hears saves, deletes and changed relations of the registered models."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from django.db.models import ManyToManyField, Model
from django.db.models.signals import m2m_changed, post_delete, post_save

from webhook_delivery import binding
from webhook_delivery.occasions import Occasion, Verb
from webhook_delivery.tellers import ModelWebhooks, registered, teller_of_table, tellers_of
from webhook_delivery.telling import tell

UID = "webhook_delivery"


def listen(model: type[Model]) -> None:
    """Connect to this model's signals only: a receiver for all would slow every delete there is."""
    binding.bind(model)
    listen_again(model)


def listen_again(model: type[Model]) -> None:
    """Connect to what has been disconnected since."""
    for each in _family(model):
        post_save.connect(_on_save, sender=each, dispatch_uid=UID)
        post_delete.connect(_on_delete, sender=each, dispatch_uid=UID)
    for relation in _relations(registered[model]):
        m2m_changed.connect(_on_relation, sender=relation.remote_field.through, dispatch_uid=UID)


def stop_listening(model: type[Model]) -> None:
    """Disconnect; whoever else speaks for some of the rows has to `listen_again`. For tests."""
    binding.unbind(model)
    for each in _family(model):
        post_save.disconnect(sender=each, dispatch_uid=UID)
        post_delete.disconnect(sender=each, dispatch_uid=UID)
    for relation in _relations(registered[model]):
        m2m_changed.disconnect(sender=relation.remote_field.through, dispatch_uid=UID)


def _family(model: type[Model]) -> Iterator[type[Model]]:
    """The model, and those whose rows are its rows too: its proxies, and heirs of its table."""
    yield model
    for heir in model.__subclasses__():
        yield from _family(heir)


def _relations(teller: ModelWebhooks) -> list[ManyToManyField[Any, Any]]:
    """The many-to-many fields in the payload, or watched."""
    named = {field.name for field in teller.sent} | set(teller.watch)
    return [field for field in teller.model._meta.many_to_many if field.name in named]


def _on_save(
    sender: type[Model],
    instance: Model,
    created: bool,
    raw: bool,
    using: str,
    update_fields: Collection[str] | None,
    **kwargs: Any,
) -> None:
    """A fixture being loaded (`raw`) is not something that happened."""
    instance._state.webhook_raw = raw  # type: ignore[attr-defined]
    if raw:
        return
    verb, seen = Verb.CREATED if created else Verb.UPDATED, binding.glimpse_of(instance)
    saved = [
        Occasion(teller, instance, verb, using, seen.before.get(teller), update_fields)
        for teller in tellers_of(sender)
    ]
    tell(saved, using=using, audience=seen.audience)


def _on_delete(sender: type[Model], instance: Model, using: str, **kwargs: Any) -> None:
    teller = teller_of_table(sender)
    if teller is not None:
        tell([Occasion(teller, instance, Verb.DELETED, using)], using=using)


def _on_relation(
    sender: type[Model],
    instance: Model,
    action: str,
    reverse: bool,
    model: type[Model],
    pk_set: set[Any] | None,
    using: str,
    **kwargs: Any,
) -> None:
    """A relation was changed: an update of each row on the side that is registered."""
    if action == "pre_clear":
        instance._state.webhook_cleared = _related(sender, instance, reverse, using)  # type: ignore[attr-defined]
    if action == "post_clear":
        pk_set = instance._state.webhook_cleared  # type: ignore[attr-defined]
    fixture = getattr(instance._state, "webhook_raw", False)
    if action.startswith("post_") and pk_set and not fixture:
        rows = _owners(sender, instance, model, pk_set, reverse, using)
        tell(_changed(sender, rows, using), using=using)


def _owners(
    through: type[Model],
    instance: Model,
    model: type[Model],
    keys: set[Any],
    reverse: bool,
    using: str,
) -> list[Model]:
    """The rows that have the relation among their fields; a symmetrical one, both sides have."""
    both = any(field.remote_field.symmetrical for field in _fields_of(through))
    if not (reverse or both):
        return [instance]
    others = list(model._base_manager.using(using).filter(pk__in=keys))
    return [instance, *others] if both else others


def _changed(through: type[Model], rows: list[Model], using: str) -> Iterator[Occasion]:
    for row in rows:
        for teller in tellers_of(type(row)):
            for field in _relations(teller):
                if field.remote_field.through is through:
                    yield Occasion(
                        teller, row, Verb.UPDATED, using, update_fields=(), relation=field.name
                    )


def _related(through: type[Model], instance: Model, reverse: bool, using: str) -> set[Any]:
    """The keys of the rows on the other side, before they are cleared."""
    for field in _fields_of(through):
        mine, other = field.m2m_field_name(), field.m2m_reverse_field_name()
        if reverse:
            mine, other = other, mine
        rows = through._base_manager.using(using).filter(**{mine: instance.pk})
        return set(rows.values_list(other, flat=True))
    return set()


def _fields_of(through: type[Model]) -> Iterator[ManyToManyField[Any, Any]]:
    for teller in registered.values():
        for field in _relations(teller):
            if field.remote_field.through is through:
                yield field
