"""Redeliveries of many: stored, fed at their rate behind live traffic, paused, cancelled."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import OperationalError, connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.conftest import make_endpoint
from webhook_delivery import batches, endpoints, publish, pump, tasks, verification
from webhook_delivery.clock import Now
from webhook_delivery.composing import NewEvent
from webhook_delivery.models import (
    Attempt,
    ConsoleAction,
    Delivery,
    Endpoint,
    RedeliveryBatch,
    Transition,
)
from webhook_delivery.publishing import publish_many
from webhook_delivery.selecting import InvalidSelection, selection_of

pytestmark = pytest.mark.django_db(transaction=True)

State = RedeliveryBatch.State


@pytest.fixture
def endpoint(receiver) -> Endpoint:
    return make_endpoint(receiver.url())


def dead_letters(count: int, event_type: str = "order.created") -> list[int]:
    """So many that were attempted once, and are dead."""
    before = Delivery.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    publish_many(NewEvent(event_type, {"n": n}) for n in range(count))
    new = Delivery.objects.filter(pk__gt=before)
    ids = list(new.order_by("pk").values_list("pk", flat=True))
    now = timezone.now()
    ended = {"state": "dead", "due_at": None, "ended_at": Now()}
    new.update(**ended, attempts_made=1, reason="http_5xx", last_status=503)
    Attempt.objects.bulk_create(
        Attempt(
            delivery_id=pk, number=1, trigger="schedule", started_at=now, duration_ms=1, status=503,
            fault="http_5xx", verdict="dead",
        )
        for pk in ids
    )  # fmt: skip
    return ids


def due_again() -> None:
    """Let the time until each batch is fed again be over."""
    RedeliveryBatch.objects.update(due_at=F("due_at") - timedelta(seconds=30))


def feed(times: int = 1) -> None:
    for _ in range(times):
        due_again()
        pump.feed(using="default")


def run(send_due, *, rounds: int = 20) -> None:
    """Feed and send until every batch has ended, or stopped."""
    for _ in range(rounds):
        feed()
        send_due()
        if not RedeliveryBatch.objects.running().exists():
            return
    raise AssertionError("it did not end")


def states() -> dict[str, int]:
    found: dict[str, int] = {}
    for state in Delivery.objects.values_list("state", flat=True):
        found[state] = found.get(state, 0) + 1
    return found


def test_what_is_chosen_is_sent_again_and_nothing_else(receiver, endpoint, send_due):
    chosen = dead_letters(3)
    dead_letters(2, "invoice.paid")

    batch = batches.start(selection_of(event_type="order.*"), by="ann", reason="after 4.2")
    run(send_due)

    batch.refresh_from_db()
    assert (batch.state, batch.expected, batch.sent, batch.left) == (State.DONE, 3, 3, 0)
    assert set(Delivery.objects.delivered().values_list("pk", flat=True)) == set(chosen)
    assert batches.progress(batch) == batches.Progress(delivered=3)
    assert len(receiver.received) == 3
    assert ConsoleAction.objects.get().by_name == "ann"


def test_what_dies_after_it_was_asked_for_is_not_sent(endpoint, send_due):
    dead_letters(2)
    batches.start(selection_of())
    later = dead_letters(1)
    run(send_due)

    assert list(Delivery.objects.dead().values_list("pk", flat=True)) == later


def test_what_is_owed_to_an_endpoint_that_is_off_is_left(receiver, send_due):
    gone, here = make_endpoint(receiver.url("/gone")), make_endpoint(receiver.url("/here"))
    dead_letters(2)
    endpoints.switch_off(gone.pk, using="default")

    preview = batches.preview(selection_of())
    batch = batches.start(selection_of())
    run(send_due)

    batch.refresh_from_db()
    assert (preview.chosen.of, preview.left.of) == (4, 2)
    assert (batch.sent, batch.left) == (2, 2)
    assert Delivery.objects.for_endpoint(gone).dead().count() == 2
    assert Delivery.objects.for_endpoint(here).delivered().count() == 2


def test_one_attempt_each_and_then_dead_again(receiver, endpoint, send_due):
    dead_letters(2)
    receiver.replies(503, 200)
    batch = batches.start(selection_of(), once=True)
    run(send_due)

    assert states() == {"dead": 1, "delivered": 1}
    assert batches.progress(batch) == batches.Progress(delivered=1, failed=1)
    assert Attempt.objects.filter(trigger="once").count() == 2


def test_or_a_full_schedule_of_retries(receiver, endpoint, send_due):
    dead_letters(1)
    receiver.replies(503)
    batches.start(selection_of(), once=False)
    run(send_due)

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.trigger) == ("pending", "redelivery")
    assert delivery.attempts_forgiven == 1


def test_the_log_still_tells_where_each_stands(receiver, endpoint, send_due):
    dead_letters(4)
    receiver.replies(503, 200)
    batches.start(selection_of(), once=True, canary=2)
    run(send_due)

    assert list(verification.verify(using="default")) == []


def test_a_canary_that_dies_stops_it_and_a_resume_goes_on(receiver, endpoint, send_due):
    dead_letters(10)
    receiver.replies(*[503] * 3)
    batch = batches.start(selection_of(), canary=3)
    run(send_due)

    batch.refresh_from_db()
    assert (batch.state, batch.state_reason) == (State.GUARDED, "3 of the last 3 failed.")
    assert len(receiver.received) == 3
    assert batches.resume(batch.pk, by="ann")
    run(send_due)
    batch.refresh_from_db()
    assert (batch.state, batch.sent) == (State.DONE, 10)
    assert states() == {"delivered": 7, "dead": 3}


def test_a_canary_whose_endpoint_is_switched_off_under_it_stops_it(receiver, send_due):
    make_endpoint(receiver.url(), ordered=True)
    receiver.replies(410)
    dead_letters(10)
    batch = batches.start(selection_of(), canary=3)
    run(send_due)

    batch.refresh_from_db()
    assert (batch.state, batch.state_reason) == (State.GUARDED, "1 of the last 3 failed.")
    assert batches.progress(batch) == batches.Progress(failed=1, waiting=2)


def test_a_canary_that_is_held_stops_it_and_says_so(endpoint, send_due):
    dead_letters(10)
    batch = batches.start(selection_of(), canary=3)
    feed()
    endpoints.pause(endpoint.pk, using="default")
    run(send_due)

    batch.refresh_from_db()
    said = "None of the first was sent: they are held."
    assert (batch.state, batch.state_reason) == (State.GUARDED, said)


def test_a_hundred_that_are_held_do_not_keep_what_is_owed_to_others(receiver, send_due):
    paused = make_endpoint(receiver.url("/paused"))
    dead_letters(100)
    make_endpoint(receiver.url("/on"), "late.*")
    dead_letters(5, "late.paid")
    batch = batches.start(selection_of(), stop_above=50)
    feed()
    endpoints.pause(paused.pk, using="default")
    run(send_due)

    batch.refresh_from_db()
    assert (batch.state, batch.sent, batch.left) == (State.DONE, 105, 5)
    assert states() == {"held": 100, "dead": 5, "delivered": 5}


def test_it_stops_when_too_many_fail(receiver, endpoint, send_due, settings):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "BREAKER_FAILURES": 1000}
    dead_letters(60)
    receiver.replies(*[404] * 60)
    batch = batches.start(selection_of(), stop_above=50, rate=20)
    run(send_due)

    batch.refresh_from_db()
    assert batch.state == State.GUARDED
    assert 20 <= batch.sent < 60


def test_it_is_paused_resumed_and_cancelled(endpoint, send_due):
    dead_letters(60)
    batch = batches.start(selection_of(), rate=20)
    feed()
    send_due()
    sent = Delivery.objects.delivered().count()

    assert batches.pause(batch.pk, by="ann", reason="too fast")
    assert not batches.pause(batch.pk)
    feed(3)
    assert Delivery.objects.dead().count() == 60 - sent
    assert batches.resume(batch.pk)
    feed()
    send_due()
    assert Delivery.objects.dead().count() < 60 - sent
    left = Delivery.objects.dead().count()
    assert batches.cancel(batch.pk, by="ann")
    assert not batches.resume(batch.pk)
    feed(3)
    assert Delivery.objects.dead().count() == left
    verbs = list(ConsoleAction.objects.order_by("pk").values_list("verb", flat=True))
    assert verbs == ["redeliver", "batch paused", "batch running", "batch cancelled"]


def test_its_rate_holds_and_what_was_missed_is_not_made_up_for(endpoint):
    dead_letters(60)
    batch = batches.start(selection_of(), rate=8)
    RedeliveryBatch.objects.update(due_at=F("due_at") - timedelta(hours=1))

    pump.feed(using="default")

    assert Delivery.objects.pending().count() == 10  # of one second and a step
    pump.feed(using="default")
    assert Delivery.objects.pending().count() == 10
    batches.set_rate(batch.pk, None)
    pump.feed(using="default")
    assert Delivery.objects.pending().count() == 60


@pytest.mark.parametrize("rate", [0, -1, 0.0001, 200_000, float("nan"), float("inf"), True, "5"])
def test_a_rate_that_makes_no_sense_is_refused_and_nothing_begins(endpoint, rate):
    dead_letters(1)
    batch = batches.start(selection_of(), rate=1)
    begin = {
        "start": lambda: batches.start(selection_of(), rate=rate),
        "start_missed": lambda: batches.start_missed(endpoint.pk, timezone.now(), rate=rate),
        "redeliver": lambda: Delivery.objects.dead().redeliver(rate=rate),
        "set_rate": lambda: batches.set_rate(batch.pk, rate),
    }

    for verb in begin.values():
        with pytest.raises(ValidationError, match="one an hour"):
            verb()

    assert RedeliveryBatch.objects.get().rate_per_second == 1
    assert ConsoleAction.objects.count() == 1


def test_no_more_wait_than_a_chunk(endpoint, monkeypatch, send_due):
    monkeypatch.setattr(pump, "CHUNK", 5)
    dead_letters(12)
    batches.start(selection_of())

    feed(3)
    assert Delivery.objects.pending().count() == 5
    run(send_due)
    assert states() == {"delivered": 12}


def test_a_crash_between_chunks_sends_nothing_twice(receiver, endpoint, send_due, monkeypatch):
    """The rows and how far it is are written together, or not at all."""
    monkeypatch.setattr(pump, "CHUNK", 5)
    dead_letters(12)
    batch = batches.start(selection_of())
    save = RedeliveryBatch.save

    def dies(self: RedeliveryBatch, **kwargs: object) -> None:
        save(self, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(RedeliveryBatch, "save", dies)
    due_again()
    with pytest.raises(KeyboardInterrupt):
        pump.feed(using="default")
    assert states() == {"dead": 12}
    monkeypatch.setattr(RedeliveryBatch, "save", save)
    run(send_due)

    batch.refresh_from_db()
    assert (batch.sent, len(receiver.received)) == (12, 12)
    assert Transition.objects.filter(batch=batch).count() == 12


def test_two_at_once_send_each_delivery_once(receiver, endpoint, send_due, monkeypatch):
    monkeypatch.setattr(pump, "CHUNK", 4)
    dead_letters(12)
    one, other = batches.start(selection_of()), batches.start(selection_of())
    run(send_due)

    one.refresh_from_db()
    other.refresh_from_db()
    assert one.sent + other.sent == 12 == len(receiver.received)


def test_live_traffic_goes_first(receiver, endpoint, send_due, settings):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "CONCURRENCY": 1, "MAX_THREADS": 1}
    dead_letters(30)
    batches.start(selection_of())
    feed()
    live = {publish("order.created", {"live": n}).webhook_id for n in range(10)}
    send_due()

    came = [each.webhook_id in live for each in receiver.received]
    assert sum(came[:20]) >= 7  # a quarter of the places is kept for what is late


def test_a_drain_feeds_it_by_itself(receiver, endpoint, send_due):
    dead_letters(5)
    batch = batches.start(selection_of())
    tasks.drain()

    batch.refresh_from_db()
    assert batch.state == State.DONE
    assert states() == {"delivered": 5}


def test_a_database_that_is_away_costs_nothing_that_is_in_flight(
    receiver, endpoint, monkeypatch, caplog
):
    def away(*, using: str) -> bool:
        raise OperationalError("gone")

    monkeypatch.setattr(pump, "feed", away)
    publish("order.created", {})
    tasks.drain()

    assert Delivery.objects.get().state == "delivered"
    assert "Redeliveries could not be fed" in caplog.text


def test_one_that_cannot_be_fed_keeps_no_other(endpoint, send_due, caplog):
    dead_letters(2)
    broken = batches.start(selection_of())
    RedeliveryBatch.objects.filter(pk=broken.pk).update(selection={"state": "dead", "odd": 1})
    batches.start(selection_of())

    feed()
    send_due()

    assert states() == {"delivered": 2}
    broken.refresh_from_db()
    assert broken.state == State.RUNNING
    assert f"Redelivery {broken.pk} could not be fed" in caplog.text


def test_it_is_accepted_and_fed_in_a_constant_number_of_statements(endpoint):
    asked = []
    for count in (10, 150):
        dead_letters(count)
        with CaptureQueriesContext(connection) as starting:
            batch = batches.start(selection_of())
        due_again()
        with CaptureQueriesContext(connection) as feeding:
            pump.feed(using="default")
        asked.append((len(starting), len(feeding)))
        RedeliveryBatch.objects.filter(pk=batch.pk).update(state="done")
        Delivery.objects.update(state="delivered", due_at=None, claim=None)

    assert asked[0] == asked[1]


@pytest.mark.parametrize(
    "wrong", [{"state": "pending"}, {"state": "sending"}, {"reason": "nonsense"}]
)
def test_a_selection_that_means_nothing_is_refused(wrong):
    with pytest.raises(InvalidSelection):
        selection_of(**wrong)


def test_each_filter_narrows(receiver, send_due):
    acme, other = make_endpoint(receiver.url("/a")), make_endpoint(receiver.url("/b"), tenant="t")
    ids = dead_letters(2)
    Delivery.objects.filter(pk=ids[0]).update(reason="timeout", last_status=None)

    def number(**filters: object) -> int:
        return batches.preview(selection_of(**filters)).chosen.of

    assert number() == 2
    assert number(endpoint=acme.pk) == 2
    assert number(endpoint=other.pk) == 0
    assert number(reason="timeout") == 1
    assert number(status=503) == 1
    assert number(event_type="order.*") == 2
    assert number(event_type="invoice.*") == 0
    assert number(tenant="t") == 0
    assert number(ids=[ids[1], 10**12]) == 1
    assert number(since=timezone.now() + timedelta(hours=1)) == 0
    assert number(until=timezone.now() + timedelta(hours=1)) == 2
    assert number(state="delivered") == 0


def test_who_asked_outlives_their_account(endpoint, django_user_model):
    dead_letters(1)
    user = get_user_model().objects.create_user("ann")
    batch = batches.start(selection_of(), by=user, reason="why")
    user.delete()

    batch.refresh_from_db()
    assert (batch.by, batch.by_name, batch.reason) == (None, "ann", "why")
