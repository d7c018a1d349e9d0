"""OpenTelemetry sees each event and attempt, in one trace up to the receiver; it hurts nobody."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from django.db import transaction
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry, generate_latest

from example_project.settings import BASE_DIR
from tests.conftest import make_due, make_endpoint
from tests.processes import environment
from tests.scraping import agree, samples_of
from webhook_delivery import (
    NewEvent,
    doorbell,
    observing,
    publish,
    publish_many,
    telemetry,
    totals,
)
from webhook_delivery.metrics import gauges, instruments
from webhook_delivery.metrics.families import Rows
from webhook_delivery.models import Attempt, Event
from webhook_delivery.publishing import publish_test
from webhook_delivery.telemetry import Telemetry

pytestmark = pytest.mark.django_db(transaction=True)

TRACEPARENT = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


class Seen:
    """What providers of a test's own have been told."""

    def __init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers, self.meters = TracerProvider(), MeterProvider([self.reader])
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    def points(self) -> dict[str, dict[tuple[str, ...], object]]:
        """By instrument, and by the values of its attributes in the order of their names."""
        told = self.reader.get_metrics_data()
        metrics = [
            metric
            for resource in (told.resource_metrics if told else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]
        return {
            metric.name: {
                tuple(value for _, value in sorted(point.attributes.items())): point
                for point in metric.data.data_points
            }
            for metric in metrics
        }


@pytest.fixture
def seen(monkeypatch) -> Iterator[Seen]:
    seen = Seen()
    monkeypatch.setattr(observing, "telemetry", Telemetry(seen.tracers, seen.meters))
    yield seen
    seen.tracers.shutdown()
    seen.meters.shutdown()


def trace_of(span: ReadableSpan) -> str:
    return f"{span.context.trace_id:032x}"


# ── traces


def test_an_attempt_belongs_to_the_trace_that_published_and_so_does_the_receiver(
    seen, settings, receiver, endpoint, send_due
):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "PROPAGATE_TRACE": True}
    receiver.replies(503, 200)

    with seen.tracers.get_tracer("shop").start_as_current_span("order") as order:
        event = publish("order.paid", {"number": 7})
    for _ in range(2):
        send_due()
        make_due()

    [published] = seen.spans("webhook publish")
    attempts = seen.spans("webhook attempt")
    assert published.parent.span_id == order.get_span_context().span_id
    assert {trace_of(span) for span in [published, *attempts]} == {trace_of(order)}
    assert [span.parent.span_id for span in attempts] == [published.context.span_id] * 2
    assert [span.links[0].context.span_id for span in attempts] == [published.context.span_id] * 2
    heard = [TRACEPARENT.fullmatch(got.headers["traceparent"]) for got in receiver.received]
    assert [match[1] for match in heard] == [trace_of(order)] * 2
    assert [int(match[2], 16) for match in heard] == [span.context.span_id for span in attempts]
    assert Event.objects.get(pk=event.pk).traceparent.split("-")[1] == trace_of(order)


def test_the_same_bytes_are_sent_whether_a_trace_is_told_or_not(
    seen, settings, receiver, endpoint, send_due
):
    receiver.replies(503, 503, 200)
    publish("order.paid", {"number": 7})
    for told in (False, True, False):
        settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "PROPAGATE_TRACE": told}
        send_due()
        make_due()

    assert ["traceparent" in got.headers for got in receiver.received] == [False, True, False]
    assert len({(got.body, got.webhook_id) for got in receiver.received}) == 1
    assert all(got.verified for got in receiver.received)


def test_a_span_says_what_was_found_and_nothing_secret(seen, receiver, send_due):
    endpoint = make_endpoint(receiver.url("/hook?sig=CANARY"))
    endpoint.set_headers({"Authorization": "Bearer CANARY"})
    receiver.replies(503, path="/hook?sig=CANARY")
    event = publish("order.paid", {"card": "CANARY"})
    send_due()

    [attempt] = seen.spans("webhook attempt")
    assert attempt.attributes["webhook_delivery.outcome"] == "http_5xx"
    assert attempt.attributes["http.response.status_code"] == 503
    assert attempt.attributes["messaging.message.id"] == event.webhook_id
    assert attempt.attributes["webhook_delivery.attempt"] == 1
    assert attempt.status.status_code is trace.StatusCode.ERROR
    assert not any("CANARY" in s.to_json() for s in seen.exporter.get_finished_spans())


def test_what_is_raised_while_publishing_is_told_by_its_kind_only(seen, monkeypatch):
    def fails(*args: object, **kwargs: object) -> None:
        raise RuntimeError("CANARY")

    monkeypatch.setattr("webhook_delivery.writing._make_findable", fails)
    with pytest.raises(RuntimeError):
        publish("order.paid", {})

    [span] = seen.spans("webhook publish")
    assert span.attributes["error.type"] == "RuntimeError"
    assert "CANARY" not in span.to_json()


def test_many_events_are_one_span_and_one_trace(seen, receiver, endpoint, send_due):
    publish_many(NewEvent("order.paid", {"number": n}) for n in range(3))
    publish_test(endpoint)
    send_due()

    many, test = seen.spans("webhook publish")
    assert many.attributes["messaging.batch.message_count"] == 3
    assert "messaging.message.id" not in many.attributes
    by_trace = sorted(trace_of(span) for span in seen.spans("webhook attempt"))
    assert by_trace == sorted([trace_of(many)] * 3 + [trace_of(test)])


