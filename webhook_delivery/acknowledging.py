"""Keeps that somebody has seen to a group of dead letters, until it is empty or told again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import IntegrityError
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from webhook_delivery.clock import Now
from webhook_delivery.grouping import Failure
from webhook_delivery.locking import insist
from webhook_delivery.models import Acknowledgement, ConsoleAction, Delivery, Endpoint


def acknowledge(
    failure: Failure,
    *,
    by: Any = None,
    note: str = "",
    until: datetime | None = None,
    using: str,
) -> bool:
    """
    Keep that somebody has seen to a group, until it is empty, or until a moment before that.

    by: the user (or a name); note: what they say of it. Both are kept.
    Returns whether that is new: there is such a group, and it was not seen to just so.
    """

    def keep() -> bool:
        if not failure.dead(using=using).exists():
            return False
        before = _kept(failure, using).select_for_update().annotate(now=Now()).first()
        if before and before.until == until and (until is None or until > before.now):
            return False
        action = _record("snooze" if until else "acknowledge", failure, by, note, using)
        said = {"by_id": action.by_id, "by_name": action.by_name, "note": action.reason}
        if before:
            _kept(failure, using).update(until=until, at=Now(), **said)
        else:  # if another is faster, the constraint says so
            _create(failure, until, said, using)
        return True

    return _unless_another_did(keep, using)


def reopen(failure: Failure, *, by: Any = None, note: str = "", using: str) -> bool:
    """Tell of a group again at once. Returns whether somebody had seen to it."""

    def forget() -> bool:
        gone, _by_model = _kept(failure, using).filter(_in_force()).delete()
        if gone:
            _record("reopen", failure, by, note, using)
        return bool(gone)

    return insist(forget, using=using)


def resolve(*, using: str) -> int:
    """Forget who saw to groups that are empty, or to be told again: for the sweep; how many."""
    dead = Delivery.objects.using(using).dead().annotate(answer=Coalesce("last_status", 0))
    alike = dead.filter(
        endpoint=OuterRef("endpoint"), reason=OuterRef("reason"), answer=OuterRef("status")
    )
    kept = Acknowledgement.objects.using(using)
    return insist(lambda: kept.exclude(Exists(alike) & _in_force()).delete()[0], using=using)


def _kept(failure: Failure, using: str) -> QuerySet[Acknowledgement]:
    return Acknowledgement.objects.using(using).filter(**failure._asdict())


def _in_force() -> Q:
    return Q(until=None) | Q(until__gt=Now())


def _unless_another_did(work: Callable[[], bool], using: str) -> bool:
    """Two people at once: what the second would add is there already."""
    try:
        return insist(work, using=using)
    except IntegrityError:
        return False


def _create(
    failure: Failure, until: datetime | None, said: dict[str, Any], using: str
) -> Acknowledgement:
    return Acknowledgement.objects.using(using).create(
        endpoint_id=failure.endpoint,
        reason=failure.reason,
        status=failure.status,
        until=until,
        **said,
    )


def _record(verb: str, failure: Failure, by: Any, note: str, using: str) -> ConsoleAction:
    name = Endpoint.objects.using(using).values_list("name", flat=True).get(pk=failure.endpoint)
    about = f"{name}: {failure.reason} {failure.status or ''}".strip()
    return ConsoleAction.record(verb, [], by=by, reason=note, using=using, about=about)
