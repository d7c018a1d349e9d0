"""Without the sweep, the doorbell or the alarm, everything is still delivered, later."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone
from django_q.models import OrmQ, Schedule

from tests.conftest import make_endpoint
from tests.processes import qcluster, run, wait_until
from webhook_delivery import publish
from webhook_delivery.clock import Now
from webhook_delivery.models import Delivery, Doorbell

pytestmark = pytest.mark.django_db(transaction=True)

COUNT = 5


@pytest.fixture
def cluster(broker, monkeypatch) -> Iterator[str]:
    """A cluster that has swept, and now has nothing to do; its broker."""
    monkeypatch.setenv("WEBHOOK_TEST_TICKS", "fast")
    with qcluster(broker=broker):
        wait_until(is_idle, seconds=30)
        next_sweep(in_seconds=600)
        yield broker


def is_idle() -> bool:
    swept = Doorbell.objects.filter(swept_at__isnull=False)
    return swept.filter(drained_at__lt=Now() - timedelta(seconds=1)).exists()


def publish_in_another_process(broker: str) -> None:
    run("-m", "tests.publisher", "--orders", str(COUNT), broker=broker)


def next_sweep(*, in_seconds: float) -> None:
    Schedule.objects.update(next_run=timezone.now() + timedelta(seconds=in_seconds))


def all_are_delivered() -> bool:
    return Delivery.objects.delivered().count() == COUNT


def test_without_the_sweep(receiver, cluster):
    Schedule.objects.update(repeats=0)
    make_endpoint(receiver.url())
    receiver.replies(503, 503)

    publish_in_another_process(cluster)

    wait_until(all_are_delivered, seconds=30)
    assert len(receiver.received) == COUNT + 2
    assert Schedule.objects.get().repeats == 0


def lose_the_tasks_of_rings() -> None:
    """It has just rung, and its task never arrived: until it is stale, nobody rings again."""
    Doorbell.objects.update(ringing=True, rung_at=Now())


def delete_the_doorbell() -> None:
    Doorbell.objects.all().delete()


@pytest.mark.parametrize("removed_by", [lose_the_tasks_of_rings, delete_the_doorbell])
def test_without_the_doorbell(receiver, cluster, removed_by):
    make_endpoint(receiver.url())
    removed_by()

    for _ in range(COUNT):
        publish("order.created", {})
    assert not OrmQ.objects.exists()
    next_sweep(in_seconds=-1)

    wait_until(all_are_delivered, seconds=30)
    assert len(receiver.received) == COUNT


def purge_the_alarm() -> None:
    """Once nothing else is queued: an alarm may be armed for the end of a lease, too."""
    soon = timezone.now() + timedelta(seconds=15)
    wait_until(lambda: not OrmQ.objects.filter(lock__lt=soon).exists(), seconds=20)
    OrmQ.objects.all().delete()


def test_without_the_alarm(receiver, cluster):
    """With the ORM broker its task is purged; with Redis the drain that stayed is gone."""
    make_endpoint(receiver.url(), retry_schedule=[30])
    receiver.replies(*[503] * COUNT)
    Doorbell.objects.update(watched_until=Now() + timedelta(seconds=10))

    publish_in_another_process(cluster)
    failed = Delivery.objects.pending().filter(last_status=503)
    wait_until(lambda: failed.count() == COUNT, seconds=30)
    purge_the_alarm()
    failed.update(due_at=F("due_at") - timedelta(seconds=31))
    next_sweep(in_seconds=-1)

    wait_until(all_are_delivered, seconds=30)
    assert len(receiver.received) == 2 * COUNT
