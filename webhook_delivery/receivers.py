"""Hears saves and deletes of the registered models."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Protocol

from django.db.models import Model
from django.db.models.signals import post_delete, post_save

from webhook_delivery.publishing import publish_if_heard


class Teller(Protocol):
    """What is asked of a registered class: event types, and what to say of an instance."""

    created: ClassVar[str | None]
    updated: ClassVar[str | None]
    deleted: ClassVar[str | None]

    def payload(self, instance: Any) -> Any: ...

    def tenant(self, instance: Any) -> str: ...


def listen(model: type[Model], teller: Teller) -> None:
    """Connect to this model's signals only: a receiver for all would slow every delete there is."""
    post_save.connect(
        partial(_on_save, teller), sender=model, weak=False, dispatch_uid="webhook_delivery"
    )
    post_delete.connect(
        partial(_on_delete, teller), sender=model, weak=False, dispatch_uid="webhook_delivery"
    )


def stop_listening(model: type[Model]) -> None:
    post_save.disconnect(sender=model, dispatch_uid="webhook_delivery")
    post_delete.disconnect(sender=model, dispatch_uid="webhook_delivery")


def _on_save(
    teller: Teller, *, instance: Model, created: bool, raw: bool, using: str, **kwargs: Any
) -> None:
    """A fixture being loaded (`raw`) is not something that happened."""
    event_type = teller.created if created else teller.updated
    if event_type and not raw:
        _tell(teller, event_type, instance, using)


def _on_delete(teller: Teller, *, instance: Model, using: str, **kwargs: Any) -> None:
    if teller.deleted:
        _tell(teller, teller.deleted, instance, using)


def _tell(teller: Teller, event_type: str, instance: Model, using: str) -> None:
    publish_if_heard(
        event_type,
        partial(teller.payload, instance),
        tenant=teller.tenant(instance),
        source=f"{instance._meta.label_lower}:{instance.pk}",
        using=using,
    )
