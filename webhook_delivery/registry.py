"""`@register(Model)` in an app's `webhooks.py`: which changes of a model are which event types."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model

from webhook_delivery import catalogue, receivers
from webhook_delivery.tellers import ModelWebhooks, registered


class AlreadyRegistered(Exception):
    """A model is registered once; further event types belong in the same class."""


W = TypeVar("W", bound=ModelWebhooks)


def register(*models: type[Model]) -> Callable[[type[W]], type[W]]:
    """
    Register the decorated class for these models, as `@admin.register` does.

    A registered model speaks for its proxies, and for the models that inherit its table, unless
    they are registered too.

    Raises AlreadyRegistered, FieldDoesNotExist, or ImproperlyConfigured if nothing would be sent.
    """
    for model in models:
        if not _is_a(model, Model) or model._meta.abstract:
            raise ImproperlyConfigured(f"@register takes models with tables, not {model!r}.")
    if not models:
        raise ImproperlyConfigured("@register needs a model: @register(Order).")

    def decorate(webhooks: type[W]) -> type[W]:
        if not _is_a(webhooks, ModelWebhooks):
            raise ImproperlyConfigured(f"{webhooks!r} is no subclass of ModelWebhooks.")
        for model in models:
            _register(model, webhooks)
        return webhooks

    return decorate


def unregister(model: type[Model]) -> None:
    """Stop hearing the model; for tests."""
    receivers.stop_listening(model)
    registered.pop(model)
    catalogue.changed()
    for other in registered:
        receivers.listen_again(other)


def _is_a(given: object, kind: type) -> bool:
    return isinstance(given, type) and issubclass(given, kind)


def _register(model: type[Model], webhooks: type[ModelWebhooks]) -> None:
    if model in registered:
        raise AlreadyRegistered(f"{model.__name__}: {AlreadyRegistered.__doc__}")
    registered[model] = webhooks(model)
    catalogue.changed()
    receivers.listen(model)
