"""The doorbell, its watch and its alarm: how a commit becomes a drain."""

from datetime import timedelta

import pytest
from django.db import OperationalError, transaction
from django.test import TestCase
from django.utils import timezone
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.signals import post_spawn
from django_q.signing import SignedPackage

from tests.conftest import make_endpoint
from tests.processes import run
from webhook_delivery import doorbell, lifecycle, publish, scheduling, tasks
from webhook_delivery.clock import Now
from webhook_delivery.models import Delivery, Doorbell

pytestmark = pytest.mark.django_db(transaction=True)


def queued() -> list[dict]:
    return [SignedPackage.loads(row.payload) for row in OrmQ.objects.order_by("pk")]


def arm(due: float | None = None) -> None:
    doorbell.arm(doorbell.soonest("default") if due is None else due, using="default")


def test_a_ring_queues_one_drain_without_arguments():
    assert doorbell.ring(using="default")

    [task] = queued()
    assert task["func"] == "webhook_delivery.tasks.drain"
    assert (task["args"], task["kwargs"]) == ((), {})
    assert task["save"] is False
    assert task["ack_failure"] is True
    assert type(task["timeout"]) is int


def test_a_doorbell_that_rings_is_not_rung_again():
    assert doorbell.ring(using="default")
    assert not doorbell.ring(using="default")

    assert len(queued()) == 1


def test_a_doorbell_that_was_answered_can_be_rung_again():
    doorbell.ring(using="default")
    doorbell.answer(using="default")

    assert doorbell.ring(using="default")


def test_a_ring_that_was_lost_is_repaired_by_the_next():
    doorbell.ring(using="default")
    OrmQ.objects.all().delete()
    Doorbell.objects.update(rung_at=Now() - timedelta(seconds=6))

    assert doorbell.ring(using="default")
    assert len(queued()) == 1


def test_a_doorbell_that_was_deleted_is_put_back():
    Doorbell.objects.all().delete()
    assert not doorbell.ring(using="default")

    doorbell.answer(using="default")

    assert Doorbell.objects.get().drained_at is not None
    assert doorbell.ring(using="default")


def test_a_drain_stamps_its_heartbeat():
    doorbell.answer(using="default")

    assert Doorbell.objects.get().drained_at is not None


# ── where loops run, and perhaps no cluster


@pytest.fixture
def left_to_loops() -> None:
    """Only a loop has answered, ten times: the next ring would queue nothing."""
    for _ in range(10):
        doorbell.ring(using="default")
        doorbell.answer_alone(using="default")
    assert not doorbell.ring(using="default")


def test_where_only_loops_answer_few_tasks_are_queued(left_to_loops):
    assert len(queued()) == doorbell.UNTAKEN
    assert not Doorbell.objects.get().ringing


def test_a_task_that_is_taken_lets_the_next_ring_queue_one(left_to_loops):
    tasks.drain()

    assert doorbell.ring(using="default")
    assert len(queued()) == doorbell.UNTAKEN + 1


def test_a_worker_that_starts_lets_the_next_ring_queue_a_task(left_to_loops):
    doorbell.start_afresh()

    assert doorbell.ring(using="default")


def test_when_nobody_drains_any_more_a_ring_queues_a_task(left_to_loops):
    Doorbell.objects.update(drained_at=Now() - timedelta(minutes=11))

    assert doorbell.ring(using="default")


def test_a_loop_beside_a_cluster_leaves_it_its_tasks():
    for _ in range(10):
        assert doorbell.ring(using="default")
        doorbell.answer(using="default")
        doorbell.answer_alone(using="default")

    assert len(queued()) == 10


def test_a_ring_that_several_loops_answer_counts_once():
    doorbell.ring(using="default")
    for _ in range(10):
        doorbell.answer_alone(using="default")

    assert doorbell.ring(using="default")


def test_a_loop_puts_back_a_doorbell_that_was_deleted():
    Doorbell.objects.all().delete()

    doorbell.answer_alone(using="default")

    assert doorbell.ring(using="default")


# ── as a worker starts


def test_a_worker_that_starts_wakes_a_drain():
    doorbell.start_afresh()

    assert [task["func"] for task in queued()] == ["webhook_delivery.tasks.drain"]


def test_a_worker_that_starts_ends_the_watch_of_one_that_was_killed():
    Doorbell.objects.update(watched_until=timezone.now() + timedelta(seconds=60))

    doorbell.start_afresh()

    assert Doorbell.objects.get().watched_until is None


def test_a_worker_starts_though_the_database_is_away(monkeypatch, caplog):
    def away(using):
        raise OperationalError

    monkeypatch.setattr(doorbell, "_row", away)

    doorbell.start_afresh()

    assert "it ends by itself" in caplog.text
    assert len(queued()) == 1


def test_only_a_worker_of_a_cluster_starts_afresh():
    """A task in sync mode spawns a worker inside of its caller: that would never end."""
    post_spawn.send(sender="django_q", proc_name="worker")

    assert queued() == []


def test_the_receiver_is_connected_wherever_the_app_is_installed():
    ask = (
        "import django; django.setup(); from django_q.signals import post_spawn;"
        "print([key[0].__name__ for key, *_ in post_spawn.receivers])"
    )

    assert "start_afresh" in run("-c", ask)


