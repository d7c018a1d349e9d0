"""Speaks OpenTelemetry: a span for what is published and for each attempt, and what is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from webhook_delivery.totals import ARRIVED, BOUNDS, Ending
from webhook_delivery.version import __version__

if TYPE_CHECKING:
    from webhook_delivery.claims import Claim, Finding, Settled
    from webhook_delivery.models import Event

NAME = "webhook_delivery"
SECONDS = [bound / 1000 for bound in BOUNDS]
"""The bounds of the rows, so that both ways to ask say the same."""
PROPAGATOR = TraceContextTextMapPropagator()
HEADER = "traceparent"


class Telemetry:
    """Tells the providers of this process; without an SDK, OpenTelemetry's API does nothing."""

    def __init__(
        self,
        tracers: trace.TracerProvider | None = None,
        meters: metrics.MeterProvider | None = None,
    ) -> None:
        """Tell these providers; None: those that the process has set, or will set."""
        self._tracer = trace.get_tracer(NAME, __version__, tracers)
        meter = metrics.get_meter(NAME, __version__, meters)
        self._published = meter.create_counter(
            f"{NAME}.events.published", "{event}", "Events that were committed."
        )
        self._attempts = meter.create_counter(
            f"{NAME}.attempts", "{attempt}", "Attempts, by what they found and led to."
        )
        self._in_flight = meter.create_up_down_counter(
            f"{NAME}.attempts.in_flight", "{attempt}", "Requests that wait for their answers."
        )
        self._lasted = meter.create_histogram(
            f"{NAME}.attempt.duration",
            "s",
            "How long attempts took.",
            explicit_bucket_boundaries_advisory=SECONDS,
        )

    @contextmanager
    def publishing(self, events: Sequence[Event]) -> Iterator[None]:
        """A span around what writes events; each is told which trace it belongs to."""
        alone = events[0] if len(events) == 1 else None
        with self._span("publish", trace.SpanKind.PRODUCER) as span:
            span.set_attribute("messaging.batch.message_count", len(events))
            if alone:
                span.set_attribute("messaging.message.id", alone.webhook_id)
                span.set_attribute("webhook_delivery.event_type", alone.event_type)
            traceparent = self.traceparent()
            for event in events:
                event.traceparent = traceparent
            yield

    def published(self, number: int) -> None:
        self._published.add(number)

    @contextmanager
    def attempting(self, claim: Claim) -> Iterator[Callable[[Finding], None]]:
        """A span around one attempt, in the trace of who published; tell it what was found."""
        self._in_flight.add(1)
        try:
            with self._span("attempt", trace.SpanKind.CLIENT, **_follows(claim)) as span:
                span.set_attributes(_about(claim))
                yield lambda finding: _conclude(span, finding)
        finally:
            self._in_flight.add(-1)

    def traceparent(self) -> str:
        """What a receiver is told of the current span; empty if there is none."""
        carrier: dict[str, str] = {}
        PROPAGATOR.inject(carrier)
        return carrier.get(HEADER, "")

    def settled(self, settled: Sequence[Settled]) -> None:
        """Count attempts that were recorded."""
        for each in settled:
            finding = each.finding
            ending = Ending.of(str(finding.outcome.fault or ""), str(each.decision.verdict))
            self._attempts.add(1, ending._asdict())
            if finding.duration is not None:
                self._lasted.record(finding.duration)

    @contextmanager
    def _span(self, name: str, kind: trace.SpanKind, **more: Any) -> Iterator[trace.Span]:
        """A span that says of what is raised its type only: messages hold what was published."""
        known = {"messaging.system": NAME, "messaging.operation.name": name}
        with self._tracer.start_as_current_span(
            f"webhook {name}",
            kind=kind,
            attributes=known,
            record_exception=False,
            set_status_on_exception=False,
            **more,
        ) as span:
            try:
                yield span
            except BaseException as error:
                _fail(span, type(error).__name__)
                raise


def _follows(claim: Claim) -> dict[str, Any]:
    """Where its span belongs: into the trace of the span that published, to which it links."""
    published = PROPAGATOR.extract({HEADER: claim.traceparent})
    origin = trace.get_current_span(published).get_span_context()
    return {"context": published, "links": [trace.Link(origin)]} if origin.is_valid else {}


def _about(claim: Claim) -> dict[str, str | int]:
    return {
        "messaging.message.id": claim.webhook_id,
        "http.request.method": "POST",
        "webhook_delivery.delivery": claim.delivery_id,
        "webhook_delivery.endpoint": claim.endpoint_id,
        "webhook_delivery.attempt": claim.number,
    }


def _conclude(span: trace.Span, finding: Finding) -> None:
    outcome = finding.outcome
    span.set_attribute("webhook_delivery.outcome", str(outcome.fault or ARRIVED))
    if outcome.status is not None:
        span.set_attribute("http.response.status_code", outcome.status)
    if outcome.fault:
        _fail(span, str(outcome.fault))


def _fail(span: trace.Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(trace.Status(trace.StatusCode.ERROR, kind))
