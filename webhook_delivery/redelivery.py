"""What a person does to deliveries: redeliver, discard, restore; and who did it, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from webhook_delivery import lifecycle, scheduling
from webhook_delivery.models import ConsoleAction, DeliveryQuerySet


@dataclass(frozen=True, slots=True)
class Done:
    """What an act changed, and how many it left as they were."""

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

    by: the user who asks (or a name); reason: why. Both are kept. What is waiting, held, discarded,
    being sent, or owed to an endpoint that is not on stays as it is, and is counted in `left`.
    """
    return _act("redeliver", lifecycle.redeliver, deliveries, by, reason)


def discard(deliveries: DeliveryQuerySet, *, by: Any = None, reason: str = "") -> Done:
    """Hide dead letters, until `restore` or retention."""
    return _act("discard", lifecycle.discard, deliveries, by, reason)


def restore(deliveries: DeliveryQuerySet, *, by: Any = None, reason: str = "") -> Done:
    """Bring discarded deliveries back among the dead letters."""
    return _act("restore", lifecycle.restore, deliveries, by, reason)


def message_of_redelivery(done: Done) -> str:
    """Say what a redelivery did, in words for the operator."""
    if not done.count:
        return _(
            "Nothing was redelivered: only what is dead or delivered can be, "
            "and only to an endpoint that is on."
        )
    return ngettext(
        "%(count)s delivery will be sent again.",
        "%(count)s deliveries will be sent again.",
        done.count,
    ) % {"count": done.count}


def _act(
    verb: str,
    change: Callable[[DeliveryQuerySet], list[int]],
    deliveries: DeliveryQuerySet,
    by: Any,
    reason: str,
) -> Done:
    using = deliveries.db
    asked = deliveries.count()
    with transaction.atomic(using=using):
        ids = change(deliveries)
        if ids:
            ConsoleAction.record(verb, ids, by=by, reason=reason, using=using)
            scheduling.ring_on_commit(using=using)
    return Done(ids, asked)
