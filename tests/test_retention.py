"""What is old goes by itself, a bounded bite at a time; what may still be needed never does."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.db.models import F
from django.utils import timezone
from django_q.models import OrmQ
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from example_project.settings import BASE_DIR
from tests.conftest import make_endpoint
from tests.owing import statements
from tests.owners.models import Dispute, Receipt, Remark
from tests.processes import environment, wait_until
from webhook_delivery import (
    forwarding,
    health,
    loop,
    missing,
    pruning,
    publish,
    redelivery,
    retention,
    scheduling,
    tasks,
    verification,
)
from webhook_delivery.management.verbs import keeping
from webhook_delivery.models import (
    Attempt,
    ConsoleAction,
    Delivery,
    Endpoint,
    EndpointStat,
    Event,
    KeptAnswer,
    Notice,
    RedeliveryBatch,
    SearchKey,
    Transition,
    Walk,
)
from webhook_delivery.models.event import first_at
from webhook_delivery.pruning import Tally, deliveries, events
from webhook_delivery.pruning.deleting import CHUNK

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

    foretold = pruning.foretell(using=DB)
    tally = prune()

    assert (tally.actions, tally.batches, tally.hours) == (1, 1, 1)
    assert [foretold[name].of for name in ("actions", "batches", "hours")] == [1, 1, 1]
    assert {batch.state for batch in RedeliveryBatch.objects.all()} == {"done", "paused"}


def test_mails_and_answers_go_by_their_own_ages_and_what_is_not_done_with_stays(to):
    now = timezone.now()
    for days in (364, 366):
        told = {"endpoint": to, "kind": "disabled", "created_at": now - days * DAY}
        Notice.objects.create(**told, sent_at=now)
        Notice.objects.create(**told)  # given up
        Notice.objects.create(**told, due_at=now)
    for hours in (23, 25):
        at = now - timedelta(hours=hours)
        KeptAnswer.objects.create(digest=f"{hours}", claim=uuid.uuid4(), created_at=at)

    foretold = pruning.foretell(using=DB)
    tally = prune()

    assert (tally.notices, tally.answers, tally.rows) == (2, 1, 3)
    assert (foretold["notices"].of, foretold["answers"].of) == (2, 1)
    left = Notice.objects.filter(due_at=None).count(), Notice.objects.exclude(due_at=None).count()
    assert left == (2, 2)
    assert KeptAnswer.objects.get().digest == "23"


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
    happened = [born(200) for _ in range(4)]
    endpoints = [to, *(make_endpoint(f"https://e{n}.example/") for n in range(len(rows)))]
    made = [
        owed(happened[number], endpoints[place], state, days)
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


# ── the key outlives what was said


def test_an_idempotency_key_is_still_used_when_its_event_is_gone(to):
    first = born(60, tenant="acme", idempotency_key="order-7")
    owed(first, to, days=50)
    SearchKey.objects.create(event=first, key="order_id", value="7")
    prune()

    again = publish("order.paid", {"number": 7}, tenant="acme", idempotency_key="order-7")

    assert again.pk == first.pk
    stub = Event.objects.get()
    assert (bytes(stub.body), stub.hollow) == (b"", True)
    assert not Delivery.objects.exists()
    assert not SearchKey.objects.exists()


def test_a_key_can_be_used_again_once_its_time_is_over(to, settings):
    first = born(91, idempotency_key="order-7")
    owed(first, to, days=80)

    prune()

    assert publish("order.paid", {}, idempotency_key="order-7").pk != first.pk


def test_a_stub_goes_when_its_key_need_not_be_kept_any_more(to, settings):
    born(60, idempotency_key="order-7")
    assert prune().bodies == 1
    assert prune().rows == 0
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "RETAIN_KEYS_DAYS": 59}
    Walk.objects.update(began_at=timezone.now() - 2 * DAY)
    prune()  # the round ends

    assert prune().events == 1


# ── bodies that go before


@pytest.fixture
def short(settings):
    """Bodies are kept for a week."""
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "RETAIN_BODIES_DAYS": 7}


@pytest.mark.parametrize("state", Delivery.State.values)
def test_a_body_goes_before_its_event_and_never_while_it_may_be_sent(to, short, state):
    event = born(8)
    owed(event, to, days=8)
    owed(event, make_endpoint("https://other.example/"), state, days=1)
    born(6)

    tally = prune()

    assert tally.bodies == (1 if state in Delivery.TERMINAL else 0)
    event.refresh_from_db()
    assert event.hollow is (state in Delivery.TERMINAL)
    assert Delivery.objects.count() == 2


def test_a_body_that_could_not_go_yet_does_so_the_next_day(to, short):
    delivery = owed(born(8), to, "pending")
    prune()
    Delivery.objects.filter(pk=delivery.pk).update(state="dead", ended_at=timezone.now())
    assert prune().bodies == 0

    Walk.objects.update(began_at=timezone.now() - 1.1 * DAY)
    prune()

    assert prune().bodies == 1


def test_what_has_no_body_is_redelivered_by_nobody(to, short, receiver, send_due):
    delivery = owed(born(8), to, "dead", days=1)
    prune()

    done = Delivery.objects.all().redeliver(by="ann")
    batch = Delivery.objects.dead().redeliver(rate=10, by="ann")
    tasks.drain()
    batch.refresh_from_db()

    assert (done.count, done.left) == (0, 1)
    assert (batch.sent, batch.left) == (0, 1)
    delivery.refresh_from_db()
    assert delivery.state == "dead"
    assert "removed when its time was over" in redelivery.obstacle(delivery)
    assert "Nothing was redelivered" in redelivery.message_of_redelivery(done)


def test_an_event_without_its_body_is_sent_nowhere_else(short, receiver):
    event = born(8)
    prune()
    to = make_endpoint(receiver.url())
    event.refresh_from_db()

    forwarded = forwarding.forward(event, to.pk)

    assert forwarded.delivery is None
    assert "removed when its time was over" in forwarded.obstacle
    since = timezone.now() - 20 * DAY
    assert not missing.missed(to, since, using=DB).exists()


def test_never_is_an_empty_body_sent_whatever_went_wrong(receiver, endpoint, send_due):
    """As if an older version had redelivered it while its body was being removed."""
    publish("order.paid", {"number": 7})
    Event.objects.update(body=b"", pruned_at=timezone.now())

    send_due()

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.reason) == ("dead", "erased")
    assert receiver.received == []
    assert Attempt.objects.get().detail == "Its event's body is gone."
    assert [*verification.verify(using=DB)] == []


# ── a bite at a time


def many(count: int, to: Endpoint, *, attempts: int = 1, days: float = 40) -> None:
    """So many delivered deliveries, with so many attempts each, in few statements."""
    at = timezone.now() - days * DAY
    rows = [Event(event_type="order.paid", body=b"{}", created_at=at) for _ in range(count)]
    for event in rows:
        event.pk = uuid.UUID(int=first_at(at).int | uuid.uuid4().int & (1 << 62) - 1)
    Event.objects.bulk_create(rows, batch_size=500)
    Delivery.objects.bulk_create(
        [
            Delivery(
                event=event,
                event_type="order.paid",
                endpoint=to,
                state="delivered",
                created_at=at,
                ended_at=at,
                attempts_made=attempts,
                last_status=200,
            )
            for event in rows
        ],
        batch_size=500,
    )
    ids = Delivery.objects.filter(ended_at=at).values_list("pk", flat=True)
    Attempt.objects.bulk_create(
        [
            Attempt(
                delivery_id=pk,
                number=number,
                trigger="schedule",
                started_at=at,
                verdict="delivered" if number == attempts else "retry",
                status=200 if number == attempts else 503,
                fault="" if number == attempts else "http_5xx",
            )
            for pk in ids
            for number in range(1, attempts + 1)
        ],
        batch_size=500,
    )


def test_no_statement_takes_more_than_a_bite(to):
    many(CHUNK + 20, to)

    with statements() as said, touched() as rows:
        tally = prune()

    assert (tally.deliveries, tally.events, tally.done) == (CHUNK + 20, CHUNK + 20, True)
    assert max(rows) == CHUNK
    assert len(said) < 80


def test_a_bite_is_smaller_where_logs_are_long(to, monkeypatch):
    monkeypatch.setattr(deliveries, "MOST_ATTEMPTS", 50)
    many(30, to, attempts=8)

    with touched() as rows:
        prune()

    assert max(rows) <= 50
    assert not Attempt.objects.exists()


@contextmanager
def touched() -> Iterator[list[int]]:
    """How many rows each statement that deletes or updates has changed."""
    counts: list[int] = []

    def noted(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if sql.startswith(("DELETE", "UPDATE")):
            counts.append(context["cursor"].rowcount)
        return result

    with connection.execute_wrapper(noted):
        yield counts


def test_it_ends_when_its_time_is_up_and_the_next_goes_on(to):
    many(CHUNK + 1, to)

    first = pruning.prune(using=DB, seconds=0.000_001)
    left = Delivery.objects.count()

    assert (first.done, left) == (False, 1)
    assert prune().done
    assert not Delivery.objects.exists()


if connection.vendor == "postgresql":

    def test_what_is_old_is_found_by_an_index(to):
        many(3000, to)
        Delivery.objects.update(ended_at=F("ended_at") - timedelta(milliseconds=1) * F("pk"))
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        rows = retention.ended("delivered", using=DB)

        plan = rows.order_by("ended_at", "pk")[:CHUNK].explain()

        assert "webhook_delivery_ended_idx" in plan
        assert "Sort" not in plan


# ── beside others


def test_two_at_once_and_a_drain_harm_nobody(receiver, to):
    many(900, to)
    target = make_endpoint(receiver.url())
    for number in range(40):
        publish("order.created", {"number": number}, endpoints=[target])
    tallies, errors = [], []

    def beside(act) -> None:
        try:
            tallies.append(act())
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    acts = [prune, prune, lambda: loop.once(using=DB, seconds=10)]
    threads = [threading.Thread(target=beside, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    prune()

    assert errors == []
    assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered"}
    assert Event.objects.count() == Delivery.objects.count() == len(receiver.received) == 40
    assert [*verification.verify(using=DB)] == []


def test_whoever_is_redelivered_meanwhile_stays(to):
    """What another transaction has locked is left for the next run."""
    if not connection.features.has_select_for_update_skip_locked:
        return
    delivery = owed(born(40), to, days=35)
    with transaction.atomic():
        Delivery.objects.select_for_update().get(pk=delivery.pk)
        other = threading.Thread(target=lambda: (prune(), connections.close_all()))
        other.start()
        other.join()
        Delivery.objects.all().redeliver()

    prune()

    assert Delivery.objects.get().state == "pending"
    assert bytes(Event.objects.get().body) == b'{"a": 1}'


def test_killed_in_the_middle_it_leaves_nothing_half_gone(to):
    many(6 * CHUNK, to, attempts=2)
    command = [sys.executable, "manage.py", "webhooks", "prune"]
    process = subprocess.Popen(
        command, cwd=BASE_DIR, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    wait_until(lambda: Delivery.objects.count() < 6 * CHUNK, seconds=30)
    process.send_signal(signal.SIGKILL)
    process.communicate()

    left = Delivery.objects.count()

    assert 0 < left < 6 * CHUNK
    assert (Event.objects.count(), Attempt.objects.count()) == (left, 2 * left)
    assert [*verification.verify(using=DB)] == []
    assert prune().deliveries == left


# ── rows of other apps


def test_rows_of_other_apps_have_their_say(to):
    gone, kept = owed(born(40), to, days=35), owed(born(40), to, days=36)
    Receipt.objects.create(delivery=gone)
    remark = Remark.objects.create(delivery=gone)
    Dispute.objects.create(delivery=kept)
    event = born(50)
    Dispute.objects.create(event=event)

    prune()

    assert Delivery.objects.get() == kept
    assert not Receipt.objects.exists()
    remark.refresh_from_db()
    assert remark.delivery_id is None
    assert {each.pk for each in Event.objects.all()} == {kept.event_id, event.pk}
    assert health.examine() == [] or "retention" not in {i.code for i in health.examine()}


def test_one_row_that_an_unknown_table_points_at_keeps_no_other(to, caplog):
    many(9, to)
    stuck = Delivery.objects.order_by("?").first()
    kind = {"postgresql": "bigint", "mysql": "bigint", "sqlite": "integer"}[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE unknown_to_django (delivery_id {kind} NOT NULL, "
            "FOREIGN KEY (delivery_id) REFERENCES webhook_delivery_delivery (id))"
        )
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO unknown_to_django VALUES ({stuck.pk})")
        tally = prune()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE unknown_to_django")

    assert (tally.deliveries, tally.refused, tally.done) == (8, 1, True)
    assert Delivery.objects.get() == stuck
    assert f"{stuck.pk} cannot be deleted" in caplog.text


# ── who does it


def test_the_sweep_prunes_and_asks_for_a_task_if_that_is_not_enough(to, monkeypatch):
    owed(born(40), to, days=35)
    tasks.sweep()
    assert not Delivery.objects.exists()

    monkeypatch.setattr(tasks, "PRUNE_SECONDS", 0)
    owed(born(40), to, days=35)
    owed(born(100), to, "dead", days=95)
    OrmQ.objects.all().delete()
    tasks.sweep()

    assert "webhook_delivery.tasks.prune" in str([row.task for row in OrmQ.objects.all()])
    assert Delivery.objects.exists()
    tasks.prune()
    assert not Delivery.objects.exists()


def test_one_task_prunes_after_the_other_and_no_more_than_one_at_once(to, monkeypatch):
    monkeypatch.setattr(tasks, "PRUNE_SECONDS", 0)
    monkeypatch.setattr(scheduling, "seconds_to_prune", lambda: 0)
    many(4 * CHUNK, to)

    for queued in (1, 1, 2):
        if queued == 2:
            tasks.prune()  # the one that the first sweep asked for: it asks for the next
        else:
            tasks.sweep()
        asked = [row for row in OrmQ.objects.all() if "tasks.prune" in str(row.task)]
        assert len(asked) == queued


def test_a_loop_prunes_without_django_q(to):
    owed(born(40), to, days=35)
    asked: list[int] = []

    def stopped() -> bool:
        asked.append(1)
        return not Delivery.objects.exists() or len(asked) > 300

    loop.run(using=DB, stopped=stopped)

    assert not Delivery.objects.exists()


def test_one_drain_from_cron_prunes_too(to):
    owed(born(40), to, days=35)

    call_command("webhooks", "drain", "--seconds", "5")

    assert not Delivery.objects.exists()


def test_a_pruner_that_fails_leaves_the_drain_alone(to, monkeypatch, caplog):
    def fail(*args):
        raise RuntimeError("a bug")

    monkeypatch.setattr(deliveries.Deliveries, "bite", fail)
    pruner = pruning.Pruner(DB)

    pruner()

    assert "a bug" in caplog.text
    assert pruner.left() > 30


def test_what_is_wrong_with_one_kind_keeps_no_other_and_is_told_at_the_end(to, monkeypatch):
    def fail(*args):
        raise RuntimeError("a bug")

    owed(born(40), to, days=35)
    monkeypatch.setattr(events.Events, "bite", fail)

    with pytest.raises(RuntimeError, match="a bug"):
        prune()

    assert not Delivery.objects.exists()


def test_health_says_when_retention_does_not_keep_up(to):
    tasks.sweep()
    owed(born(40), to, days=32)
    assert health.examine() == []

    owed(born(40), to, "discarded", days=94)

    [illness] = health.examine()
    assert illness.code == "retention"
    assert "discarded are kept 3 days longer than RETAIN_DEAD_DAYS" in illness.seen
    assert health.glance(using=DB) == [illness]


# ── the command


def webhooks(*arguments: str) -> tuple[str, int]:
    out = io.StringIO()
    try:
        call_command("webhooks", *arguments, stdout=out)
    except SystemExit as end:
        return out.getvalue(), int(end.code or 0)
    return out.getvalue(), 0


def test_prune_says_what_would_go_and_then_lets_it_go(to):
    owed(born(40), to, days=35)
    owed(born(100), to, "dead", days=95)
    born(60)
    born(60, idempotency_key="a")

    said, code = webhooks("prune", "--dry-run", "--json")
    foretold = {name: number["of"] for name, number in json.loads(said).items()}

    assert code == 0
    assert (foretold["delivered"], foretold["dead"]) == (1, 1)
    assert foretold["events"] == 1
    assert "1  delivered" in webhooks("prune", "--dry-run")[0]
    assert Delivery.objects.count() == 2
    said, code = webhooks("prune", "--json")
    done = json.loads(said)
    assert (done["deliveries"], done["events"], done["bodies"], code) == (2, 3, 1, 0)
    assert webhooks("prune") == ("Gone: nothing. Nothing is left.\n", 0)


def test_prune_exits_with_3_when_its_time_was_up(to, monkeypatch):
    monkeypatch.setattr(keeping.pruning, "prune", lambda **options: Tally(deliveries=7))

    said, code = webhooks("prune")

    assert (said, code) == ("Gone: 7 deliveries. The time was up: there is more.\n", 3)


# ── the copy


def test_a_copy_of_what_retention_deleted_shows_no_loss(to, tmp_path):
    owed(born(100), to, days=50)
    lost = owed(born(100), to, "dead", days=50)
    copy = tmp_path / "copy.jsonl"
    webhooks("export", str(copy))
    prune()
    assert webhooks("verify", "--from", str(copy))[1] == 0
    Attempt.objects.filter(delivery=lost).delete()
    Delivery.objects.filter(pk=lost.pk).delete()

    said, code = webhooks("verify", "--from", str(copy))

    assert code == 1
    assert f"delivery {lost.pk}" in said
    assert "Gone since, for their time was over: 1." in said
