"""Erases for good what an event said: its body, its search keys, and what answers repeated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import router
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from webhook_delivery import lifecycle
from webhook_delivery.clock import Now
from webhook_delivery.locking import insist
from webhook_delivery.models import Attempt, ConsoleAction, Delivery, Event, SearchKey


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure took, or would take."""

    bytes: int
    """How long the body was."""
    search_keys: int
    """How many values there were by which it could be found."""
    excerpts: int
    """Of how many attempts the starts of the answers were kept."""
    ended: int
    """How many deliveries were still to be made, and are dead now."""
    sending: int
    """How many are being sent at this moment: these cannot be called back."""


def erase(event: Event, *, by: Any = None, reason: str = "", using: str | None = None) -> Erased:
    """
    Empty the event's body for good; nothing of it can be sent any more, nor sent again.

    The row stays, with its type, tenant, keys, source, and moments: a second event with the same
    idempotency key is still none. Its search keys are deleted, and of its attempts the starts of
    the answers, which may repeat the body. What was still to be delivered is dead, as `erased`.

    by: the user who asks (or a name); reason: why. Both are kept, with when.
    using: the database; default: where the router writes events.
    """
    using = using or router.db_for_write(Event)

    def act() -> Erased:
        _wait_for_answers(event, using)
        Event.objects.using(using).filter(pk=event.pk).update(body=b"", erased_at=Now())
        ids = lifecycle.end_erased(event, using=using)
        done = Erased(
            bytes=found.bytes,
            search_keys=_search_keys(event, using).delete()[0],
            excerpts=_excerpts(event, using).update(excerpt=b""),
            ended=len(ids),
            sending=_owed(event, using).sending().count(),
        )
        about = event.webhook_id
        ConsoleAction.record("erase", ids, by=by, reason=reason, about=about, using=using)
        return done

    found = preview(event, using=using)
    return insist(act, using=using)


def preview(event: Event, *, using: str | None = None) -> Erased:
    """Say what an erasure would take; nothing is changed."""
    using = using or router.db_for_write(Event)
    body = Event.objects.using(using).values_list("body", flat=True).get(pk=event.pk)
    owed = _owed(event, using)
    return Erased(
        bytes=len(body),
        search_keys=_search_keys(event, using).count(),
        excerpts=_excerpts(event, using).count(),
        ended=(owed.pending() | owed.held()).count(),
        sending=owed.sending().count(),
    )


def message_of_erasing(done: Erased) -> str:
    """Say what was erased, in words for the operator."""
    said = _(
        "Its body is erased: %(bytes)s bytes, %(keys)s search keys, and the starts of %(excerpts)s "
        "answers."
    ) % {"bytes": done.bytes, "keys": done.search_keys, "excerpts": done.excerpts}
    ended = ngettext(
        "%(count)s delivery that was still to be made is dead.",
        "%(count)s deliveries that were still to be made are dead.",
        done.ended,
    )
    sending = ngettext(
        "%(count)s is being sent at this moment, and cannot be called back.",
        "%(count)s are being sent at this moment, and cannot be called back.",
        done.sending,
    )
    parts = [said]
    parts += [ended % {"count": done.ended}] if done.ended else []
    parts += [sending % {"count": done.sending}] if done.sending else []
    return " ".join(parts)


def why_hollow(event: Event) -> str:
    """Say why nothing of an event can be sent any more; empty if it can."""
    if event.erased_at is not None:
        return _("Its event's body was erased, so there is nothing left to send.")
    if event.pruned_at is not None:
        return _("Its event's body was removed when its time was over, so nothing is left to send.")
    return ""


def _owed(event: Event, using: str) -> Any:
    return Delivery.objects.using(using).filter(event=event.pk)


def _wait_for_answers(event: Event, using: str) -> None:
    """Whoever is recording an answer ends first; whoever records one later sees the erasure."""
    list(_owed(event, using).order_by("pk").select_for_update().values_list("pk"))


def _search_keys(event: Event, using: str) -> Any:
    return SearchKey.objects.using(using).filter(event=event.pk)


def _excerpts(event: Event, using: str) -> Any:
    """Those that there are: an empty one says nothing."""
    return Attempt.objects.using(using).filter(delivery__event=event.pk).exclude(excerpt=b"")
