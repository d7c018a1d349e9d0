"""Receivers: where they are, what they asked for, and the secrets they share with us."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from webhook_delivery import keys
from webhook_delivery.clock import Now
from webhook_delivery.outcomes import patterns_matching
from webhook_delivery.signing import key_of
from webhook_delivery.validation import (
    validate_pattern,
    validate_schedule,
    validate_timeout,
    validate_url,
)


class EndpointQuerySet(models.QuerySet["Endpoint"]):
    def on(self) -> Self:
        return self.filter(state=Endpoint.State.ON)

    def subscribed_to(self, event_type: str, *, tenant: str = "") -> Self:
        """Endpoints of the tenant, in any state, that subscribe to the event type or a pattern."""
        fitting = Subscription.objects.filter(pattern__in=patterns_matching(event_type))
        return self.filter(tenant=tenant, pk__in=fitting.values("endpoint"))


class Endpoint(models.Model):
    """A receiver: where to send, what it asked for, and whether it is on."""

    class State(models.TextChoices):
        ON = "on", _("on")
        PAUSED = "paused", _("paused")  # what happens meanwhile is held
        OFF = "off", _("off")  # what happens meanwhile is not delivered

    name = models.CharField(_("name"), max_length=200)
    url = models.CharField(_("URL"), max_length=2048, validators=[validate_url])
    tenant = models.CharField(
        _("tenant"),
        max_length=100,
        blank=True,
        help_text=_("Receives only events published for this tenant; empty: those for none."),
    )
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.ON)
    state_reason = models.CharField(_("why"), max_length=200, blank=True)
    timeout_seconds = models.FloatField(
        _("timeout in seconds"), null=True, blank=True, validators=[validate_timeout]
    )
    retry_schedule = models.JSONField(
        _("retry schedule"),
        null=True,
        blank=True,
        validators=[validate_schedule],
        help_text=_("Seconds before each retry, as a list: [5, 60, 600]. Empty: the default."),
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    objects = EndpointQuerySet.as_manager()

    class Meta:
        verbose_name = _("endpoint")
        verbose_name_plural = _("endpoints")
        indexes = [models.Index(fields=["tenant", "state"], name="webhook_endpoint_tenant_idx")]

    def __str__(self) -> str:
        return self.name

    def subscribe(self, *patterns: str) -> Self:
        """
        Subscribe to event types or patterns: `order.created`, `order.*`, `*`.

        Raises ValidationError for a pattern that nothing could match.
        """
        for pattern in patterns:
            validate_pattern(pattern)
            self.subscriptions.get_or_create(pattern=pattern)
        return self


class SecretQuerySet(models.QuerySet["Secret"]):
    def live(self) -> Self:
        """Secrets that sign now, the newest first."""
        return self.filter(Q(valid_until=None) | Q(valid_until__gt=Now())).order_by("-pk")


class Secret(models.Model):
    """A signing secret of an endpoint, sealed at rest; several live ones overlap in a rotation."""

    endpoint = models.ForeignKey(Endpoint, models.CASCADE, related_name="secrets")
    sealed = models.BinaryField(_("sealed secret"))
    valid_until = models.DateTimeField(_("valid until"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    objects = SecretQuerySet.as_manager()

    class Meta:
        verbose_name = _("secret")
        verbose_name_plural = _("secrets")

    def __str__(self) -> str:
        return f"secret {self.pk}"

    @classmethod
    def keep(cls, endpoint: Endpoint, secret: str) -> Secret:
        """
        Seal a `whsec_` secret for the endpoint and store it.

        Raises `signing.InvalidSecret` for one that could not sign.
        """
        key_of(secret)
        return endpoint.secrets.create(sealed=keys.seal(secret, owner=endpoint.pk))

    def reveal(self) -> str:
        """Return the `whsec_` text, or raise `keys.SecretUnavailable`."""
        return keys.unseal(bytes(self.sealed), owner=self.endpoint_id)


class Subscription(models.Model):
    """What an endpoint wants to hear of: an event type, `order.*`, or `*`."""

    endpoint = models.ForeignKey(Endpoint, models.CASCADE, related_name="subscriptions")
    pattern = models.CharField(
        _("event type or pattern"), max_length=200, validators=[validate_pattern]
    )

    class Meta:
        verbose_name = _("subscription")
        verbose_name_plural = _("subscriptions")
        constraints = [
            models.UniqueConstraint(
                fields=["pattern", "endpoint"], name="webhook_subscription_unique"
            )
        ]

    def __str__(self) -> str:
        return self.pattern
