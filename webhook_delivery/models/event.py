"""Something that happened, with the bytes that tell it."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from django.db import models
from django.db.models import Exists, OuterRef
from django.db.models.functions import Left
from django.db.models.lookups import Exact
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from webhook_delivery.references import references_of
from webhook_delivery.searching import LONGEST

if TYPE_CHECKING:
    from webhook_delivery.models.delivery import DeliveryQuerySet

MYPY = False
"""True for mypy only: checkers without Django's plugin have to be told what Django adds."""

PREFIX = "evt_"


def new_event_id() -> uuid.UUID:
    """Make a UUID version 7 (RFC 9562 §5.7): unguessable, and ordered by time for the index."""
    when = time.time_ns() // 1_000_000 << 80
    version, variant = 0x7 << 76, 0b10 << 62
    return uuid.UUID(
        int=when | version | secrets.randbits(12) << 64 | variant | secrets.randbits(62)
    )


def first_at(moment: datetime) -> uuid.UUID:
    """The least id that an event of that moment can have: ids are in the order of time."""
    when = max(0, int(moment.timestamp() * 1000)) << 80
    return uuid.UUID(int=when | 0x7 << 76 | 0b10 << 62)


def webhook_id(event: uuid.UUID) -> str:
    return f"{PREFIX}{event.hex}"


def event_of(text: str) -> uuid.UUID | None:
    """Read an event's id out of a `webhook-id`, with or without its prefix."""
    try:
        return uuid.UUID(text.removeprefix(PREFIX))
    except ValueError:
        return None


class EventQuerySet(models.QuerySet["Event"]):
    def about(self, *about: models.Model | str) -> Self:
        """Events about any of these: rows of your own models, or their references."""
        return self.filter(source__in=references_of(about))

    def of_type(self, pattern: str) -> Self:
        """Events of one type, or of all that `order.*` or `*` covers."""
        if pattern == "*":
            return self.all()
        if not pattern.endswith(".*"):
            return self.filter(event_type=pattern)
        prefix = pattern[:-1]
        return self.filter(event_type__startswith=prefix).filter(
            Exact(Left("event_type", len(prefix)), prefix)
        )  # the second filter, because LIKE ignores case on SQLite

    def for_tenant(self, tenant: str) -> Self:
        """Published for this tenant; empty: for none."""
        return self.filter(tenant=tenant)

    def since(self, moment: datetime) -> Self:
        """Published then or later."""
        return self.filter(created_at__gte=moment)

    def whole(self) -> Self:
        """Those that still have their bodies; of others there is nothing to send."""
        return self.filter(pruned_at=None, erased_at=None)

    def undelivered(self) -> Self:
        """Owed to somebody whom they have not reached: waiting, held or dead, and not discarded."""
        owed: Any = self.model._meta.get_field("deliveries").related_model
        ended = [owed.State.DELIVERED, owed.State.DISCARDED]
        open_ = owed.objects.filter(event=OuterRef("pk")).exclude(state__in=ended)
        return self.filter(Exists(open_))


class Event(models.Model):
    """Something that happened, with the bytes that tell it."""

    if TYPE_CHECKING and not MYPY:
        deliveries: DeliveryQuerySet

    id = models.UUIDField(primary_key=True, default=new_event_id, editable=False)
    """In the order of time, and not to be guessed; receivers see it as `webhook_id`."""
    event_type = models.CharField(_("event type"), max_length=200)
    tenant = models.CharField(_("tenant"), max_length=100, blank=True)
    """Whose it is: only endpoints of the same tenant are owed it; empty: of those for none."""
    idempotency_key = models.CharField(_("idempotency key"), max_length=200, null=True, blank=True)  # noqa: DJ001 - NULL is never equal, so it may repeat
    """What makes a second event of the same tenant be this one; NULL: nothing does."""
    key = models.CharField(_("ordering key"), max_length=200, blank=True)
    """Events of one key reach each endpoint in order; empty: in no order."""
    content_type = models.CharField(_("content type"), max_length=100, default="application/json")
    body = models.BinaryField(_("body"))
    """The bytes that each attempt sends and signs; empty once they were removed."""
    source = models.CharField(_("source object"), max_length=200, blank=True)
    """What it is about, as `references` names rows: `shop.order:7`."""
    created_at = models.DateTimeField(_("happened"), default=timezone.now)
    deliver_at = models.DateTimeField(_("not before"), null=True, blank=True)
    """No first attempt begins before then, unless a person asks for it; NULL: at once."""
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    """No attempt begins after that, unless a person asks for it; NULL: whenever."""
    targeted = models.BooleanField(_("targeted"), default=False, db_default=False)
    """It was for endpoints that were named, and for no other that hears of its type."""
    traceparent = models.CharField(_("trace"), max_length=55, blank=True, default="", db_default="")
    """What W3C's Trace Context says of the span that published it; empty: none did."""

    pruned_at = models.DateTimeField(_("body removed"), null=True, blank=True)
    """When retention emptied its body. What is left keeps its idempotency key from being used for
    a second event."""
    erased_at = models.DateTimeField(_("body erased"), null=True, blank=True)
    """When a person had its body erased. Only `erasing` writes it."""

    targets: Collection[int] = ()
    """Those endpoints, while it is being published; no column."""

    objects = EventQuerySet.as_manager()

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "idempotency_key"], name="webhook_event_idempotency"
            )
        ]
        indexes = [
            models.Index(fields=["event_type", "created_at"], name="webhook_event_type"),
            models.Index(fields=["source"], name="webhook_event_source_idx"),
        ]
        permissions = [
            ("view_payload", _("Can see bodies, headers and answers")),
            ("erase_event", _("Can erase the bodies of events")),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.webhook_id}"

    @property
    def webhook_id(self) -> str:
        """The `webhook-id` every attempt carries."""
        return webhook_id(self.pk)

    @property
    def hollow(self) -> bool:
        """Whether its body is gone, so that nobody can be sent it any more."""
        return self.pruned_at is not None or self.erased_at is not None


class SearchKey(models.Model):
    """One value out of an event's body, by which people look for it: `order_id` is `7`."""

    event = models.ForeignKey(Event, models.CASCADE, related_name="search_keys")
    key = models.CharField(_("key"), max_length=50)
    value = models.CharField(_("value"), max_length=LONGEST)

    class Meta:
        verbose_name = _("search key")
        verbose_name_plural = _("search keys")
        default_permissions = ()
        indexes = [models.Index(fields=["key", "value", "event"], name="webhook_search_key_idx")]

    def __str__(self) -> str:
        return f"{self.key}:{self.value}"

    @classmethod
    def events_with(cls, key: str, value: str) -> models.QuerySet[SearchKey, uuid.UUID]:
        """The ids of the events that have it, for `event__in`."""
        return cls.objects.filter(key=key, value=value).values_list("event", flat=True)
