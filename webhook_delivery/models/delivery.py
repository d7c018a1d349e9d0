"""What is owed to whom, and the words to ask for it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Self

from django.db import connections, models, router
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from webhook_delivery.clock import Now, seconds_until_first
from webhook_delivery.models.asking import DeliverySentences, moment, only, sentence
from webhook_delivery.models.endpoint import Endpoint
from webhook_delivery.models.event import Event, SearchKey, event_of
from webhook_delivery.outcomes import Fault
from webhook_delivery.references import number_in

if TYPE_CHECKING:
    import uuid

    from webhook_delivery.models.log import Attempt, Transition

MYPY = False
"""True for mypy only: checkers without Django's plugin have to be told what Django adds."""


class DeliveryQuerySet(DeliverySentences, models.QuerySet["Delivery"]):
    def pending(self) -> Self:
        """Waiting for an attempt, the first or another."""
        return self.filter(state=Delivery.State.PENDING)

    def pending_by_index(self) -> Self:
        """Pending, to be sorted by state first: MySQL reads only in a range what is asked for."""
        range_ = dict.fromkeys(("state__gte", "state__lte"), Delivery.State.PENDING)
        return self.filter(**range_) if connections[self.db].vendor == "mysql" else self.pending()

    def sending(self) -> Self:
        """Claimed by a worker, which sends them or is about to."""
        return self.filter(state=Delivery.State.SENDING)

    @sentence("state", lambda: "delivered")
    def delivered(self) -> Self:
        """Those that have arrived."""
        return self.filter(state=Delivery.State.DELIVERED)

    @sentence("state", lambda: "dead")
    def dead(self) -> Self:
        """Dead letters: not attempted again unless a person acts."""
        return self.filter(state=Delivery.State.DEAD)

    def discarded(self) -> Self:
        """Dead letters that were hidden."""
        return self.filter(state=Delivery.State.DISCARDED)

    def held(self) -> Self:
        """Kept, not sent, while their endpoints are not on."""
        return self.filter(state=Delivery.State.HELD)

    def due(self) -> Self:
        """Waiting, and their time has come."""
        return self.waiting().filter(due_at__lte=Now())

    def later(self) -> Self:
        """Waiting for their time to come, or for their turn in a sequence; each has its index."""
        in_turn = models.Q(due_at=None, sequence__isnull=False)
        return self.waiting().filter(models.Q(due_at__gt=Now()) | in_turn)

    def fallen_due(self) -> Self:
        """Pending, and their time has come, whatever their endpoints are."""
        return self.pending().filter(due_at__lte=Now())

    def stuck(self) -> Self:
        """Claimed by a worker whose lease has ended."""
        return self.sending().filter(due_at__lte=Now())

    def waiting(self) -> Self:
        """To be attempted when their time comes: pending, and the endpoint is on."""
        on = Endpoint.objects.on().values("pk")  # of whichever database they are read from then
        return self.pending().filter(endpoint__in=on)

    def first_due_in(self) -> float | None:
        """Seconds until the first `due_at` of these, negative if past; None if none has one."""
        return seconds_until_first(self, "due_at")

    def unfinished(self) -> Self:
        """Pending, sending or held: neither delivered, dead nor discarded."""
        return self.exclude(state__in=Delivery.TERMINAL)

    @sentence("endpoint", lambda endpoint: endpoint.pk)
    def for_endpoint(self, endpoint: Endpoint) -> Self:
        """Owed to this endpoint."""
        return self.filter(endpoint=endpoint)

    def on_primary(self) -> Self:
        """The same rows where they can be changed: a router may read from a replica."""
        return self.using(self._db or router.db_for_write(self.model, **self._hints))  # type: ignore[attr-defined]

    def named(self, *names: str) -> Self:
        """Deliveries by their number, or by the `webhook-id` that receivers saw."""
        numbers = [number for name in names if (number := number_in(name)) is not None]
        events = [event for name in names if (event := event_of(name))]
        return self.filter(models.Q(pk__in=numbers) | models.Q(event__in=events))

    @sentence("since", moment)
    def since(self, moment: datetime) -> Self:
        """Created then or later."""
        return self.filter(created_at__gte=moment)

    @sentence("event_type")
    def of_type(self, pattern: str) -> Self:
        """Deliveries of one event type, or of all that `order.*` or `*` covers."""
        if pattern == "*":
            return self
        if pattern.endswith(".*"):
            return self._with_types_that_begin(pattern[:-1])
        return self.filter(event_type=pattern)

    def _with_types_that_begin(self, begin: str) -> Self:
        """By index: on PostgreSQL a language may order them, elsewhere LIKE may ignore case."""
        if connections[self.db].vendor == "postgresql":
            return self.filter(event_type__startswith=begin)
        return self.filter(event_type__gte=begin, event_type__lt=f"{begin[:-1]}/")

    def with_key(self, key: str, value: str) -> Self:
        """Deliveries of the events that can be searched for by this value of a search key."""
        return self.filter(event__in=SearchKey.events_with(key, value))

    @sentence("reason", only)
    def because(self, *faults: Fault | str) -> Self:
        """Those whose last attempt failed of one of these."""
        return self.filter(reason__in=faults)

    def failing_of(self, fault: Fault | str) -> Self:
        """The same, among all states: by the index of failures, which MySQL cannot have."""
        rows = self.because(fault)
        if connections[self.db].features.supports_partial_indexes:
            return rows.filter(reason__gt="")
        return rows.filter(state__in=Delivery.UNDELIVERED)


