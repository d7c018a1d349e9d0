"""How endpoints have fared, hour by hour: added up from the log, so that nobody reads it whole."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from webhook_delivery.models.endpoint import Endpoint


class StatQuerySet(models.QuerySet["EndpointStat"]):
    def since(self, moment: datetime) -> Self:
        """Hours that began then or later."""
        return self.filter(hour__gte=moment)


class EndpointStat(models.Model):
    """The attempts of one endpoint that began in one hour. Only `rollups` writes it."""

    endpoint = models.ForeignKey(Endpoint, models.CASCADE, related_name="stats", db_index=False)
    hour = models.DateTimeField(_("hour"))
    delivered = models.PositiveIntegerField(_("delivered"), default=0)
    failed = models.PositiveIntegerField(_("failed"), default=0)
    """Attempts that did not deliver, the last ones of dead letters among them."""
    dead = models.PositiveIntegerField(_("dead"), default=0)
    """Attempts after which a delivery was dead."""
    durations = models.JSONField(_("durations"), default=list)
    """How many lasted how long, by `totals.BOUNDS`."""
    answers = models.JSONField(_("answers"), default=dict)
    """How many ended how: by HTTP status, or by fault."""

    objects = StatQuerySet.as_manager()

    class Meta:
        verbose_name = _("hour of an endpoint")
        verbose_name_plural = _("hours of endpoints")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "hour"], name="webhook_stat_once")
        ]
        indexes = [
            models.Index(
                fields=["hour", "endpoint", "delivered", "failed", "dead"],
                name="webhook_stat_sums_idx",
            )
        ]  # with all that is added up of many endpoints, so that the rows need not be read

    def __str__(self) -> str:
        return f"{self.endpoint_id} {self.hour:%Y-%m-%d %H:%M}"


class RollUp(models.Model):
    """The one row that says up to which attempt the log has been added up."""

    counted = models.BigIntegerField(default=0)
    """All attempts up to this number have been added."""
    seen = models.BigIntegerField(default=0)
    """The last that was there the time before: those up to it have been committed since."""
    seen_at = models.DateTimeField(null=True)
    """When that was."""
    totals = models.JSONField(default=dict, db_default={})
    """What these came to, as `totals` writes it: unlike the hours, it outlives endpoints."""

    class Meta:
        verbose_name = _("roll-up")
        verbose_name_plural = _("roll-ups")
        default_permissions = ()

    def __str__(self) -> str:
        return "roll-up"
