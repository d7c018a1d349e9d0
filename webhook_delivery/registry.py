"""`@register(Model)` in an app's `webhooks.py`: which changes of a model are which event types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model

from webhook_delivery import receivers


class AlreadyRegistered(Exception):
    """A model is registered once; further event types belong in the same class."""


class ModelWebhooks:
    """
    What one model tells the world. Subclass it, and decorate it with `@register(Model)`.

    created, updated, deleted: event types such as "order.created"; None: nothing is said.
    fields: names of the model fields in the payload; or override `payload`.
    """

    created: ClassVar[str | None] = None
    updated: ClassVar[str | None] = None
    deleted: ClassVar[str | None] = None
    fields: ClassVar[Sequence[str]] = ()

    def __init__(self, model: type[Model]) -> None:
        self.model = model
        if not self.fields and type(self).payload is ModelWebhooks.payload:
            raise ImproperlyConfigured(
                f"{type(self).__name__} must name the `fields` to send, or define `payload()`."
            )
        for name in self.fields:
            model._meta.get_field(name)

    def payload(self, instance: Any) -> Any:
        """Return what to send about the instance: anything Django's JSON encoder can write."""
        return {name: _value(instance, name) for name in self.fields}


registered: dict[type[Model], ModelWebhooks] = {}
"""Every registered model, and what it tells."""

W = TypeVar("W", bound=ModelWebhooks)


def register(*models: type[Model]) -> Callable[[type[W]], type[W]]:
    """
    Register the decorated class for these models, as `@admin.register` does.

    Raises AlreadyRegistered, FieldDoesNotExist, or ImproperlyConfigured if nothing would be sent.
    """

    def decorate(webhooks: type[W]) -> type[W]:
        for model in models:
            _register(model, webhooks)
        return webhooks

    return decorate


def unregister(model: type[Model]) -> None:
    """Stop hearing the model; for tests."""
    receivers.stop_listening(model)
    registered.pop(model)


def _register(model: type[Model], webhooks: type[ModelWebhooks]) -> None:
    if model in registered:
        raise AlreadyRegistered(f"{model.__name__}: {AlreadyRegistered.__doc__}")
    registered[model] = webhooks(model)
    receivers.listen(model, registered[model])


def _value(instance: Model, name: str) -> Any:
    """A field as it is stored: a foreign key is its key, a file its name."""
    field = instance._meta.get_field(name)
    value = getattr(instance, getattr(field, "attname", name))
    return str(value) if hasattr(value, "storage") else value
