"""django-q2's hazards: each is survived, or said aloud with what to do about it."""

import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.conf import Conf
from django_q.models import OrmQ, Schedule
from django_q.scheduler import scheduler

from tests.conftest import REDIS_URL, make_endpoint
from tests.processes import qcluster, run, wait_until
from webhook_delivery import health, publish, tasks
from webhook_delivery.clock import Now
from webhook_delivery.models import Delivery, Doorbell, Endpoint
from webhook_delivery.scheduling import schedules

pytestmark = pytest.mark.django_db(transaction=True)


def codes() -> list[str]:
    return [illness.code for illness in health.examine()]


# ── a cluster that is frozen: an idle worker died with the lock of the queue


def is_idle() -> bool:
    return Doorbell.objects.filter(drained_at__lt=Now() - timedelta(seconds=1)).exists()


def kill_the_idle_worker(cluster) -> None:
    [worker] = cluster.pids("worker")
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: cluster.pids("worker") not in ([worker], []), seconds=10)


@pytest.mark.everywhere_once
def test_a_frozen_cluster_is_noticed_and_a_restart_mends_it(
    receiver, endpoint, broker, settings, monkeypatch
):
    monkeypatch.setenv("Q_WORKERS", "1")  # an idle worker, if it is the only one, has the lock
    usual = settings.WEBHOOK_DELIVERY
    with qcluster(broker=broker) as cluster:
        wait_until(is_idle, seconds=30)
        kill_the_idle_worker(cluster)
        publish("order.created", {})
        assert codes() == []

        settings.WEBHOOK_DELIVERY = {**usual, "HEALTH_LATE_SECONDS": 2}
        wait_until(lambda: codes() == ["unanswered"], seconds=20)
        settings.WEBHOOK_DELIVERY = {**usual, "HEALTH_SILENCE_SECONDS": 2}
        [illness] = health.examine()
        assert (illness.code, illness.restart) == ("silence", True)
        assert receiver.received == []
        cluster.kill()

    settings.WEBHOOK_DELIVERY = usual
    with qcluster(broker=broker):
        assert len(receiver.wait_for(1, seconds=30)) == 1
        wait_until(lambda: codes() == [], seconds=10)


# ── a schedule that django-q2 cannot read stops every other


POISONS = {
    "args": {"args": "not, a literal"},
    "cron": {"schedule_type": Schedule.CRON, "cron": "0 * * * *"},
    "kwargs": {"kwargs": "1"},
    "options": {"kwargs": "{'q_options': 1}"},
    "a name twice": {"kwargs": "func=1"},
}


@pytest.fixture
def drained() -> None:
    tasks.drain()
    OrmQ.objects.all().delete()


def poison(**columns) -> None:
    long_due = timezone.now() - timedelta(hours=1)
    Schedule.objects.update(next_run=timezone.now() - timedelta(minutes=1))
    row = Schedule.objects.create(name="reports", func="os.getpid", next_run=long_due)
    Schedule.objects.filter(pk=row.pk).update(**columns)


@pytest.mark.parametrize("columns", POISONS.values(), ids=POISONS)
def test_a_poisoned_schedule_stops_the_sweep_and_is_named(drained, columns):
    poison(**columns)
    scheduler(broker=get_broker())

    assert not OrmQ.objects.exists()
    [illness] = health.examine()
    assert illness.code == "poisoned"
    assert "“reports”" in illness.seen


GOOD = {
    "tuple": {"args": "1, 'two'"},
    "one": {"args": "1"},
    "dict": {"kwargs": "{'timeout': 5}"},
    "words": {"kwargs": "a=1, b='c'"},
    "nonsense": {"kwargs": "a b"},
    "once": {"schedule_type": Schedule.ONCE},
    "no longer": {"args": "not, a literal", "repeats": 0},
    "elsewhere": {"args": "not, a literal", "cluster": "reports"},
}


@pytest.mark.parametrize("columns", GOOD.values(), ids=GOOD)
def test_what_django_q_can_read_is_no_poison(drained, columns):
    poison(**columns)
    assert schedules.poisoned() == []

    scheduler(broker=get_broker())

    assert "webhook_delivery.tasks.sweep" in str(OrmQ.objects.last().task)


def test_beside_a_poisoned_schedule_drains_do_the_work_of_the_sweep(receiver, endpoint, drained):
    poison(args="not, a literal")
    endpoint.state = "paused"
    endpoint.save()
    publish("order.created", {})
    endpoint.state = "on"  # behind the back of the verb that would release what it is owed
    endpoint.save()
    Doorbell.objects.update(swept_at=Now() - timedelta(minutes=3))

    tasks.drain()

    assert Delivery.objects.get().state == "delivered"


@pytest.mark.everywhere_once
def test_a_poisoned_cluster_still_delivers_by_its_doorbell(receiver, broker, monkeypatch):
    monkeypatch.setenv("WEBHOOK_TEST_TICKS", "fast")
    poison(args="not, a literal")
    make_endpoint(receiver.url())
    receiver.replies(503)
    with qcluster(broker=broker) as cluster:
        wait_until(is_idle, seconds=30)
        run("-m", "tests.publisher", "--orders", "3", broker=broker)
        wait_until(lambda: Delivery.objects.delivered().count() == 3, seconds=30)
        assert "Could not create task from schedule" in cluster.log_tail(100)

    assert codes() == ["poisoned"]


# ── a broker call that closes its caller's connection


@pytest.fixture
def reconnecting(monkeypatch) -> None:
    """With CONN_MAX_AGE 0 the ORM broker closes the connection that it was called on."""
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)
    connection.close()
    connection.ensure_connection()


@pytest.fixture
def ringing_over(broker, monkeypatch) -> Iterator[str]:
    """This process itself rings over each of the brokers."""
    if broker == "redis":
        monkeypatch.setattr(Conf, "ORM", None)
        monkeypatch.setattr(Conf, "REDIS", REDIS_URL)
        monkeypatch.setattr(Conf, "CLUSTER_NAME", f"shop {uuid4()}")
    yield broker
    get_broker().delete_queue()


def test_publishing_leaves_the_callers_connection_open(reconnecting, ringing_over):
    make_endpoint()
    before = connection.connection

    publish("order.created", {})
    Doorbell.objects.update(ringing=False)
    with transaction.atomic():
        publish("order.created", {})

    assert connection.connection is before
    assert get_broker().queue_size() == 2


def test_an_iteration_that_publishes_reads_on(reconnecting, ringing_over):
    for number in range(5):
        make_endpoint(name=f"endpoint {number}")

    for _ in Endpoint.objects.iterator(chunk_size=2):
        Doorbell.objects.update(ringing=False)
        publish("order.created", {})

    assert get_broker().queue_size() == 5
