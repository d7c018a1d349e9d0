"""What was answered to requests that carried an Idempotency-Key, so that it is answered again."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class KeptAnswer(models.Model):
    """One request that may be sent twice, and is done once."""

    digest = models.CharField(max_length=64, unique=True)
    """Of who asked, for what, and the key: SHA-256 in hex, which every collation tells apart."""
    fingerprint = models.CharField(max_length=64)
    """Of the body: with another one, the key means something else."""
    claim = models.UUIDField()
    """Of the process that does it; who takes over, after a crash, has another."""
    status = models.PositiveSmallIntegerField(null=True)
    """Of the answer; NULL: it is being done."""
    body = models.JSONField(default=dict)
    """The answer, without secrets."""
    created_at = models.DateTimeField(_("created"), default=timezone.now, db_index=True)

    class Meta:
        verbose_name = _("kept answer")
        verbose_name_plural = _("kept answers")
        default_permissions = ()

    def __str__(self) -> str:
        return f"answer {self.pk}"