def test_however_many_drains_end_with_something_overdue_one_follows(due_in):
    doorbell.answer(using="default")

    for _ in range(3):
        arm(0.0)

    assert len(queued()) == 1


def test_a_watch_is_ended_only_by_whose_it_is(due_in, monkeypatch):
    monkeypatch.setattr(scheduling, "can_be_told_a_time", lambda: False)
    with doorbell.watch(using="default") as first:
        doorbell.start_afresh()
        with doorbell.watch(using="default") as second:
            Doorbell.objects.update(watched_until=Now() + timedelta(seconds=99))

    assert first and second
    assert Doorbell.objects.get().watched_until is not None


# ── the alarm of the ORM broker


@pytest.fixture
def due_in():
    """One delivery that falls due in so many seconds."""
    make_endpoint()
    publish("a", {})
    OrmQ.objects.all().delete()

    def due_in(seconds: float) -> None:
        Delivery.objects.update(due_at=Now() + timedelta(seconds=seconds))

    return due_in


def test_an_alarm_may_not_go_off_before_its_time(due_in):
    due_in(30)
    arm()

    [row] = OrmQ.objects.all()
    assert timedelta(seconds=25) < row.lock - timezone.now() <= timedelta(seconds=30)


def test_only_an_earlier_alarm_is_armed_beside_another(due_in):
    for seconds in (30, 40, 20):
        due_in(seconds)
        arm()

    assert OrmQ.objects.count() == 2


def test_an_alarm_that_has_gone_off_makes_room(due_in):
    due_in(30)
    arm()
    Doorbell.objects.update(alarm_at=Now() - timedelta(seconds=1))

    arm()

    assert OrmQ.objects.count() == 2


def test_the_end_of_a_lease_is_an_alarm_too(due_in):
    due_in(-1)
    lifecycle.claim(1, using="default")

    arm()

    [row] = OrmQ.objects.all()
    assert timedelta(seconds=2) < row.lock - timezone.now() <= timedelta(seconds=5)


def test_nothing_to_come_is_no_alarm():
    arm()

    assert not OrmQ.objects.exists()


def test_in_sync_mode_no_alarm_recurses(due_in, monkeypatch):
    monkeypatch.setattr(Conf, "SYNC", True)
    due_in(30)

    arm()

    assert not OrmQ.objects.exists()


def test_with_the_orm_broker_no_drain_stays():
    with doorbell.watch(using="default") as seconds:
        assert seconds == 0


# ── the watch, with a broker that can be told no time


@pytest.fixture
def woken(monkeypatch) -> list[str]:
    monkeypatch.setattr(Conf, "ORM", None)
    calls: list[str] = []
    monkeypatch.setattr(scheduling, "wake", lambda: calls.append("woken"))
    return calls


def test_one_drain_stays_and_the_others_need_not(woken):
    with doorbell.watch(using="default") as first, doorbell.watch(using="default") as second:
        assert (first > 0, second) == (True, 0)

    with doorbell.watch(using="default") as third:
        assert third == first


def test_a_watch_whose_drain_was_killed_ends_by_itself(woken):
    Doorbell.objects.update(watched_until=Now() - timedelta(seconds=1))

    with doorbell.watch(using="default") as seconds:
        assert seconds > 0


def test_the_only_worker_hardly_stays(woken, monkeypatch):
    monkeypatch.setattr(Conf, "WORKERS", 1)

    with doorbell.watch(using="default") as seconds:
        assert seconds == 1


def test_what_falls_due_soon_is_handed_over_unless_it_is_watched(due_in, woken):
    due_in(30)
    with doorbell.watch(using="default"):
        arm()
    assert woken == []

    arm()
    assert woken == ["woken"]


def test_what_falls_due_late_is_the_sweeps(due_in, woken):
    due_in(600)

    arm()

    assert woken == []


def test_the_drain_that_watches_sends_what_falls_due(receiver, endpoint, woken):
    receiver.replies(503)
    publish("a", {})

    tasks.drain()

    assert Delivery.objects.get().state == "delivered"


# ── after the database's clock was set back


def test_a_ring_of_the_future_is_not_waited_for():
    doorbell.ring(using="default")
    Doorbell.objects.update(rung_at=Now() + timedelta(hours=1))

    assert doorbell.ring(using="default")


def test_a_sweep_of_the_future_is_stood_in_for():
    Doorbell.objects.update(swept_at=Now() + timedelta(hours=1))

    assert doorbell.stand_in(using="default")
    assert not doorbell.stand_in(using="default")


def test_a_watch_that_would_last_too_long_is_not_believed(woken):
    Doorbell.objects.update(watched_until=Now() + timedelta(hours=1))

    with doorbell.watch(using="default") as seconds:
        assert seconds > 0


# ── in a project's own tests


class CapturedCallbacks(TestCase):
    def test_each_publication_rings_where_callbacks_are_captured(self):
        Doorbell.objects.get_or_create(pk=1)
        make_endpoint()
        for _ in range(2):
            with self.captureOnCommitCallbacks(execute=True) as callbacks:
                publish("a", {})
            assert len([each for each in callbacks if isinstance(each, doorbell._Ring)]) == 1


def test_a_savepoint_inside_keeps_one_ring_for_the_transaction():
    make_endpoint()
    with transaction.atomic():
        publish("a", {})
        with transaction.atomic():
            publish("b", {})

    assert len(queued()) == 1
