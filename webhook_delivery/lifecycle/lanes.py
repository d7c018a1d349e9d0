"""The lanes of endpoints: locked while something is claimed, told what was found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import asdict
from datetime import datetime, timedelta

from webhook_delivery import ailing, notifying
from webhook_delivery.claims import Settled
from webhook_delivery.clock import Now
from webhook_delivery.conf import settings
from webhook_delivery.locking import can_skip
from webhook_delivery.models import Delivery, Endpoint, Lane
from webhook_delivery.models.lane import longest_pause
from webhook_delivery.outcomes import Outcome
from webhook_delivery.pacing import Breaker, Traffic, answered, believed, failing, stopping
from webhook_delivery.signals import endpoint_recovered


def breaker() -> Breaker:
    return Breaker(
        failures=settings.BREAKER_FAILURES,
        seconds=settings.BREAKER_SECONDS,
        longest=longest_pause(),
    )


def lock(endpoints: Collection[int], *, using: str, wait: bool) -> dict[int, Traffic]:
    """
    Keep others from claiming for these endpoints until the transaction ends.

    Returns their traffic; without `wait`, only of those that nobody else has locked.
    """
    lanes = _lock(endpoints, using, wait)
    if len(lanes) < len(endpoints) and (new := _lay(set(endpoints) - set(lanes), using)):
        lanes |= _lock(new, using, wait=True)
    return lanes


def remember(endpoint: int, traffic: Traffic, *, using: str) -> None:
    Lane.objects.using(using).filter(pk=endpoint).update(**asdict(traffic))


def shut(endpoints: Collection[int], *, using: str) -> None:
    """Open the breakers of these for the longest time; then one probe asks again."""
    until = Now() + timedelta(seconds=longest_pause())
    opened = {"failures": breaker().failures, "openings": 1, "blocked_until": until}
    Lane.objects.using(using).filter(pk__in=endpoints).update(**opened)


def hear(settled: Iterable[Settled], *, now: datetime, using: str) -> None:
    """
    Remember what the answers say about each endpoint; most often, nothing new.

    Where order was asked for, the lane is locked in any case, and in the same statement: who locks
    one after the other may meet who locks them the other way.
    """
    told = defaultdict(list)
    for each in settled:
        told[each.finding.claim.endpoint_id].append(each)
    news = {pk for pk, heard in told.items() if _new(heard)}
    ordered = {pk for pk, heard in told.items() if any(s.finding.claim.in_order for s in heard)}
    if not (needed := {*news, *ordered}):
        return
    for pk, traffic in _lock(needed, using, wait=True).items():
        after = _after(told[pk], traffic, now) if pk in news else traffic
        if after != traffic:
            remember(pk, after, using=using)
        if ailing.ended(traffic, after):
            since = {"failing_since": traffic.failing_since}
            notifying.of_endpoint(endpoint_recovered, pk, using=using, **since)


def _new(heard: list[Settled]) -> bool:
    """Whether something failed, or was sent to see whether it would fail again."""
    outcomes = [each.finding.outcome for each in heard]
    ill = any(each.finding.claim.doubted or each.finding.claim.ailing for each in heard)
    return ill or any(ailing.failed(said) or stopping(said) for said in outcomes)


def _after(heard: list[Settled], traffic: Traffic, now: datetime) -> Traffic:
    """A test that fails says nothing of days: a person tries something out."""
    told = [
        (each.finding.outcome, each.finding.claim.number == 1)
        for each in heard
        if each.finding.outcome.delivered or each.finding.claim.trigger != Delivery.Trigger.TEST
    ]
    traffic = believed(traffic, breaker().longest, now)
    outcomes = _telling(heard, traffic)
    return answered(ailing.heard(traffic, told, now), breaker(), outcomes, now)


def _telling(heard: list[Settled], traffic: Traffic) -> list[Outcome]:
    """
    Not that those failed which had been claimed before the breaker opened: it knows that.

    Each of them would double its time without a probe. What asks for a pause is heard in any case.
    """
    if traffic.failures < breaker().failures:
        return [each.finding.outcome for each in heard]
    outcomes = [(each.finding.outcome, each.finding.claim.doubted) for each in heard]
    return [said for said, probed in outcomes if probed or stopping(said) or not failing(said)]


def _lock(endpoints: Collection[int], using: str, wait: bool) -> dict[int, Traffic]:
    lanes = Lane.objects.using(using).filter(pk__in=endpoints).order_by("pk")
    rows = lanes.select_for_update(skip_locked=not wait and can_skip(using))
    return {lane.pk: lane.traffic for lane in rows}


def _lay(endpoints: Collection[int], using: str) -> list[int]:
    """Write the lanes that are lacking: one for each endpoint, once."""
    lacking = Endpoint.objects.using(using).filter(pk__in=endpoints, lane=None)
    new = list(lacking.values_list("pk", flat=True))
    Lane.objects.using(using).bulk_create([Lane(pk=pk) for pk in new], ignore_conflicts=True)
    return new
