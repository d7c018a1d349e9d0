"""The append-only log: what was attempted, and what else moved a delivery. It adds up to rows."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from webhook_delivery.models.batch import RedeliveryBatch
from webhook_delivery.models.delivery import Delivery
from webhook_delivery.outcomes import Verdict


class Bytes(models.BinaryField):  # type: ignore[type-arg] # generic in the stubs only
    """A binary column that PostgreSQL takes in bulk as one array, as it does all others."""

    @property
    def get_placeholder(self) -> Any:
        """Deny the placeholder that BinaryField has for MySQL's sake: it would forbid arrays."""
        raise AttributeError

    get_placeholder_sql = get_placeholder  # its name since Django 6.1

    def deconstruct(self) -> Any:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.BinaryField", args, kwargs


class Attempt(models.Model):
    """One HTTP request for a delivery, as it ended. Rows are added, never changed."""

    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="attempts", db_index=False)
    number = models.PositiveIntegerField(_("number"))
    """The first of a delivery is 1; redelivering goes on counting."""
    trigger = models.CharField(_("trigger"), max_length=10, choices=Delivery.Trigger)
    started_at = models.DateTimeField(_("started"))
    duration_ms = models.PositiveIntegerField(_("duration in ms"), null=True)
    """Milliseconds; NULL: nobody knows, as when its worker was lost."""
    status = models.PositiveSmallIntegerField(_("status"), null=True)
    """Of the answer; NULL: none came."""
    fault = models.CharField(_("fault"), max_length=20, blank=True)
    """Why it did not deliver, as `outcomes.Fault` names it; empty: it did."""
    detail = models.CharField(_("detail"), max_length=200, blank=True)
    excerpt = Bytes(_("start of the answer"), blank=True)
    """At most 2 KB, in which what only the receiver may know is masked."""
    verdict = models.CharField(
        _("verdict"), max_length=10, choices=[(verdict, verdict) for verdict in Verdict]
    )
    next_due_at = models.DateTimeField(_("next attempt"), null=True)
    """When the one after it was to be made; NULL: none was."""

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        ordering = ["delivery", "number"]
        constraints = [
            models.UniqueConstraint(fields=["delivery", "number"], name="webhook_attempt_once")
        ]

    def __str__(self) -> str:
        return _("attempt %(number)s") % {"number": self.number}


class Transition(models.Model):
    """What moved a delivery other than an attempt. Rows are added, never changed."""

    class Verb(models.TextChoices):
        REDELIVER = "redeliver", _("redelivered")
        ONCE = "once", _("redelivered, for one attempt")
        DISCARD = "discard", _("discarded")
        RESTORE = "restore", _("restored")
        RELEASE = "release", _("released")
        RETRY_NOW = "retry_now", _("brought forward")

    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="transitions")
    after = models.PositiveIntegerField(_("after attempt"))
    """How many attempts had been made: its place among them."""
    verb = models.CharField(_("action"), max_length=10, choices=Verb)
    at = models.DateTimeField(_("when"))
    batch = models.ForeignKey(
        RedeliveryBatch,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="sendings",
        verbose_name=_("redelivery"),
    )
    """The redelivery of many that it was a part of."""

    class Meta:
        verbose_name = _("transition")
        verbose_name_plural = _("transitions")
        ordering = ["delivery", "after", "pk"]

    def __str__(self) -> str:
        return str(self.get_verb_display())
