"""Records what attempts found, and what follows from it for their endpoints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from django.db import DatabaseError, InterfaceError

from webhook_delivery import endpoints, lifecycle
from webhook_delivery.claims import Claim, Finding, Settled
from webhook_delivery.lifecycle import lanes
from webhook_delivery.locking import insist
from webhook_delivery.logs import log_of
from webhook_delivery.models import Endpoint
from webhook_delivery.outcomes import Fault

logger = log_of(__name__)

GONE, DISABLE = "410 Gone", "webhook-delivery: disable"
REFUSALS = (GONE, DISABLE)
"""Why endpoints are off that no person has switched off."""
HELD_AT_ONCE = 500
"""What is held of a receiver that is gone before requests in flight are seen to again."""


def record(findings: Sequence[Finding], *, using: str) -> list[Settled]:
    """
    Settle; whoever wants nothing more is switched off in the same transaction, or asked again.

    An endpoint that somebody else has locked is not waited for: its breaker opens, and one probe
    asks again later. Raises the database's error if it is away: then nothing is recorded.
    """
    if not _gone(findings):
        return lifecycle.settle(findings, using=using)
    return insist(partial(_settle_and_mark, findings, using), using=using)


def hold_what_is_owed(settled: Sequence[Settled], *, using: str) -> None:
    """Hold some of what is owed to endpoints that are off now; the sweep holds the rest."""
    gone = _gone(each.finding for each in settled)
    off = Endpoint.objects.using(using).filter(pk__in=gone, state=Endpoint.State.OFF)
    try:
        for endpoint in off.values_list("pk", flat=True):
            endpoints.hold_owed(endpoint, using=using, most=HELD_AT_ONCE)
    except (DatabaseError, InterfaceError):
        said = "What is owed to %s is not held yet; the next sweep does it"
        logger.exception(said, gone, extra={"endpoint": next(iter(gone), None)})


def complain(settled: Iterable[Settled], *, known: set[int]) -> None:
    """Say aloud for which endpoints nothing can be signed, once of each: those told are `known`."""
    unsigned = {
        each.finding.claim.endpoint_id
        for each in settled
        if each.finding.outcome.fault is Fault.SECRET
    }
    for endpoint in unsigned - known:
        logger.error(
            "The secrets of endpoint %s cannot be opened: what it is owed is deferred. See whether "
            "SECRET_KEYS or SECRET_KEY has changed; `webhooks health` says what to do",
            endpoint,
            extra={"endpoint": endpoint, "outcome": str(Fault.SECRET)},
        )
    known |= unsigned


def give_back(claims: Sequence[Claim], *, using: str) -> None:
    """Give up what was not begun; if the database is away, the leases end by themselves."""
    try:
        lifecycle.give_back(claims, using=using)
    except (DatabaseError, InterfaceError):
        logger.exception("%s claims could not be given back; their leases will end", len(claims))


def _settle_and_mark(findings: Sequence[Finding], using: str) -> list[Settled]:
    settled = lifecycle.settle(findings, using=using)
    gone = _gone(each.finding for each in settled)
    free = endpoints.lock_free(gone, using=using)
    for each in free:
        endpoints.mark_off(each, reason=gone[each], using=using)
    _leave({pk: reason for pk, reason in gone.items() if pk not in free}, using)
    return settled


def _leave(locked: dict[int, str], using: str) -> None:
    """Whoever has them locked may go on for long: send them nothing meanwhile, then ask again."""
    if locked:
        lanes.shut(locked, using=using)
    for endpoint, reason in locked.items():
        said = "Endpoint %s wants nothing more (%s), but somebody has it locked: it is asked again"
        logger.warning(said, endpoint, reason, extra={"endpoint": endpoint})


def _gone(findings: Iterable[Finding]) -> dict[int, str]:
    """The endpoints that want nothing more, and how they said it."""
    return {
        found.claim.endpoint_id: DISABLE if found.outcome.disable else GONE
        for found in findings
        if found.outcome.unwelcome
    }
