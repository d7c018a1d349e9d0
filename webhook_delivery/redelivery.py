"""What a person does to deliveries: redeliver, discard, restore; and who did it, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from webhook_delivery import doorbell, lifecycle
from webhook_delivery.clock import Now
from webhook_delivery.erasing import why_hollow
from webhook_delivery.locking import insist
from webhook_delivery.models import ConsoleAction, Delivery, DeliveryQuerySet, Endpoint, Event


@dataclass(frozen=True, slots=True)
class Done:
    """
    What an act changed, and how many it left as they were.

    ids: the numbers of the deliveries that were changed; `count` is how many.
    asked: how many were asked for; `left` is how many of these stayed as they were.
    """

    ids: list[int]
    asked: int

    @property
    def count(self) -> int:
        return len(self.ids)

    @property
    def left(self) -> int:
        return self.asked - self.count


def redeliver(deliveries: DeliveryQuerySet, *, by: Any = None, reason: str = "") -> Done:
    """
    Send dead and delivered deliveries again: same id, same bytes, a fresh budget of attempts.

    by: the user who asks (or a name); it is kept.
    reason: why, which is kept too.

    What is waiting, held, discarded, being sent, owed to an endpoint that is not on, or of an event
    without its body stays as it is, and is counted in `left`.
    """
    return _act("redeliver", lifecycle.redeliver, deliveries, by, reason)


def discard(deliveries: DeliveryQuerySet, *, by: Any = None, reason: str = "") -> Done:
    """
    Hide dead letters, until `restore`. Whatever else there is among the deliveries is left.

    by: the user who asks (or a name); it is kept.
    reason: why, which is kept too.
    """
    return _act("discard", lifecycle.discard, deliveries, by, reason)


def restore(deliveries: DeliveryQuerySet, *, by: Any = None, reason: str = "") -> Done:
    """
    Bring discarded deliveries back among the dead letters; others are left.

    by: the user who asks (or a name); it is kept.
    reason: why, which is kept too.
    """
    return _act("restore", lifecycle.restore, deliveries, by, reason)


def retry_now(deliveries: DeliveryQuerySet, *, by: Any = None, reason: str = "") -> Done:
    """
    Bring the next automatic attempt forward of what waits for it; it spends no attempt more.

    by: the user who asks (or a name); it is kept.
    reason: why, which is kept too.
    """
    return _act("retry_now", lifecycle.retry_now, deliveries, by, reason)


def changeable(verb: str, deliveries: DeliveryQuerySet) -> DeliveryQuerySet:
    """
    Those that a verb would change if it were done now, for who asks before.

    verb: the name of one of the four above. Raises KeyError for another.
    """
    return _CHANGEABLE[verb](deliveries.on_primary())


def obstacle(delivery: Delivery) -> str:
    """Say why a delivery could not be redelivered now; empty if it could."""
    if delivery.state not in Delivery.REDELIVERABLE:
        return _("It is %(state)s; only what is dead or delivered can be redelivered.") % {
            "state": delivery.get_state_display()
        }
    if delivery.event.hollow:
        return why_hollow(delivery.event)
    if delivery.endpoint.state != Endpoint.State.ON:
        return _("%(endpoint)s is %(state)s; switch it on to redeliver.") % {
            "endpoint": delivery.endpoint,
            "state": delivery.endpoint.get_state_display(),
        }
    return ""


def message_of_redelivery(done: Done) -> str:
    """Say what a redelivery did, and why it left what it left, in words for the operator."""
    sent = ngettext(
        "%(count)s delivery will be sent again.",
        "%(count)s deliveries will be sent again.",
        done.count,
    )
    left = ngettext(
        "%(left)s was left: only what is dead or delivered can be, to an endpoint that is on, and "
        "while there is a body.",
        "%(left)s were left: only what is dead or delivered can be, to an endpoint that is on, and "
        "while there is a body.",
        done.left,
    )
    nothing = _(
        "Nothing was redelivered: only what is dead or delivered can be, "
        "to an endpoint that is on, and while there is a body."
    )
    return _message(done, sent, left, nothing)


def message_of_discarding(done: Done) -> str:
    """Say what a discard did, in words for the operator."""
    changed = ngettext(
        "%(count)s dead letter was discarded; it can be restored.",
        "%(count)s dead letters were discarded; they can be restored.",
        done.count,
    )
    left = ngettext(
        "%(left)s was left: only what is dead can be discarded.",
        "%(left)s were left: only what is dead can be discarded.",
        done.left,
    )
    return _message(done, changed, left, _("Nothing was discarded: only what is dead can be."))


def message_of_restoring(done: Done) -> str:
    """Say what a restore did, in words for the operator."""
    changed = ngettext(
        "%(count)s discarded delivery was restored; it is a dead letter again.",
        "%(count)s discarded deliveries were restored; they are dead letters again.",
        done.count,
    )
    left = ngettext(
        "%(left)s was left: only what is discarded can be restored.",
        "%(left)s were left: only what is discarded can be restored.",
        done.left,
    )
    return _message(done, changed, left, _("Nothing was restored: only what is discarded can be."))


def message_of_retrying(done: Done) -> str:
    """Say what bringing attempts forward did, in words for the operator."""
    changed = ngettext(
        "The next attempt of %(count)s delivery is due now.",
        "The next attempts of %(count)s deliveries are due now.",
        done.count,
    )
    left = ngettext(
        "%(left)s was left: only what waits for a later attempt can be brought forward, "
        "to an endpoint that is on.",
        "%(left)s were left: only what waits for a later attempt can be brought forward, "
        "to an endpoint that is on.",
        done.left,
    )
    nothing = _(
        "Nothing was brought forward: only what waits for a later attempt can be, "
        "and only to an endpoint that is on."
    )
    return _message(done, changed, left, nothing)


def _message(done: Done, changed: str, left: str, nothing: str) -> str:
    if not done.count:
        return nothing
    sentences = [changed, left] if done.left else [changed]
    return " ".join(sentences) % {"count": done.count, "left": done.left}


def _act(
    verb: str,
    change: Callable[[DeliveryQuerySet], list[int]],
    deliveries: DeliveryQuerySet,
    by: Any,
    reason: str,
) -> Done:
    rows = deliveries.on_primary()
    using = rows.db
    lifecycle.name_types(using=using)  # or what is asked for by type might be passed over

    def act() -> list[int]:
        ids = change(rows)
        if ids:
            ConsoleAction.record(verb, ids, by=by, reason=reason, using=using)
            doorbell.ring_on_commit(using=using)
        return ids

    asked = rows.count()
    return Done(insist(act, using=using), asked)


def _to_endpoints_that_are_on(rows: DeliveryQuerySet) -> DeliveryQuerySet:
    return rows.filter(endpoint__state=Endpoint.State.ON)


_CHANGEABLE: Mapping[str, Callable[[DeliveryQuerySet], DeliveryQuerySet]] = {
    "redeliver": lambda rows: _to_endpoints_that_are_on(rows).filter(
        state__in=Delivery.REDELIVERABLE, event__in=Event.objects.using(rows.db).whole()
    ),
    "discard": lambda rows: rows.dead(),
    "restore": lambda rows: rows.discarded(),
    "retry_now": lambda rows: _to_endpoints_that_are_on(rows).pending().filter(due_at__gt=Now()),
}
