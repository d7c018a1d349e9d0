"""Receivers: where they are, whose they are, what they asked for, and what they hear of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Self

from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from webhook_delivery import keys
from webhook_delivery.hostnames import address_of, origin_of
from webhook_delivery.models.asking import EndpointQuerySet
from webhook_delivery.models.fields import (
    AddressField,
    ConditionsField,
    OwnerField,
    validate_conditions,
)
from webhook_delivery.models.home import home_of
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

if TYPE_CHECKING:
    from webhook_delivery.models.delivery import DeliveryQuerySet
    from webhook_delivery.models.secret import SecretQuerySet
    from webhook_delivery.models.subscription import Subscription

MYPY = False
"""True for mypy only: checkers without Django's plugin have to be told what Django adds."""


class Endpoint(models.Model):
    """A receiver: where to send, what it asked for, and whether it is on."""

    if TYPE_CHECKING and not MYPY:
        id: int
        objects: ClassVar[EndpointQuerySet]
        deliveries: DeliveryQuerySet
        secrets: SecretQuerySet
        subscriptions: models.QuerySet[Subscription]

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
    """In one form: names in ASCII, paths encoded once."""
    tenant = models.CharField(
        _("tenant"),
        max_length=100,
        blank=True,
        help_text=_("Receives only events published for this tenant; empty: those for none."),
    )
    owner = OwnerField(
        _("owner"),
        default="",
        db_default="",  # who has not been upgraded yet writes none
        help_text=_("Whose it is, for your own code: shop.customer:7. Decides nothing here."),
    )
    contact = models.EmailField(
        _("contact"),
        blank=True,
        default="",
        db_default="",  # who has not been upgraded yet writes none
        help_text=_("Who is written to when it fails for long, is switched off, or is well again."),
    )
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.ON)
    """On, it is sent what it is owed; paused, that is held; off, nothing new is owed to it."""
    state_reason = models.CharField(_("why"), max_length=200, blank=True)
    """Why it is not on; empty if it is."""
    resume_at = models.DateTimeField(_("paused until"), null=True, blank=True)
    """When a paused one is switched on by itself; NULL: a person does it."""
    off_by_itself = models.BooleanField(default=False, db_default=False, editable=False)
    """Whether no person switched it off: it failed for days, or said that it wants nothing more."""
    timeout_seconds = models.FloatField(
        _("timeout in seconds"), null=True, blank=True, validators=[validate_timeout]
    )
    """Of one attempt; NULL: `TIMEOUT_SECONDS`."""
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
    """What `set_headers` keeps; the same of the certificate below."""
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
    conditions = ConditionsField(
        _("conditions"),
        default=dict,
        db_default={},  # who has not been upgraded yet writes none
        blank=True,
        validators=[validate_conditions],
        help_text=_(
            "What must be in the body of what it is sent, by path: "
            '{"data.status": "paid", "data.total": {"gte": 100}}. All must hold. '
            "Operators: ne, in, lt, lte, gt, gte, exists, prefix. Empty: whatever it is."
        ),
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    objects = EndpointQuerySet.as_manager()

    class Meta:
        verbose_name = _("endpoint")
        verbose_name_plural = _("endpoints")
        indexes = [
            models.Index(fields=["tenant", "state"], name="webhook_endpoint_tenant_idx"),
            models.Index(fields=["owner"], name="webhook_endpoint_owner_idx"),
        ]
        permissions = [
            ("view_endpoint_url", _("Can see whole URLs")),
            ("pause_endpoint", _("Can pause endpoints, and switch them on and off")),
            ("test_endpoint", _("Can send test events")),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def address(self) -> str:
        """Its URL without path, query and user names, which may be secret; empty if it is none."""
        return address_of(self.url)

    @property
    def is_off_by_itself(self) -> bool:
        """Whether it is off, and no person wished it."""
        return self.state == self.State.OFF and self.off_by_itself

    def leads_elsewhere(self, url: str, ca_bundle: str) -> bool:
        """Whether these would send to another server, or trust others to say which one it is."""
        return origin_of(url) != origin_of(self.url) or ca_bundle.split() != self.ca_bundle.split()

    @property
    @sensitive_variables()
    def kept_headers(self) -> dict[str, str]:
        """What is sent besides ours, in the clear. Raises `keys.SecretUnavailable`."""
        sealed = bytes(self.sealed_headers)
        kept: dict[str, str] = json.loads(keys.unseal(sealed, owner=self.pk)) if sealed else {}
        return kept

    @sensitive_variables()
    def set_headers(self, headers: Mapping[str, str], *, using: str | None = None) -> Self:
        """
        Send these headers with each request, and no others; their values are sealed at rest.

        using: the database; default: the endpoint's own, or if it was read from a replica, where
            the router writes it.
        Raises ValidationError for names that are ours and values that HTTP does not know.
        """
        validate_headers(headers)
        text = json.dumps(dict(headers)) if headers else ""
        return self._keep_sealed("sealed_headers", text, using)

    @sensitive_variables()
    def set_client_certificate(self, pem: str, *, using: str | None = None) -> Self:
        """
        Show this certificate to receivers that ask for one; sealed at rest.

        pem: the certificate, its chain and its private key; empty: none is shown.
        using: as of `set_headers`.

        Raises ValidationError for what is no certificate with its key.
        """
        validate_client_certificate(pem)
        return self._keep_sealed("sealed_client_certificate", pem, using)

    def _keep_sealed(self, field: str, text: str, using: str | None) -> Self:
        setattr(self, field, keys.seal(text, owner=self.pk) if text else b"")
        self.save(using=using or home_of(self), update_fields=[field, "updated_at"])
        return self

    def subscribe(self, *patterns: str, using: str | None = None) -> Self:
        """
        Subscribe to event types or patterns: `order.created`, `order.*`, `*`.

        using: as of `set_headers`.

        Raises ValidationError for a pattern that nothing could match.
        """
        asked = self.subscriptions.using(using or home_of(self))
        for pattern in patterns:
            validate_pattern(pattern)
            asked.get_or_create(endpoint_id=self.pk, pattern=pattern)
        return self
