"""Mails that are owed to the people behind endpoints, and that have been sent to them."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from webhook_delivery.models.endpoint import Endpoint


class Notice(models.Model):
    """A mail to an endpoint's contact: owed by the change that it tells of, sent by a sweep."""

    class Kind(models.TextChoices):
        WARNED = "warned", _("fails for long")
        DISABLED = "disabled", _("switched off")
        RECOVERED = "recovered", _("well again")

    endpoint = models.ForeignKey(Endpoint, models.CASCADE, related_name="notices")
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    facts = models.JSONField(_("facts"), default=dict)
    """What it tells besides the endpoint: `reason`, `failing_since`."""
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    due_at = models.DateTimeField(_("due"), null=True, blank=True, db_index=True)
    """When it is to be tried, for the first time or again; NULL: not any more."""
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True)
    """NULL though it is not due: it was given up, or there was nobody left to write to."""

    class Meta:
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.endpoint_id}"
