"""Querysets read as sentences; those of deliveries can be kept, and said again bit by bit."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from tests.conftest import make_endpoint
from tests.library.models import Author
from tests.owing import block, owe
from tests.test_batches import feed
from tests.test_signals import claim, found, settle
from webhook_delivery import batches, gradual, publish, tasks
from webhook_delivery.clock import Now
from webhook_delivery.models import (
    Delivery,
    Endpoint,
    Event,
    Lane,
    RedeliveryBatch,
    Transition,
)
from webhook_delivery.outcomes import Fault
from webhook_delivery.selecting import InvalidSelection, selected, selection_of

pytestmark = pytest.mark.django_db(transaction=True)

MOMENT = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def author():
    return Author.objects.create(name="Ann")


def told(event_type: str = "order.paid", **about) -> Delivery:
    """An event that was owed to the one endpoint there is."""
    return publish(event_type, {}, **about).deliveries.get()


def die(*deliveries: Delivery, reason: str = "timeout", status: int | None = None) -> None:
    ids = [each.pk for each in deliveries]
    facts = {"reason": reason, "last_status": status, "due_at": None, "ended_at": Now()}
    Delivery.objects.filter(pk__in=ids).update(state="dead", attempts_made=10, **facts)


# ── deliveries


def test_deliveries_are_asked_for_in_one_sentence(endpoint):
    other = make_endpoint(name="other")
    mine, late, wrong = (publish(name, {}) for name in ("order.paid", "order.paid", "ordered"))
    [wanted] = mine.deliveries.filter(endpoint=endpoint)
    die(*Delivery.objects.all())
    die(*late.deliveries.all(), reason="dns")

    rows = Delivery.objects.dead().for_endpoint(endpoint).of_type("order.*").since(MOMENT)

    assert [*rows.because("timeout")] == [wanted]
    assert wrong.deliveries.count() == other.deliveries.count() - 1 == 2


def test_each_word_narrows(endpoint, author):
    old, new = told(source=author), told(tenant="")
    Delivery.objects.filter(pk=old.pk).update(created_at=MOMENT)
    die(old, reason="http_5xx", status=503)
    make_endpoint(name="acme", tenant="acme")
    acmes = told(tenant="acme")
    deliveries = Delivery.objects.order_by("pk")

    assert [*deliveries.until(MOMENT + timedelta(days=1))] == [old]
    assert [*deliveries.with_status(503)] == [old]
    assert [*deliveries.with_status(0)] == [*deliveries.with_status(None)] == [new, acmes]
    assert [*deliveries.for_tenant("acme")] == [acmes]
    assert [*deliveries.for_tenant("")] == [old, new]
    assert [*deliveries.about(author)] == [*deliveries.about(old.event.source)] == [old]
    assert [*deliveries.about()] == []


def test_deliveries_of_a_redelivery_are_those_it_sent(endpoint, author):
    one, two = told(source=author), told()
    die(one, two)
    batch = Delivery.objects.dead().about(author).redeliver(by="ann", rate=1000)
    tasks.drain()

    assert [*Delivery.objects.of_batch(batch)] == [one]
    assert [*Delivery.objects.of_batch(batch.pk, "delivered")] == [one]
    assert [*Delivery.objects.of_batch(batch, "failed")] == []


def test_what_was_said_survives_a_cache(endpoint):
    told()

    rows = pickle.loads(pickle.dumps(Delivery.objects.pending().since(MOMENT)))

    assert rows.count() == len(rows) == 1


# ── sent again


WORDS = {
    "dead": (lambda rows: rows.dead(), {"state": "dead"}),
    "delivered": (lambda rows: rows.delivered(), {"state": "delivered"}),
    "of_type": (lambda rows: rows.of_type("order.*"), {"event_type": "order.*"}),
    "everything": (lambda rows: rows.of_type("*"), {"event_type": "*"}),
    "because": (lambda rows: rows.because(Fault.TIMEOUT), {"reason": "timeout"}),
    "since": (lambda rows: rows.since(MOMENT), {"since": MOMENT}),
    "until": (lambda rows: rows.until(MOMENT), {"until": MOMENT}),
    "for_tenant": (lambda rows: rows.for_tenant("acme"), {"tenant": "acme"}),
    "with_status": (lambda rows: rows.with_status(503), {"status": 503}),
    "no_status": (lambda rows: rows.with_status(None), {"status": 0}),
    "of_batch": (lambda rows: rows.of_batch(7), {"batch": (7, "")}),
    "about": (lambda rows: rows.about("shop.order:7"), {"source": "shop.order:7"}),
    "ordered": (lambda rows: rows.dead().order_by("-pk"), {"state": "dead"}),
    "nothing": (lambda rows: rows, {}),
    "named": (lambda rows: rows.since(moment=MOMENT), {"since": MOMENT}),
    "named_too": (lambda rows: rows.of_batch(7, which="left"), {"batch": (7, "left")}),
    "twice": (lambda rows: rows.dead().of_batch(7).dead(), {"state": "dead", "batch": (7, "")}),
}  # fmt: skip


@pytest.mark.parametrize("name", WORDS)
def test_what_was_said_is_remembered_and_says_the_same_again(name, endpoint):
    say, words = WORDS[name]

    rows = say(Delivery.objects.all())

    assert rows.said == words
    if words.get("state") or not words:
        words = {"state": ["dead", "delivered"], **words}
    kept = selection_of(**{"state": ["dead", "delivered"], **words})
    again = selected(kept, using="default")
    assert {*again} == {*rows.filter(state__in=["dead", "delivered"])}


UNSAID = {
    "a filter": lambda rows: rows.dead().filter(attempts_made=10),
    "a filter before": lambda rows: rows.filter(attempts_made=10).dead(),
    "an exclusion": lambda rows: rows.dead().exclude(last_status=503),
    "either": lambda rows: rows.dead().since(MOMENT) | rows.delivered().since(MOMENT),
    "both": lambda rows: rows.dead() & rows.filter(attempts_made=10),
    "a slice": lambda rows: rows.dead().order_by("pk")[:100],
    "a union": lambda rows: rows.dead().union(rows.delivered()),
    "two reasons": lambda rows: rows.because("timeout", "dns"),
    "one type and another": lambda rows: rows.of_type("order.*").of_type("order.paid"),
    "a moment of the database": lambda rows: rows.since(Now() - timedelta(days=9)),
    "two objects": lambda rows: rows.about("shop.order:7", "shop.order:8"),
    "no tenant": lambda rows: rows.for_tenant(""),
    "a state that cannot be sent": lambda rows: rows.pending(),
    "names": lambda rows: rows.named("7"),
    "nothing at all": lambda rows: rows.dead().none(),
    "an endpoint's own": lambda rows: Endpoint.objects.get().deliveries.dead(),
}


@pytest.mark.parametrize("name", UNSAID)
def test_what_was_narrowed_otherwise_is_kept_by_number(name, endpoint):
    die(told(), told())
    told()
    rows = UNSAID[name](Delivery.objects.all())
    meant = {each.pk for each in rows}

    batch = rows.redeliver(by="ann", rate=5)

    assert rows.said is None
    assert batch.selection == {"state": ["dead", "delivered"], "ids": sorted(meant)}


def test_what_a_sentence_says_is_stored_in_its_words_and_sent_at_its_rate(endpoint):
    die(told(), told("other"))
    rows = Delivery.objects.dead().for_endpoint(endpoint).of_type("order.*").because("timeout")

    batch = rows.redeliver(by="ann", reason="mended", rate=10, canary=1, stop_above=50)

    assert isinstance(batch, RedeliveryBatch)
    assert batch.selection == {
        "state": "dead",
        "endpoint": endpoint.pk,
        "event_type": "order.*",
        "reason": "timeout",
    }
    assert (batch.by_name, batch.reason, batch.rate_per_second) == ("ann", "mended", 10)
    assert (batch.canary, batch.stop_above, batch.once, batch.expected) == (1, 50, False, 1)
    tasks.drain()
    assert [each.delivery.event.event_type for each in Transition.objects.all()] == ["order.paid"]


def test_without_a_state_what_is_dead_or_delivered_is_sent_as_without_a_rate(endpoint):
    died, arrived, waits = told(), told(), told()
    die(died)
    ended = {"due_at": None, "ended_at": Now(), "attempts_made": 1}
    Delivery.objects.filter(pk=arrived.pk).update(state="delivered", **ended)

    batch = Delivery.objects.for_endpoint(endpoint).redeliver(by="ann", rate=1000, once=True)
    assert (batch.once, batch.expected) == (True, 2)
    tasks.drain()

    sent = {*Transition.objects.values_list("delivery", flat=True)}
    assert sent == {died.pk, arrived.pk}
    assert waits.pk not in sent


@pytest.mark.parametrize("named", [False, True], ids=["sentence", "numbers"])
def test_what_arrives_after_it_was_asked_for_is_not_sent_again(receiver, send_due, endpoint, named):
    first, second = told(), told()
    die(first)
    rows = Delivery.objects.for_endpoint(endpoint)

    batch = (rows.filter(attempts_forgiven=0) if named else rows).redeliver(rate=1)
    feed()
    send_due()
    feed(2)
    send_due()

    batch.refresh_from_db()
    assert (batch.state, batch.sent) == ("done", 1)
    assert [each.delivery_id for each in Transition.objects.all()] == [first.pk]
    came = [each.webhook_id for each in receiver.received]
    assert came.count(second.event.webhook_id) == 1


def test_without_a_rate_all_are_due_at_once(endpoint):
    die(told(), told())

    done = Delivery.objects.dead().redeliver(by="ann", reason="mended")

    assert (done.count, done.left) == (2, 0)
    assert not RedeliveryBatch.objects.exists()


def test_a_canary_needs_a_rate(endpoint):
    with pytest.raises(TypeError, match="canary: only with a rate"):
        Delivery.objects.dead().redeliver(by="ann", canary=5)


def test_too_many_of_what_cannot_be_kept_are_refused_with_the_words_that_can(endpoint, monkeypatch):
    monkeypatch.setattr(gradual, "MOST", 2)
    die(told(), told(), told())

    with pytest.raises(gradual.TooMany, match=r"dead\(\), for_endpoint\(\)"):
        Delivery.objects.dead().filter(attempts_made=10).redeliver(rate=1)
    assert Delivery.objects.dead().filter(attempts_made=10)[:2].redeliver(rate=1).expected == 2
    assert Delivery.objects.dead().redeliver(rate=1).expected == 3


def test_words_that_make_no_sense_are_refused(endpoint):
    with pytest.raises(InvalidSelection, match="no reason"):
        Delivery.objects.dead().because("tiredness").redeliver(rate=1)


# ── events


def test_events_are_asked_for_by_what_they_are_about(author):
    other = Author.objects.create(name="Bob")
    mine, theirs, _neither = (publish("a", {}, source=who) for who in (author, other, ""))

    assert [*Event.objects.about(author)] == [mine]
    assert {*Event.objects.about(author, f"library.author:{other.pk}")} == {mine, theirs}
    assert [*Event.objects.about()] == []
    with pytest.raises(ValueError, match="never saved"):
        Event.objects.about(Author())


def test_what_an_event_is_about_is_compared_exactly():
    publish("a", {}, source="shop.order:a")

    assert not Event.objects.about("shop.order:A").exists()
    assert not Event.objects.about("shop.order:a ").exists()


def test_events_are_asked_for_by_type_tenant_and_time():
    paid, _other, acmes = publish("order.paid"), publish("Order.paid"), publish("a", tenant="acme")
    Event.objects.filter(pk=acmes.pk).update(created_at=MOMENT)

    assert [*Event.objects.of_type("order.*")] == [*Event.objects.of_type("order.paid")] == [paid]
    assert Event.objects.of_type("*").count() == 3
    assert [*Event.objects.for_tenant("acme")] == [acmes]
    assert [*Event.objects.for_tenant("acme").since(MOMENT + timedelta(seconds=1))] == []
    assert Event.objects.since(timezone.now() - timedelta(hours=1)).count() == 2


def test_events_that_have_not_reached_all_are_undelivered(endpoint):
    make_endpoint(name="second")
    half, whole, hidden, dead = (publish("a") for _ in range(4))
    Delivery.objects.filter(event__in=[whole, hidden, dead]).update(state="delivered", due_at=None)
    half.deliveries.filter(endpoint=endpoint).update(state="delivered", due_at=None)
    hidden.deliveries.filter(endpoint=endpoint).update(state="discarded")
    dead.deliveries.filter(endpoint=endpoint).update(state="dead")

    assert {*Event.objects.undelivered()} == {half, dead}


# ── endpoints


def test_endpoints_are_asked_for_by_how_they_are(endpoint):
    paused, off = make_endpoint(name="p", state="paused"), make_endpoint(name="o", state="off")
    ill = make_endpoint(name="ill", tenant="acme")
    owe(1, ill)
    [claimed] = claim(1)
    settle(found(claimed, 503))
    block(paused)

    assert [*Endpoint.objects.failing()] == [ill]
    assert {*Endpoint.objects.on()} == {endpoint, ill}
    assert [*Endpoint.objects.paused()] == [paused]
    assert [*Endpoint.objects.off()] == [off]
    assert [*Endpoint.objects.for_tenant("acme").on()] == [ill]
    assert Lane.objects.get(endpoint=ill).failing_since is not None


def test_endpoints_are_asked_for_by_what_they_hear():
    exactly = make_endpoint("https://a.example/", "order.created", "order.*")
    widely = make_endpoint("https://b.example/", "*")
    make_endpoint("https://c.example/", "order.paid", "orders.*")

    hearing = Endpoint.objects.hearing("order.created").order_by("pk")

    assert [*hearing] == [exactly, widely]
    assert hearing.update(max_in_flight=1) == 2


def test_a_redelivery_says_what_it_is_about():
    from webhook_delivery.admin import words

    assert words.chosen({"state": "dead", "source": "shop.order:7"}, {}) == (
        "Dead letters · about shop.order:7"
    )
    assert batches.preview(selection_of(source="shop.order:7")).chosen.of == 0
