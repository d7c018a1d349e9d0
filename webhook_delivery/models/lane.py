"""What drains must agree on about an endpoint: its failures in a row, its pauses, its pace."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from webhook_delivery.clock import Now
from webhook_delivery.models.endpoint import Endpoint
from webhook_delivery.pacing import BURST_SECONDS, Traffic


class LaneQuerySet(models.QuerySet["Lane"]):
    def blocked(self) -> Self:
        """Those of endpoints that may be sent nothing now."""
        return self.filter(_blocked())

    def choked(self) -> Self:
        """Those, and the ones of which the breaker lets one probe through at a time."""
        return self.filter(_blocked() | Q(openings__gt=0))


def _blocked() -> Q:
    """They are blocked, or their rate is used up."""
    ahead = Now() + timedelta(seconds=BURST_SECONDS)
    return Q(blocked_until__gt=Now()) | Q(paced_until__gt=ahead)


class Lane(models.Model):
    """
    The way to one endpoint. Whoever claims for the endpoint locks its lane first.

    A table of its own, because publishing locks endpoints: their foreign keys do.
    """

    endpoint = models.OneToOneField(
        Endpoint, models.CASCADE, primary_key=True, related_name="lane", verbose_name=_("endpoint")
    )
    failures = models.PositiveIntegerField(_("failures in a row"), default=0)
    openings = models.PositiveIntegerField(_("openings of the breaker in a row"), default=0)
    blocked_until = models.DateTimeField(_("blocked until"), null=True, blank=True, db_index=True)
    """Nothing is claimed before: the breaker is open, or the receiver asked for a pause."""
    paced_until = models.DateTimeField(_("paced until"), null=True, blank=True, db_index=True)
    """Up to when the requests begun have used up what the rate allows."""
    failing_since = models.DateTimeField(_("failing since"), null=True, blank=True, db_index=True)
    """When the first attempt failed that no success has followed; NULL: the last one arrived."""
    failed_at = models.DateTimeField(_("failed last"), null=True, blank=True)
    failed_events = models.PositiveIntegerField(_("events that failed"), default=0, db_default=0)
    """Of how many events attempts have failed since then."""
    warned_at = models.DateTimeField(_("warned"), null=True, blank=True)
    """When it was told that it fails for long; NULL: it was not."""

    objects = LaneQuerySet.as_manager()

    class Meta:
        verbose_name = _("lane")
        verbose_name_plural = _("lanes")
        default_permissions = ()

    def __str__(self) -> str:
        return f"lane {self.pk}"

    @property
    def traffic(self) -> Traffic:
        return Traffic(**{each.name: getattr(self, each.name) for each in fields(Traffic)})
