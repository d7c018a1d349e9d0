"""What drains must agree on about an endpoint: its failures in a row, its pauses, its pace."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Greatest, Least
from django.utils.translation import gettext_lazy as _

from webhook_delivery.clock import FromNow, Now
from webhook_delivery.conf import settings
from webhook_delivery.models.endpoint import Endpoint
from webhook_delivery.pacing import BURST_SECONDS, FASTEST, LEEWAY_SECONDS, SLOWEST, Traffic

CENTURY = 36_525 * 86_400
"""So many seconds every database can add to a moment; a setting may be endless."""


def longest_pause() -> float:
    """How many seconds a breaker may stay open, or a receiver that asks for it be left alone."""
    return min(settings.BREAKER_MAX_SECONDS, CENTURY)


def blocked(path: str = "") -> Q:
    """The lanes on which nothing may be sent now, as `Traffic.blocked`; the path leads to them."""
    return Q(**{f"{path}blocked_until__gt": Now()}) & pause_is_believed(path)


def paced() -> Q:
    """The lanes on which the rate lets nothing go now, as `allowance` says."""
    return Q(paced_until__gt=Now() + timedelta(seconds=BURST_SECONDS)) & pace_is_believed()


def pause_is_believed(path: str = "") -> Q:
    """The lanes with a pause that a clock may have set that was right, as `believed` says."""
    longest = timedelta(seconds=longest_pause() + LEEWAY_SECONDS)
    return Q(**{f"{path}blocked_until__lte": Now() + longest})


def pace_is_believed() -> Q:
    """The same of the pace: it is no further ahead than `furthest` of a `sensible` rate."""
    rate = Least(Greatest(F("endpoint__rate_per_second"), SLOWEST), FASTEST)
    longest = Value(BURST_SECONDS + LEEWAY_SECONDS) + Value(1.0) / rate
    limited = Q(endpoint__rate_per_second__isnull=False)
    return limited & Q(paced_until__lte=FromNow(longest))


def warned(path: str = "") -> Q:
    """The lanes that people were told of, as `ailing.told_at`; the path leads to them."""
    return Q(**{f"{path}warned_at__gte": F(f"{path}failing_since")})


def end_of_pause(path: str) -> Case:
    """`blocked_until`, past or to come; NULL, if it is not believed. The path leads to the lane."""
    return Case(When(pause_is_believed(path), then=F(f"{path}blocked_until")))


class LaneQuerySet(models.QuerySet["Lane"]):
    def choked(self) -> Self:
        """Those that may be sent nothing now, or one probe at a time."""
        return self.filter(blocked() | paced() | Q(openings__gt=0))


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
    """When people were told that it fails, or that it was switched off; NULL: they were not, or
    something has arrived since."""

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
