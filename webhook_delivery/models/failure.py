"""What people know of a kind of failure: who sees to it, and until when it need not be told."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from webhook_delivery.models.endpoint import Endpoint


class Acknowledgement(models.Model):
    """Somebody has seen that an endpoint fails in one way. Only `acknowledging` writes it."""

    endpoint = models.ForeignKey(
        Endpoint, models.CASCADE, related_name="acknowledgements", db_index=False
    )
    reason = models.CharField(_("reason"), max_length=20)
    status = models.PositiveSmallIntegerField(_("status"), default=0)
    """The status of the last answer; 0: there was none."""
    until = models.DateTimeField(_("until"), null=True, blank=True)
    """Not to be told again before then; NULL: for as long as there is any of it."""
    note = models.CharField(_("note"), max_length=200, blank=True)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="+",
        db_constraint=False,  # users may lie in another database
    )
    by_name = models.CharField(_("by"), max_length=200, blank=True)
    at = models.DateTimeField(_("when"), default=timezone.now)

    class Meta:
        verbose_name = _("acknowledgement")
        verbose_name_plural = _("acknowledgements")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["endpoint", "reason", "status"], name="webhook_acknowledged_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.endpoint_id} {self.reason} {self.status or ''}".strip()
