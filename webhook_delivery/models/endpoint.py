"""Receivers: where they are, what they asked for, and the secrets they share with us."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Self

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from webhook_delivery import keys
from webhook_delivery.clock import Now
from webhook_delivery.hostnames import normal
from webhook_delivery.signing import key_of
from webhook_delivery.validation import (
    validate_certificates,
    validate_client_certificate,
    validate_headers,
    validate_pattern,
    validate_rate,
    validate_schedule,
    validate_timeout,
    validate_url,
)


class EndpointQuerySet(models.QuerySet["Endpoint"]):
    def on(self) -> Self:
        return self.filter(state=Endpoint.State.ON)


class AddressField(models.CharField):  # type: ignore[type-arg] # it takes none at run time
    """A URL, in the one form in which it is checked, shown and sent."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        return normal(text) if isinstance(text, str) else text

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        kept = self.to_python(super().pre_save(model_instance, add))
        setattr(model_instance, self.attname, kept)
        return kept


class Endpoint(models.Model):
    """A receiver: where to send, what it asked for, and whether it is on."""

    class State(models.TextChoices):
        ON = "on", _("on")
        PAUSED = "paused", _("paused")  # what happens meanwhile is held
        OFF = "off", _("off")  # what happens meanwhile is not delivered

    class Format(models.TextChoices):
        STANDARD = "standard", _("Standard Webhooks")
        STRUCTURED = "structured", _("CloudEvents, structured")
        BINARY = "binary", _("CloudEvents, binary")

    class TLS(models.TextChoices):
        V1_2 = "1.2", "TLS 1.2"
        V1_3 = "1.3", "TLS 1.3"

    name = models.CharField(_("name"), max_length=200)
    url = AddressField(_("URL"), max_length=2048, validators=[validate_url])
    tenant = models.CharField(
        _("tenant"),
        max_length=100,
        blank=True,
        help_text=_("Receives only events published for this tenant; empty: those for none."),
    )
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.ON)
    state_reason = models.CharField(_("why"), max_length=200, blank=True)
    resume_at = models.DateTimeField(_("paused until"), null=True, blank=True)
    """When a paused one is switched on by itself; NULL: a person does it."""
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
    max_in_flight = models.PositiveSmallIntegerField(
        _("requests at once"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("How many may be in flight together, from all workers. Empty: the default."),
    )
    rate_per_second = models.FloatField(
        _("requests per second"),
        null=True,
        blank=True,
        validators=[validate_rate],
        help_text=_("At most so many a second, from all workers together. Empty: no limit."),
    )
    ordered = models.BooleanField(
        _("in order"),
        default=False,
        help_text=_("One at a time, in the order of the events; one that fails holds up the rest."),
    )
    format = models.CharField(
        _("format"),
        max_length=10,
        choices=Format,
        default=Format.STANDARD,
        help_text=_(
            "How events are written; what happened before a change is sent as it was. In “binary”, "
            "the type is in a header, which is not signed."
        ),
    )
    sealed_headers = models.BinaryField(_("sealed headers"), default=bytes, blank=True)
    ca_bundle = models.TextField(
        _("certificate authorities"),
        blank=True,
        validators=[validate_certificates],
        help_text=_(
            "In PEM: who may have signed its certificate. Empty: those that browsers know."
        ),
    )
    sealed_client_certificate = models.BinaryField(
        _("sealed client certificate"), default=bytes, blank=True
    )
    tls_minimum = models.CharField(_("oldest TLS"), max_length=3, choices=TLS, default=TLS.V1_2)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    objects = EndpointQuerySet.as_manager()

    class Meta:
        verbose_name = _("endpoint")
        verbose_name_plural = _("endpoints")
        indexes = [models.Index(fields=["tenant", "state"], name="webhook_endpoint_tenant_idx")]
        permissions = [
            ("view_endpoint_url", _("Can see whole URLs")),
            ("pause_endpoint", _("Can pause endpoints, and switch them on and off")),
            ("test_endpoint", _("Can send test events")),
        ]

    def __str__(self) -> str:
        return self.name

    @sensitive_variables()
    def set_headers(self, headers: Mapping[str, str]) -> Self:
        """
        Send these headers with each request, and no others; their values are sealed at rest.

        Raises ValidationError for names that are ours and values that HTTP does not know.
        """
        validate_headers(headers)
        return self._keep_sealed("sealed_headers", json.dumps(dict(headers)) if headers else "")

    @sensitive_variables()
    def set_client_certificate(self, pem: str) -> Self:
        """
        Show this certificate to receivers that ask for one; sealed at rest.

        pem: the certificate, its chain and its private key; empty: none is shown.
        Raises ValidationError for what is no certificate with its key.
        """
        validate_client_certificate(pem)
        return self._keep_sealed("sealed_client_certificate", pem)

    def _keep_sealed(self, field: str, text: str) -> Self:
        setattr(self, field, keys.seal(text, owner=self.pk) if text else b"")
        self.save(update_fields=[field, "updated_at"])
        return self

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
        permissions = [
            ("reveal_secret", _("Can see signing secrets")),
            ("rotate_secret", _("Can rotate signing secrets")),
        ]

    def __str__(self) -> str:
        return f"secret {self.pk}"

    @classmethod
    @sensitive_variables()
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
