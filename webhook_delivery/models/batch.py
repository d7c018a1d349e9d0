"""A redelivery of many: what was chosen, how fast it goes, how far it is, and who wanted it."""

from __future__ import annotations

from typing import Self

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from webhook_delivery.clock import Now, seconds_until_first


class BatchQuerySet(models.QuerySet["RedeliveryBatch"]):
    def running(self) -> Self:
        """Those that send: neither paused, cancelled nor done."""
        return self.filter(state=RedeliveryBatch.State.RUNNING)

    def unfinished(self) -> Self:
        """Those that run, and those that may go on."""
        return self.filter(state__in=RedeliveryBatch.UNFINISHED)

    def due(self) -> Self:
        """Running, and to be fed now."""
        return self.running().filter(due_at__lte=Now())

    def first_due_in(self) -> float | None:
        """Seconds until one of these is to be fed, negative if past; None if none is."""
        return seconds_until_first(self.running(), "due_at")


class RedeliveryBatch(models.Model):
    """Many deliveries that a person sends again. Only `batches` and `pump` change it."""

    class State(models.TextChoices):
        RUNNING = "running", _("running")
        PAUSED = "paused", _("paused")
        GUARDED = "guarded", _("paused itself")
        CANCELLED = "cancelled", _("cancelled")
        DONE = "done", _("done")

    class Kind(models.TextChoices):
        AGAIN = "again", _("sends again")
        MISSED = "missed", _("creates what was never made")

    UNFINISHED = (State.RUNNING, State.PAUSED, State.GUARDED)

    kind = models.CharField(
        _("kind"), max_length=10, choices=Kind, default=Kind.AGAIN, db_default=Kind.AGAIN
    )
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.RUNNING)
    state_reason = models.CharField(_("why"), max_length=200, blank=True)
    selection = models.JSONField(_("selection"))
    """The filters, by name, as `selecting` reads them."""
    cutoff = models.BigIntegerField(_("last delivery"))
    """No delivery with a higher number is sent: it was not there when this was asked for."""
    cursor = models.BigIntegerField(_("reached"), default=0)
    """All up to this number have been seen to."""
    event_cutoff = models.UUIDField(_("last event"), null=True, blank=True)
    event_cursor = models.UUIDField(_("reached event"), null=True, blank=True)
    """The same two, if it walks through events instead: to create what was missed."""
    expected = models.PositiveIntegerField(_("chosen"))
    """How many there were to be sent, counted up to a limit."""
    sent = models.PositiveIntegerField(_("sent"), default=0)
    left = models.PositiveIntegerField(_("left"), default=0)
    """How many could not be sent again when their turn came."""
    rate_per_second = models.FloatField(_("per second"), null=True, blank=True)
    """At most so many; NULL: as fast as their endpoints' own limits allow."""
    canary = models.PositiveSmallIntegerField(_("first"), default=0)
    """So many are sent first; if all of them fail, it pauses itself."""
    stop_above = models.PositiveSmallIntegerField(_("stop above percent"), null=True, blank=True)
    """If more of the last hundred fail, it pauses itself."""
    once = models.BooleanField(_("one attempt each"), default=True)
    """Whether what fails is a dead letter again at once, instead of being retried."""
    token = models.UUIDField(null=True, unique=True, editable=False)
    """Of the question that it answers: to answer it twice begins one."""
    due_at = models.DateTimeField(_("due"), default=timezone.now)
    """When it is to be fed next."""
    watched_from = models.BigIntegerField(default=0)
    """Only what was sent after this entry of the log tells whether it must pause itself."""
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="+",
        db_constraint=False,  # users may lie in another database
    )
    by_name = models.CharField(_("by"), max_length=200, blank=True)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    objects = BatchQuerySet.as_manager()

    class Meta:
        verbose_name = _("redelivery")
        verbose_name_plural = _("redeliveries")
        default_permissions = ("view",)
        permissions = [
            ("bulk_redeliver_delivery", _("Can redeliver many at once")),
            ("redeliver_unfiltered", _("Can redeliver everything, without any filter")),
        ]
        indexes = [models.Index(fields=["state", "due_at"], name="webhook_batch_due_idx")]

    def __str__(self) -> str:
        return _("redelivery %(pk)s") % {"pk": self.pk}

    @property
    def seen_to(self) -> int:
        """How many have been sent, or had to be left."""
        return self.sent + self.left

    @property
    def whole(self) -> int:
        """How many there are in all: more than were counted, if it has seen to more."""
        return max(self.expected, self.seen_to)