class Delivery(models.Model):
    """One event owed to one endpoint. Only `lifecycle` changes its state."""

    if TYPE_CHECKING and not MYPY:
        id: int
        event_id: uuid.UUID
        endpoint_id: int
        objects: ClassVar[DeliveryQuerySet]
        attempts: models.QuerySet[Attempt]
        transitions: models.QuerySet[Transition]

    class State(models.TextChoices):
        PENDING = "pending", _("pending")
        SENDING = "sending", _("sending")
        DELIVERED = "delivered", _("delivered")
        DEAD = "dead", _("dead")
        DISCARDED = "discarded", _("discarded")
        HELD = "held", _("held")

    class Trigger(models.TextChoices):
        SCHEDULE = "schedule", _("automatic")
        REDELIVERY = "redelivery", _("redelivery")
        ONCE = "once", _("redelivery, once")
        TEST = "test", _("test")

    TERMINAL = (State.DELIVERED, State.DEAD, State.DISCARDED)
    UNDELIVERED = (State.PENDING, State.SENDING, State.HELD, State.DEAD, State.DISCARDED)
    """Where failures are looked for: what was delivered is most of the table, and has no reason."""
    REDELIVERABLE = (State.DEAD, State.DELIVERED)

    event = models.ForeignKey(
        Event, models.CASCADE, related_name="deliveries", db_index=False, verbose_name=_("event")
    )
    endpoint = models.ForeignKey(
        Endpoint,
        models.PROTECT,
        related_name="deliveries",
        db_index=False,
        verbose_name=_("endpoint"),
    )
    event_type = models.CharField(
        _("event type"), max_length=200, blank=True, default="", db_default=""
    )
    """That of its event, which never changes: lists need not look at the events. Empty: written
    by who had not been upgraded yet; `lifecycle.name_types` completes it."""
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.PENDING)
    due_at = models.DateTimeField(_("due"), null=True, blank=True)
    """When to attempt next; while sending, when the claim's lease ends; else NULL: of a pending
    one, that it waits for its turn in its sequence."""
    sequence = models.BigIntegerField(_("sequence"), null=True, blank=True)
    """One after the other: what is owed to one endpoint with the same sequence. NULL: in none."""
    claim = models.UUIDField(_("claim"), null=True, blank=True)
    """The token of the worker that is sending; a settle needs it."""
    trigger = models.CharField(
        _("trigger"), max_length=10, choices=Trigger, default=Trigger.SCHEDULE
    )
    format = models.CharField(
        _("format"),
        max_length=10,
        choices=Endpoint.Format,
        default=Endpoint.Format.STANDARD,
        db_default=Endpoint.Format.STANDARD,  # who has not been upgraded yet writes none
    )
    """As its endpoint wished it when the event happened: each attempt sends the same bytes."""
    attempts_made = models.PositiveIntegerField(_("attempts"), default=0)
    """How many were claimed, whether they have ended or not."""
    attempts_forgiven = models.PositiveIntegerField(_("attempts forgiven"), default=0)
    """How many do not count against the budget: those before the last redelivery, or deferred."""
    last_status = models.PositiveSmallIntegerField(_("last status"), null=True, blank=True)
    """Of the answer to the last attempt; NULL: none came."""
    reason = models.CharField(_("reason"), max_length=20, blank=True)
    """The fault of the last attempt, as `outcomes.Fault` names it."""
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    """When it was delivered, or became dead; NULL: it has not ended."""

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        permissions = [
            ("redeliver_delivery", _("Can redeliver")),
            ("discard_delivery", _("Can discard and restore dead letters")),
            ("export_delivery", _("Can export deliveries")),
        ]
        constraints = [
            models.UniqueConstraint(fields=["event", "endpoint"], name="webhook_delivery_once")
        ]
        indexes = [
            models.Index(fields=["state", "due_at"], name="webhook_delivery_due_idx"),
            models.Index(fields=["endpoint", "state", "due_at"], name="webhook_delivery_lane_idx"),
            models.Index(fields=["created_at"], name="webhook_delivery_created_idx"),
            models.Index(
                fields=["event_type", "state", "ended_at", "endpoint"],
                name="webhook_delivery_type_idx",
                opclasses=["varchar_pattern_ops", "", "", ""],
            ),  # the first, so that PostgreSQL finds `order.*` by it
        ]

    def __str__(self) -> str:
        return _("delivery %(pk)s") % {"pk": self.pk}

    @property
    def attempts_in_run(self) -> int:
        """Attempts made since publishing, or since the last redelivery, that count."""
        return self.attempts_made - self.attempts_forgiven
