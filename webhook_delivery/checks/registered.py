"""What registered models send, and what could happen to their rows that nobody would hear of."""

from __future__ import annotations

from collections.abc import Iterator

from django.core import checks
from django.core.checks import CheckMessage

from webhook_delivery.bulk import WebhookQuerySet
from webhook_delivery.shaping import is_sensitive
from webhook_delivery.tellers import ModelWebhooks, registered


def of_registered() -> Iterator[CheckMessage]:
    for teller in registered.values():
        yield from _bypassed(teller)
        yield from _sensitive(teller)


def of_payloads() -> Iterator[CheckMessage]:
    """A line for each model, for `check --deploy`: what would leave the house."""
    for teller in registered.values():
        fields = ", ".join(field.name for field in teller.sent)
        sent = fields if teller.by_fields else "what its `payload()` or serializer makes"
        yield checks.Info(
            f"{_name(teller)} sends {sent}; as {', '.join(teller.types)}.",
            hint=None if teller.by_fields else "Look at what it makes of a row.",
            obj=teller.model,
            id="webhook_delivery.I002",
        )


def _bypassed(teller: ModelWebhooks) -> Iterator[CheckMessage]:
    manager = teller.model._default_manager
    if not issubclass(getattr(manager, "_queryset_class", object), WebhookQuerySet):
        yield checks.Warning(
            f"Nobody hears of bulk_create(), bulk_update() and update() of {_name(teller)}.",
            hint=(
                "Let its default manager be one of a WebhookQuerySet: "
                "`objects = WebhookQuerySet.as_manager()`; or publish() beside them, and silence "
                "this check."
            ),
            obj=teller.model,
            id="webhook_delivery.W012",
        )


def _sensitive(teller: ModelWebhooks) -> Iterator[CheckMessage]:
    secrets = [field.name for field in teller.sent if is_sensitive(field)]
    if teller.by_fields and secrets:
        yield checks.Warning(
            f"{_name(teller)} sends {', '.join(secrets)}, which sounds like a secret.",
            hint="Leave it out of `fields`; if receivers may have it, silence this check.",
            obj=teller.model,
            id="webhook_delivery.W013",
        )


def _name(teller: ModelWebhooks) -> str:
    return teller.model._meta.label
