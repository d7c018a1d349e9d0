"""What is old goes by itself, a bounded bite at a time; what may still be needed never does."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import make_endpoint
from webhook_delivery import pruning, verification
from webhook_delivery.models import (
    Attempt,
    ConsoleAction,
    Delivery,
    Endpoint,
    EndpointStat,
    Event,
    RedeliveryBatch,
    SearchKey,
    Transition,
    Walk,
)
from webhook_delivery.models.event import first_at
from webhook_delivery.pruning import Tally

pytestmark = pytest.mark.django_db(transaction=True)

DB = "default"
DAY = timedelta(days=1)


def prune(**options) -> Tally:
    return pruning.prune(using=DB, seconds=30, pauses=0, **options)


def born(days: float, **fields) -> Event:
    """An event of so many days ago, with an id of that time."""
    at = timezone.now() - days * DAY
    number = uuid.UUID(int=first_at(at).int | uuid.uuid4().int & (1 << 62) - 1)
    fields = {"event_type": "order.paid", "body": b'{"a": 1}'} | fields
    return Event.objects.create(pk=number, created_at=at, **fields)


def owed(event: Event, to: Endpoint, state: str = "delivered", days: float = 0) -> Delivery:
    """A delivery that ended so many days ago, with a log that says so; or one that has not."""
    at = timezone.now() - days * DAY
    ended = state in Delivery.TERMINAL
    delivery = Delivery.objects.create(
        event=event,
        event_type=event.event_type,
        endpoint=to,
        state=state,
        created_at=event.created_at,
        ended_at=at if ended else None,
        due_at=None if ended or state == "held" else event.created_at,
        attempts_made=1 if ended or state == "sending" else 0,
        last_status=200 if state == "delivered" else 503 if ended else None,
        reason="" if state == "delivered" or not ended else "http_5xx",
        claim=uuid.uuid4() if state == "sending" else None,
    )
    if ended:
        log(delivery)
    return delivery


def log(delivery: Delivery) -> None:
    delivered = delivery.state == "delivered"
    Attempt.objects.create(
        delivery=delivery,
        number=1,
        trigger="schedule",
        started_at=delivery.ended_at,
        status=delivery.last_status,
        fault=delivery.reason,
        verdict="delivered" if delivered else "dead",
    )
    if delivery.state == "discarded":
        Transition.objects.create(delivery=delivery, after=1, verb="discard", at=delivery.ended_at)


@pytest.fixture
def to(db) -> Endpoint:
    return make_endpoint()


# ── what goes, and what stays


@pytest.mark.parametrize(
    ("state", "days", "goes"),
    [
        ("delivered", 29.9, False),
        ("delivered", 30.1, True),
        ("dead", 30.1, False),
        ("dead", 89.9, False),
        ("dead", 90.1, True),
        ("discarded", 89.9, False),
        ("discarded", 90.1, True),
        ("pending", 3650, False),
        ("held", 3650, False),
        ("sending", 3650, False),
    ],
)
def test_a_delivery_goes_so_long_after_it_ended_and_never_before(to, state, days, goes):
    owed(born(3651), to, state, days)
    Endpoint.objects.update(state="paused" if state == "held" else "on")

    prune()

    kinds = (Delivery, Event, Attempt, Transition)
    left = {kind.__name__: kind.objects.exists() for kind in kinds}
    assert left["Delivery"] is not goes
    assert left["Event"] is not goes
    assert not (goes and any(left.values()))
    assert [*verification.verify(using=DB)] == []


def test_an_event_stays_while_anything_of_it_is_kept(to):
    event, other = born(40), make_endpoint("https://other.example/")
    owed(event, to, days=35)
    owed(event, other, "dead", days=35)

    prune()

    assert Delivery.objects.get().state == "dead"
    assert bytes(Event.objects.get().body) == b'{"a": 1}'
    Delivery.objects.update(ended_at=timezone.now() - 91 * DAY)
    prune()
    assert not Event.objects.exists()


def test_an_event_that_was_owed_to_nobody_goes_by_its_own_age():
    young, old = born(29), born(31)
    SearchKey.objects.create(event=old, key="order_id", value="7")

    prune()

    assert [event.pk for event in Event.objects.all()] == [young.pk]
    assert not SearchKey.objects.exists()


@pytest.mark.parametrize("name", ["DELIVERED", "DEAD"])
def test_none_is_for_ever(to, settings, name):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, f"RETAIN_{name}_DAYS": None}
    state = name.lower()
    owed(born(3651), to, state, days=3650)

    prune()

    assert Delivery.objects.get().state == state


def test_what_was_kept_for_ever_goes_once_that_is_said(to, settings):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "RETAIN_DELIVERED_DAYS": None}
    born(500)
    prune()
    assert Event.objects.exists()

    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "RETAIN_DELIVERED_DAYS": 1}

    assert prune().events == 1


def test_the_databases_clock_decides(to, database_clock):
    owed(born(29), to, days=29)
    prune()
    assert Delivery.objects.exists()

    database_clock.step(2 * 86_400)

    assert prune().deliveries == 1


def test_what_people_did_and_hours_go_by_their_own_ages(to):
    now = timezone.now()
    for days in (364, 366):
        ConsoleAction.objects.create(verb="test", count=0, created_at=now - days * DAY)
        RedeliveryBatch.objects.create(
            selection={}, cutoff=0, expected=0, state="done", ended_at=now - days * DAY
        )
    RedeliveryBatch.objects.create(
        selection={}, cutoff=0, expected=0, state="paused", created_at=now - 900 * DAY
    )
    for days in (89, 91):
        EndpointStat.objects.create(endpoint=to, hour=now - days * DAY)

    tally = prune()

    assert (tally.actions, tally.batches, tally.hours) == (1, 1, 1)
    assert {batch.state for batch in RedeliveryBatch.objects.all()} == {"done", "paused"}


def test_a_redelivery_is_told_of_as_long_as_a_log_names_it(to):
    batch = RedeliveryBatch.objects.create(
        selection={}, cutoff=0, expected=1, state="done", ended_at=timezone.now() - 400 * DAY
    )
    delivery = owed(born(40), to, days=20)
    Transition.objects.create(
        delivery=delivery, after=0, verb="redeliver", at=timezone.now(), batch=batch
    )
    prune()
    assert RedeliveryBatch.objects.exists()

    Delivery.objects.update(ended_at=F("ended_at") - 20 * DAY)
    prune()

    assert not RedeliveryBatch.objects.exists()


STATES = st.sampled_from(Delivery.State.values)
AGES = st.floats(0, 200)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)
@given(rows=st.lists(st.tuples(STATES, AGES, st.integers(0, 3)), max_size=12))
def test_whatever_there_is_only_what_ended_long_ago_goes(to, rows):
    clean()
    events = [born(200) for _ in range(4)]
    endpoints = [to, *(make_endpoint(f"https://e{n}.example/") for n in range(len(rows)))]
    made = [
        owed(events[number], endpoints[place], state, days)
        for place, (state, days, number) in enumerate(rows)
    ]
    kept_for = {"delivered": 30, "dead": 90, "discarded": 90}
    stays = {
        row.pk
        for row, (state, days, _) in zip(made, rows, strict=True)
        if days < kept_for.get(state, 1000)
    }

    prune()

    assert set(Delivery.objects.values_list("pk", flat=True)) == stays
    assert {event.pk for event in Event.objects.all()} == {
        row.event_id for row in made if row.pk in stays
    }


def clean() -> None:
    for model in (Transition, Attempt, Delivery, Event, Walk):
        model.objects.all()._raw_delete(DB)
