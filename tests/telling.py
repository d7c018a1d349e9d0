"""What tests of registered models need: to register for a moment, and to read what was told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.models import Model

from webhook_delivery import ModelWebhooks, register, registry
from webhook_delivery.models import Event


@contextmanager
def registered(*models: type[Model], **attributes: Any) -> Iterator[None]:
    """Register a class with these attributes for the models, and forget it afterwards."""
    register(*models)(type("Webhooks", (ModelWebhooks,), attributes))
    try:
        yield
    finally:
        for model in models:
            registry.unregister(model)


def told() -> list[tuple[str, Any]]:
    """The types and the data of all events, in their order."""
    return [(one.event_type, data_of(one)) for one in Event.objects.order_by("created_at")]


def types_told() -> list[str]:
    return [event_type for event_type, _ in told()]


def data_of(event: Event) -> Any:
    return json.loads(bytes(event.body))["data"]
