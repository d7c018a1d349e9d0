"""Switches endpoints on, off or to paused, with what they are owed, and keeps who did it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connections

from webhook_delivery import doorbell, lifecycle, notifying
from webhook_delivery.clock import Now
from webhook_delivery.locking import can_skip, insist
from webhook_delivery.models import ConsoleAction, Delivery, DeliveryQuerySet, Endpoint, Lane
from webhook_delivery.signals import endpoint_disabled
from webhook_delivery.validation import validate_rate

LONGEST_PAUSE = timedelta(days=366)
"""So long may people pause, or let a failure rest; what is longer has no end."""
AT_ONCE = 5_000
"""How many strays one sweep moves at most: who sweeps may have requests in flight."""

State = Endpoint.State


@dataclass(frozen=True, slots=True)
class Switched:
    """What came of switching an endpoint."""

    changed: bool
    """False: it was so already."""
    moved: list[int] = field(default_factory=list)
    """The numbers of the deliveries that were held, or released."""


def switch_on(
    endpoint: int, *, using: str, by: Any = None, reason: str = "", rate: float | None = None
) -> Switched:
    """
    Switch on, and release what was held.

    by: the user who asks (or a name), who is then kept with the reason; None: nobody does.
    rate: how many requests a second it is sent at most from now on, if it is switched; None: as
        before.
    Raises ValidationError for no sensible rate.
    """
    validate_rate(rate)
    changed = _set(endpoint, State.ON, using, by=by, reason=reason, rate=rate)
    released = lifecycle.release(_owed(endpoint, using))
    doorbell.ring_on_commit(using=using)
    return Switched(changed, released)


def pause(
    endpoint: int,
    *,
    using: str,
    reason: str = "",
    by: Any = None,
    until: datetime | None = None,
) -> Switched:
    """
    Pause: what is pending, and what happens meanwhile, is held until it is switched on.

    until: when a sweep does that by itself (database time); None: a person has to, or of one that
        is paused already, as before.
    by: the user who asks (or a name), who is then kept with the reason; None: nobody does.
    """
    changed = _set(endpoint, State.PAUSED, using, by=by, reason=reason, until=until)
    return Switched(changed, hold_owed(endpoint, using=using))


def switch_off(endpoint: int, *, using: str, reason: str = "", by: Any = None) -> Switched:
    """
    Switch off: what is pending is held; what happens meanwhile is not delivered to it.

    by: the user who asks (or a name), who is then kept with the reason; None: nobody does.
    """
    changed = _set(endpoint, State.OFF, using, by=by, reason=reason)
    return Switched(changed, hold_owed(endpoint, using=using))


def would_switch(endpoint: Endpoint, state: Endpoint.State, until: datetime | None = None) -> bool:
    """Whether a person who wishes that would change anything; `_set` asks the same in SQL."""
    ends_else = until is not None and until != endpoint.resume_at
    return endpoint.state != state or endpoint.off_by_itself or ends_else


def mark_off(endpoint: int, *, using: str, reason: str, was: Endpoint.State | None = None) -> bool:
    """
    Switch off what no person did, and tell who listens; whether it was not off before.

    was: only if it is in that state. What it is owed is left to `hold_owed`, or to the sweep, for
    that may take longer.
    """

    def mark() -> bool:
        changed = _set(endpoint, State.OFF, using, was=was, reason=reason, itself=True)
        if changed:
            failing = Lane.objects.using(using).filter(pk=endpoint, failing_since__isnull=False)
            failing.filter(warned_at=None).update(warned_at=Now())
            notifying.of_endpoint(endpoint_disabled, endpoint, using=using, reason=reason)
        return changed

    return insist(mark, using=using)


def lock_free(endpoints: Collection[int], *, using: str) -> set[int]:
    """
    Lock those of the endpoints that nobody else has locked, for the transaction; wait for none.

    On MariaDB whoever publishes has those locked whom it concerns, until he commits: engines that
    waited for him would send nothing meanwhile. Where no key changes, publishing waits for nobody.
    """
    weaker = connections[using].features.has_select_for_no_key_update
    rows = Endpoint.objects.using(using).filter(pk__in=endpoints).order_by("pk")
    free = rows.select_for_update(skip_locked=can_skip(using), no_key=weaker)
    return set(free.values_list("pk", flat=True))


def hold_owed(endpoint: int, *, using: str, most: int | None = None) -> list[int]:
    """Hold what is pending for an endpoint that is not on, about so many; sweeps do the rest."""
    return lifecycle.hold(_owed(endpoint, using), most=most)


def resume_due(*, using: str) -> int:
    """
    Switch on what was paused until now; `settle_strays` releases what was held.

    Who is locked by others is left to the next sweep. Returns how many endpoints were switched.
    """
    paused = Endpoint.objects.using(using).filter(state=State.PAUSED, resume_at__lte=Now())
    ids = list(paused.values_list("pk", flat=True))
    on = {
        "state": State.ON,
        "state_reason": "",
        "resume_at": None,
        "off_by_itself": False,
        "updated_at": Now(),
    }

    def resume() -> int:
        free = lock_free(ids, using=using)
        _begin_anew(free, using)
        return paused.filter(pk__in=free).update(**on)

    return insist(resume, using=using) if ids else 0


def settle_strays(*, using: str) -> None:
    """Hold or release what was written while its endpoint was being switched."""
    on = Endpoint.objects.using(using).on().values("pk")
    deliveries = Delivery.objects.using(using)
    lifecycle.hold(deliveries.pending().exclude(endpoint__in=on), most=AT_ONCE)
    lifecycle.release(deliveries.held().filter(endpoint__in=on), most=AT_ONCE)


def _set(
    endpoint: int,
    state: Endpoint.State,
    using: str,
    *,
    reason: str = "",
    until: datetime | None = None,
    by: Any = None,
    was: Endpoint.State | None = None,
    itself: bool = False,
    rate: float | None = None,
) -> bool:
    """
    The endpoint, in a statement of its own: publishing must not wait for what it is owed.

    itself: no person wished it. Who wishes it later is kept: then only a person switches it on.
    """
    already: dict[str, Any] = {"state": state}
    already |= {} if itself else {"off_by_itself": False}
    already |= {} if until is None else {"resume_at": until}
    others = Endpoint.objects.using(using).filter(pk=endpoint).exclude(**already)
    others = others.filter(state=was) if was else others
    why = "" if state == State.ON else reason[:200]
    changes: dict[str, Any] = {"state_reason": why, "resume_at": until, "updated_at": Now()}
    changes |= {} if rate is None else {"rate_per_second": rate}

    def change() -> bool:
        changed = others.update(state=state, off_by_itself=itself, **changes)
        if changed and state == State.ON:
            _begin_anew([endpoint], using)
        if changed and by is not None:
            _record(state, endpoint, by, reason, using)
        return bool(changed)

    return insist(change, using=using)


def _begin_anew(endpoints: Collection[int], using: str) -> None:
    """
    Who is switched on has all the time again until it is switched off for failing.

    That people were told of it is kept: they are told as well when something arrives.
    """
    lanes = Lane.objects.using(using).filter(pk__in=endpoints, failing_since__isnull=False)
    lanes.update(failing_since=None, failed_at=None, failed_events=0)


def record(verb: str, endpoint: Endpoint, *, by: Any, reason: str = "", using: str) -> None:
    """Keep who did something to an endpoint, and why: a line that outlives both."""
    about = f"{endpoint.pk} ({endpoint})"
    ConsoleAction.record(verb, [], by=by, reason=reason, about=about, using=using)


def _record(state: Endpoint.State, endpoint: int, by: Any, reason: str, using: str) -> None:
    verb = {State.ON: "switch_on", State.PAUSED: "pause", State.OFF: "switch_off"}[state]
    named = Endpoint.objects.using(using).only("name").get(pk=endpoint)
    record(verb, named, by=by, reason=reason, using=using)


def _owed(endpoint: int, using: str) -> DeliveryQuerySet:
    return Delivery.objects.using(using).filter(endpoint=endpoint)