def test_who_knows_no_trace_sends_none(settings, receiver, endpoint, send_due, seen, monkeypatch):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "PROPAGATE_TRACE": True}
    with monkeypatch.context() as without:
        without.setattr(observing, "telemetry", None)
        publish("order.paid", {})
    send_due()

    [span] = seen.spans("webhook attempt")
    assert span.parent is None
    assert "traceparent" not in receiver.received[0].headers


def test_a_worker_without_opentelemetry_hands_the_trace_on(
    settings, receiver, endpoint, send_due, seen, monkeypatch
):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "PROPAGATE_TRACE": True}
    event = publish("order.paid", {})
    monkeypatch.setattr(observing, "telemetry", None)
    send_due()

    assert receiver.received[0].headers["traceparent"] == event.traceparent


def test_a_trace_that_somebody_smuggled_in_is_not_believed(seen, receiver, endpoint, send_due):
    publish("order.paid", {})
    Event.objects.update(traceparent="00-nonsense\r\nx: y")
    send_due()

    [span] = seen.spans("webhook attempt")
    assert span.parent is None
    assert receiver.received[0].verified


# ── counts


def test_what_a_process_counts_is_what_the_rows_say(seen, receiver, endpoint, send_due):
    receiver.replies(503, 200, 410)
    for number in range(2):
        publish("order.paid", {"number": number})
        send_due()
        make_due()
    publish_test(endpoint)
    send_due()

    points = seen.points()
    registry = CollectorRegistry()
    registry.register(Rows("default"))
    told = samples_of(registry.collect())
    agree(told)
    of_rows = {k: n for k, n in told["webhook_delivery_attempts_total"].items() if n}
    attempts = points["webhook_delivery.attempts"]
    assert {ending: point.value for ending, point in attempts.items()} == of_rows
    lasted = points["webhook_delivery.attempt.duration"][()]
    assert lasted.count == told["webhook_delivery_attempt_duration_seconds_count"][()]
    assert lasted.explicit_bounds == tuple(bound / 1000 for bound in totals.BOUNDS)
    assert points["webhook_delivery.events.published"][()].value == 2
    assert points["webhook_delivery.attempts.in_flight"][()].value == 0
    assert generate_latest(registry)


def test_what_is_rolled_back_is_not_counted(seen, endpoint):
    with pytest.raises(RuntimeError), transaction.atomic():
        publish("order.paid", {})
        raise RuntimeError

    assert "webhook_delivery.events.published" not in seen.points()


def test_the_rows_are_observed_where_that_is_asked_for(seen, endpoint, send_due):
    instruments.observe(seen.meters)
    publish("order.paid", {})
    doorbell.answer(using="default")

    points = seen.points()

    missing = {instruments.named(name) for name in gauges.GAUGES} - set(points)
    assert missing == {"webhook_delivery.endpoint_day_attempts", "webhook_delivery.sweep_age"}
    assert points["webhook_delivery.deliveries"]["pending",].value == 1
    assert points["webhook_delivery.endpoints"]["on",].value == 1


def test_what_cannot_be_observed_is_logged_and_the_rest_is_told(seen, monkeypatch, caplog):
    monkeypatch.setattr("webhook_delivery.models.Lane._meta.db_table", "not_there")
    instruments.observe(seen.meters)

    points = seen.points()

    assert "webhook_delivery.deliveries" in points
    assert "webhook_delivery.breakers_open" not in points
    assert "could not be read: endpoints" in caplog.text


# ── whatever watches may fail


class Broken(SpanProcessor):
    """Fails when a span begins, or when it ends."""

    def __init__(self, when: str) -> None:
        self.when = when

    def on_start(self, span: object, parent_context: object = None) -> None:
        self._fail("start")

    def on_end(self, span: object) -> None:
        self._fail("end")

    def _fail(self, when: str) -> None:
        if self.when == when:
            raise RuntimeError("a bug in an exporter")


@pytest.mark.parametrize("when", ["start", "end"])
def test_what_watches_may_fail_and_nothing_is_lost(
    seen, receiver, endpoint, send_due, caplog, when
):
    seen.tracers.add_span_processor(Broken(when))
    receiver.replies(503, 200)

    publish("order.paid", {})
    for _ in range(2):
        send_due()
        make_due()

    assert list(Attempt.objects.values_list("status", flat=True)) == [503, 200]
    assert len(receiver.received) == 2
    assert "What watches has failed; nothing else has" in caplog.text


WITHOUT = """
import sys
for name in ("opentelemetry", "prometheus_client"):
    sys.modules[name] = None
import django
django.setup()
from django.core.checks import run_checks
from webhook_delivery import observing, publish
from webhook_delivery.drain import drain
assert observing.telemetry is None
publish("order.paid", {"number": 7})
print(drain(using="default", seconds=10).delivered)
"""


def test_the_app_works_where_neither_library_is_installed(receiver, endpoint):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        cwd=BASE_DIR,
        env=environment(),
        capture_output=True,
        text=True,
    )

    assert done.stdout == "1\n", done.stderr
    assert receiver.received[0].verified


def test_a_library_that_is_broken_is_not_taken_for_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "webhook_delivery.telemetry", None)
    with pytest.raises(ModuleNotFoundError):
        observing._installed()

    monkeypatch.setitem(sys.modules, "webhook_delivery.telemetry", telemetry)
    assert observing._installed()
