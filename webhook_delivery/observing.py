"""Where what happens is seen: by the log, and by OpenTelemetry if it is installed; it may fail."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, TypeVar

from django.db import transaction

from webhook_delivery.logs import log_of
from webhook_delivery.totals import ARRIVED

if TYPE_CHECKING:
    from webhook_delivery.claims import Claim, Finding, Settled
    from webhook_delivery.models import Event
    from webhook_delivery.telemetry import Telemetry

T = TypeVar("T")

logger = log_of(__name__)


def _installed() -> Telemetry | None:
    """Who speaks OpenTelemetry; None if its API is not installed."""
    try:
        from webhook_delivery.telemetry import Telemetry
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "opentelemetry":
            raise
        return None
    return Telemetry()


telemetry = _installed()


def publishing(events: Sequence[Event]) -> AbstractContextManager[None]:
    """Around what writes these events; tells each which trace it belongs to."""
    return _harmless(telemetry.publishing(events), None) if telemetry else nullcontext()


def published(number: int, *, using: str) -> None:
    """So many events were written: they count if they are committed."""
    seen = telemetry
    if seen:
        transaction.on_commit(lambda: seen.published(number), using=using, robust=True)


def attempting(claim: Claim) -> AbstractContextManager[Callable[[Finding], None]]:
    """Around an attempt, in its thread; what it gives is to be told of the finding."""
    return _harmless(telemetry.attempting(claim), _forget) if telemetry else nullcontext(_forget)


def traceparent_of(claim: Claim) -> str:
    """What the receiver may be told, of an attempt that is being made; empty: no trace led here."""
    here = telemetry.traceparent() if telemetry and claim.traceparent else ""
    return here or claim.traceparent


def settled(found: Sequence[Settled], *, using: str) -> None:
    """These attempts were recorded: they are told of once that is committed."""

    def tell() -> None:
        if telemetry:
            telemetry.settled([each for each in found if not each.of_a_test])
        for each in found:
            _log(each)

    transaction.on_commit(tell, using=using, robust=True)


def _log(settled: Settled) -> None:
    finding, decision = settled.finding, settled.decision
    about = {
        **finding.claim.about(),
        "outcome": str(finding.outcome.fault or ARRIVED),
        "verdict": str(decision.verdict),
        "status": finding.outcome.status,
        "duration_ms": None if finding.duration is None else round(finding.duration * 1000),
    }
    said = "Attempt %(attempt)s at delivery %(delivery)s: %(outcome)s (%(verdict)s)"
    logger.info(said, about, extra=about)


def _forget(finding: Finding) -> None:
    """Nobody wants to know it."""


@contextmanager
def _harmless(context: AbstractContextManager[T], instead: T) -> Iterator[T]:
    """The same context, whose own failures are logged: nothing is lost because it was watched."""
    try:
        entered = context.__enter__()
    except Exception:
        logger.exception("What watches has failed; nothing else has")
        yield instead
        return
    try:
        yield entered
    except BaseException:
        _leave(context)
        raise
    else:
        _leave(context)


def _leave(context: AbstractContextManager[object]) -> None:
    raised = sys.exc_info()
    try:
        context.__exit__(*raised)
    except BaseException as error:
        if error is not raised[1]:
            logger.exception("What watches has failed; nothing else has")
