"""`@register(Model)` in an app's `webhooks.py`: which changes of a model are which event types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, ClassVar, TypeVar

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db.models import DecimalField, Field, FileField, Model

from webhook_delivery import receivers
from webhook_delivery.validation import validate_event_type


class AlreadyRegistered(Exception):
    """A model is registered once; further event types belong in the same class."""


class ModelWebhooks:
    """
    What one model tells the world. Subclass it, and decorate it with `@register(Model)`.

    created, updated, deleted: event types such as "order.created"; None: nothing is said.
    fields: names of the model fields in the payload; or override `payload`.

    `payload` is called inside the save, if somebody is subscribed; what it raises, the save raises.
    """

    created: ClassVar[str | None] = None
    updated: ClassVar[str | None] = None
    deleted: ClassVar[str | None] = None
    fields: ClassVar[Sequence[str]] = ()

    def __init__(self, model: type[Model]) -> None:
        self.model = model
        _validate(self)

    def payload(self, instance: Any) -> Any:
        """Return what to send about the instance: anything Django's JSON encoder can write."""
        return {name: _value(instance, model_field(self.model, name)) for name in self.fields}

    def tenant(self, instance: Any) -> str:
        """Return whose event it is; only endpoints of the same tenant hear of it."""
        return ""


registered: dict[type[Model], ModelWebhooks] = {}
"""Every registered model, and what it tells."""

W = TypeVar("W", bound=ModelWebhooks)


def register(*models: type[Model]) -> Callable[[type[W]], type[W]]:
    """
    Register the decorated class for these models, as `@admin.register` does.

    Raises AlreadyRegistered, FieldDoesNotExist, or ImproperlyConfigured if nothing would be sent.
    """

    for model in models:
        if not _is_a(model, Model):
            raise ImproperlyConfigured(f"@register takes models, not {model!r}.")
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


def _is_a(given: object, kind: type) -> bool:
    return isinstance(given, type) and issubclass(given, kind)


def _register(model: type[Model], webhooks: type[ModelWebhooks]) -> None:
    if model in registered:
        raise AlreadyRegistered(f"{model.__name__}: {AlreadyRegistered.__doc__}")
    told = webhooks(model)
    registered[model] = told
    receivers.listen(model, told)


def _validate(webhooks: ModelWebhooks) -> None:
    """Whatever is wrong shows when the class is registered, not when a customer saves something."""
    name, types = type(webhooks).__name__, [webhooks.created, webhooks.updated, webhooks.deleted]
    if not any(types):
        raise ImproperlyConfigured(f"{name} names no event type: created, updated or deleted.")
    for event_type in filter(None, types):
        try:
            validate_event_type(event_type)
        except ValidationError as error:
            raise ImproperlyConfigured(f"{name}: {event_type!r}: {error.messages[0]}") from None
    if isinstance(webhooks.fields, str):
        raise ImproperlyConfigured(f"{name}.fields must be a list of names, not a text.")
    if not webhooks.fields and type(webhooks).payload is ModelWebhooks.payload:
        raise ImproperlyConfigured(f"{name} must name the `fields` to send, or define `payload()`.")
    for field in webhooks.fields:
        model_field(webhooks.model, field)


def model_field(model: type[Model], name: str) -> Field[Any, Any]:
    """Find a field with a column of its own, or raise FieldDoesNotExist, ImproperlyConfigured."""
    field = model._meta.get_field(name)
    if not isinstance(field, Field) or not field.concrete or field.many_to_many:
        raise ImproperlyConfigured(
            f"{model.__name__}.{name} has no column: send it from `payload()`."
        )
    return field


def _value(instance: Model, field: Field[Any, Any]) -> Any:
    """A field as it is stored: a foreign key is its key, a file its name, 5 a Decimal("5.00")."""
    value = getattr(instance, field.attname)
    if hasattr(value, "resolve_expression"):
        stored = type(instance)._base_manager.using(instance._state.db).filter(pk=instance.pk)
        value = stored.values_list(field.attname, flat=True).get()
    if isinstance(field, FileField):
        return str(value)
    if isinstance(field, DecimalField) and value is not None:
        return field.to_python(value).quantize(Decimal(1).scaleb(-field.decimal_places))
    return field.to_python(value)
