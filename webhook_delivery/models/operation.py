"""What runs the rest and is kept of it: the doorbell, how far walks came, and what people did."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Doorbell(models.Model):
    """The one row that says whether a drain is on its way, and when one last ran."""

    ringing = models.BooleanField(default=False)
    rung_at = models.DateTimeField(null=True)
    ringing_since = models.DateTimeField(null=True)
    """The first ring that no drain has answered; later rings move only `rung_at`."""
    alarm_at = models.DateTimeField(null=True)
    watched_until = models.DateTimeField(null=True)
    """Until when one drain stays for what falls due, so that no other need."""
    drained_at = models.DateTimeField(null=True)
    swept_at = models.DateTimeField(null=True)
    stand_ins = models.PositiveIntegerField(default=0)
    """How often in a row a drain did the work of a sweep that did not come."""
    untaken = models.PositiveIntegerField(default=0, db_default=0)
    """How many rings, since a task last began, were answered by a drain that is none."""

    class Meta:
        verbose_name = _("doorbell")
        verbose_name_plural = _("doorbells")
        default_permissions = ()

    def __str__(self) -> str:
        return "doorbell"


class Walk(models.Model):
    """How far retention has walked through the events, from the oldest on. Only `pruning` does."""

    name = models.CharField(max_length=20, primary_key=True)
    """What it looks for."""
    reached = models.UUIDField(null=True)
    """Events up to this one have been seen to, this time."""
    began_at = models.DateTimeField(default=timezone.now)
    """When it began with the oldest: it does so once a day, for those that were not ready then."""

    class Meta:
        verbose_name = _("walk")
        verbose_name_plural = _("walks")
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class ConsoleAction(models.Model):
    """What a person did, to how many deliveries, and why. Outlives the person."""

    verb = models.CharField(_("action"), max_length=20)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="+",
        db_constraint=False,  # users may lie in another database
    )
    by_name = models.CharField(_("by"), max_length=200, blank=True)
    about = models.CharField(_("about"), max_length=300, blank=True, db_default="")
    """What it was done to, in words that outlive it."""
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    count = models.PositiveIntegerField(_("deliveries"))
    deliveries = models.JSONField(_("delivery ids"), default=list)
    """The first hundred."""
    created_at = models.DateTimeField(_("when"), default=timezone.now)

    class Meta:
        verbose_name = _("console action")
        verbose_name_plural = _("console actions")

    def __str__(self) -> str:
        return f"{self.verb} × {self.count}"

    @classmethod
    def record(
        cls,
        verb: str,
        ids: Iterable[int],
        *,
        by: Any,
        reason: str,
        using: str,
        count: int | None = None,
        about: str = "",
    ) -> ConsoleAction:
        """
        Keep who did what to which deliveries; `by` is a user, a name, or None.

        count: how many they are to be, if it is not known yet which.
        about: what it is done to, if that is no delivery; cut to 300 characters.
        """
        ids = list(ids)
        user = by if isinstance(by, models.Model) else None
        return cls.objects.using(using).create(
            verb=verb,
            by_id=user and user.pk,
            by_name=str(by or "")[:200],
            about=about[:300],
            reason=reason[:200],
            count=len(ids) if count is None else count,
            deliveries=ids[:100],
        )
