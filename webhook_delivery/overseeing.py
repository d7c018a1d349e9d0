"""Warns of endpoints that have failed for long, and switches off those that have for days."""

from __future__ import annotations

from datetime import UTC, timedelta
from functools import partial

from webhook_delivery import endpoints, notifying
from webhook_delivery.ailing import FEWEST_EVENTS, Limits, Step, due
from webhook_delivery.clock import Now
from webhook_delivery.conf import settings
from webhook_delivery.locking import insist
from webhook_delivery.logs import log_of
from webhook_delivery.models import Endpoint, Lane
from webhook_delivery.signals import endpoint_warned

logger = log_of(__name__)

AT_ONCE = 100
"""So many are warned of, or switched off, by one sweep; the next goes on."""


def limits() -> Limits:
    return Limits(settings.WARN_AFTER_SECONDS, settings.DISABLE_AFTER_SECONDS)


def oversee(*, using: str) -> int:
    """
    Do what is due about those that fail, about so many; returns how many that were.

    Each in a transaction of its own, by comparing and setting: two sweeps at once do it once.
    """
    steps = {Step.WARN: _warn, Step.SWITCH_OFF: _switch_off}
    found = [lane for lane in _failing(using) if due(lane.traffic, limits()) in steps][:AT_ONCE]
    acts = ((steps[due(lane.traffic, limits())], lane) for lane in found)
    return sum(insist(partial(act, lane, using), using=using) for act, lane in acts)


def _failing(using: str) -> list[Lane]:
    """The lanes of endpoints that are on, and that something may be due about."""
    spans = [seconds for seconds in (limits().warn_after, limits().disable_after) if seconds]
    if not spans:
        return []
    since = Now() - timedelta(seconds=min(spans))
    lanes = Lane.objects.using(using).filter(failing_since__lte=since)
    on = lanes.filter(failed_events__gte=FEWEST_EVENTS, endpoint__state=Endpoint.State.ON)
    return list(on.order_by("failing_since", "pk"))


def _warn(lane: Lane, using: str) -> bool:
    same = Lane.objects.using(using).filter(pk=lane.pk, failing_since=lane.failing_since)
    if not same.filter(warned_at=lane.warned_at).update(warned_at=Now()):
        return False
    said = "Endpoint %s is %s: it may be switched off"
    logger.warning(said, lane.pk, _since(lane), extra={"endpoint": lane.pk})
    told = {"failing_since": lane.failing_since}
    notifying.of_endpoint(endpoint_warned, lane.pk, using=using, **told)
    return True


def _switch_off(lane: Lane, using: str) -> bool:
    """
    Its lane is locked first, as by who settles: what arrives just now keeps it on.

    Who settles waits for the lane: an endpoint that others have locked is left to the next sweep.
    """
    now = Lane.objects.using(using).select_for_update().get(pk=lane.pk)
    if due(now.traffic, limits()) is not Step.SWITCH_OFF:
        return False
    if not endpoints.lock_free([lane.pk], using=using):
        return False
    done = endpoints.mark_off(lane.pk, reason=_since(now), using=using, was=Endpoint.State.ON)
    if done:
        said = "Endpoint %s is %s, and is switched off"
        logger.error(said, lane.pk, _since(now), extra={"endpoint": lane.pk})
    return done


def _since(lane: Lane) -> str:
    assert lane.failing_since is not None
    return f"failing since {lane.failing_since.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
