"""What we ask of django-q2: clusters, schedules, and tasks that never raise."""

from datetime import timedelta

import pytest
import redis
from django.apps import apps
from django.db import transaction
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.conf import Conf
from django_q.models import OrmQ, Schedule
from django_q.signing import SignedPackage

from tests import servers
from tests.conftest import end_leases, make_endpoint
from webhook_delivery import doorbell, lifecycle, provisioning, publish, scheduling, tasks
from webhook_delivery.clock import Now
from webhook_delivery.models import Delivery, Doorbell
from webhook_delivery.scheduling import schedules

pytestmark = pytest.mark.django_db(transaction=True)

own_redis = servers.own_redis


def queued() -> list[dict]:
    return [SignedPackage.loads(row.payload) for row in OrmQ.objects.order_by("pk")]


def test_a_named_cluster_gets_the_drains(settings):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "CLUSTER": "webhooks"}

    scheduling.wake()
    scheduling.wake_in(5)

    assert set(OrmQ.objects.values_list("key", flat=True)) == {"webhooks"}


def test_all_rings_of_a_process_share_one_client_of_redis(own_redis, monkeypatch):
    monkeypatch.setattr(Conf, "ORM", None)
    monkeypatch.setattr(Conf, "REDIS", own_redis.url)
    with redis.Redis.from_url(own_redis.url) as server:
        clients = []
        for _ in range(3):
            scheduling.wake()
            clients.append(len(server.client_list()))
        own_redis.stop()
        own_redis.start()
        scheduling.wake()

        assert clients[0] == clients[-1]
        assert get_broker().queue_size() == 1


def test_a_drain_ends_before_django_q_repeats_it(monkeypatch, settings):
    settings.WEBHOOK_DELIVERY = {}
    for retry, timeout in [(60, None), (120, 90), (90, 75)]:
        monkeypatch.setattr(Conf, "RETRY", retry)
        monkeypatch.setattr(Conf, "TIMEOUT", timeout)

        assert 1 <= scheduling.budget() <= 20
        assert scheduling.task_options()["timeout"] < retry


# ── schedules


def test_the_sweep_is_scheduled_after_migrate_and_shown_by_django_q():
    row = Schedule.objects.get(name="webhook_delivery sweep")

    assert row.func == "webhook_delivery.tasks.sweep"
    assert (row.schedule_type, row.minutes, row.repeats) == (Schedule.MINUTES, 1, -1)


def migrated() -> None:
    provisioning.provide(sender=apps.get_app_config("webhook_delivery"), using="default")


def test_migrating_again_doubles_nothing():
    migrated()
    migrated()

    assert Schedule.objects.filter(name="webhook_delivery sweep").count() == 1


def test_a_schedule_that_was_deleted_or_doubled_is_mended():
    Schedule.objects.all().delete()
    assert schedules.missing() == ["webhook_delivery sweep"]
    migrated()
    assert schedules.missing() == []

    Schedule.objects.create(name="webhook_delivery sweep", func="other")
    migrated()
    assert Schedule.objects.get().func == "webhook_delivery.tasks.sweep"


def test_what_a_person_set_stays():
    Schedule.objects.update(minutes=5, repeats=0, cluster="mine")
    migrated()

    row = Schedule.objects.get()
    assert (row.minutes, row.repeats, row.cluster) == (5, 0, "mine")
    assert schedules.missing() == ["webhook_delivery sweep"]


def test_a_change_of_settings_reaches_the_stored_schedule(settings):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "MAX_TIMEOUT_SECONDS": 20}
    migrated()

    assert f"'timeout': {scheduling.task_options()['timeout']}" in Schedule.objects.get().kwargs


def test_schedules_can_be_left_to_others(settings):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "SCHEDULES": False}
    Schedule.objects.all().delete()
    migrated()

    assert not Schedule.objects.exists()
    assert schedules.missing() == []


def test_the_scheduler_of_django_q_queues_the_sweep():
    from django_q.scheduler import scheduler

    Schedule.objects.update(next_run=timezone.now() - timedelta(seconds=1))
    scheduler(broker=get_broker())

    [task] = queued()
    assert task["func"] == "webhook_delivery.tasks.sweep"
    assert task["ack_failure"] is True
    assert task["kwargs"] == {}


# ── what a drain does when the sweep does not come


@pytest.fixture
def overdue() -> None:
    doorbell.begin_sweep(using="default")
    Doorbell.objects.update(swept_at=Now() - timedelta(seconds=121))


def test_a_drain_brings_back_a_schedule_that_was_deleted(overdue, caplog):
    Schedule.objects.all().delete()

    tasks.drain()

    assert Schedule.objects.get().name == "webhook_delivery sweep"
    assert "mended" in caplog.text


@pytest.mark.parametrize(
    "columns", [{"args": "what?"}, {"args": "1"}, {"kwargs": "1"}, {"func": "gone"}]
)
def test_a_drain_mends_a_schedule_that_cannot_run(overdue, columns):
    Schedule.objects.update(**columns)

    tasks.drain()

    Schedule.objects.update(next_run=timezone.now() - timedelta(seconds=1))
    assert schedules.poisoned() == []
    assert schedules.ensure() == []


def test_a_drain_leaves_switched_off_what_a_person_switched_off(overdue):
    Schedule.objects.update(repeats=0)

    tasks.drain()

    assert Schedule.objects.get().repeats == 0


def test_a_drain_stands_in_only_for_a_sweep_that_is_overdue(overdue):
    Schedule.objects.all().delete()
    doorbell.begin_sweep(using="default")

    tasks.drain()

    assert not Schedule.objects.exists()


PARTS = ["sweeping.endpoints.settle_strays", "tasks.lifecycle.rescue", "sweeping.schedules.ensure"]


@pytest.mark.parametrize("broken", PARTS)
def test_a_part_of_the_sweep_that_fails_costs_nothing_else(
    overdue, receiver, endpoint, monkeypatch, caplog, broken
):
    def fail(**options):
        raise RuntimeError("a bug")

    monkeypatch.setattr(f"webhook_delivery.{broken}", fail)
    Schedule.objects.all().delete()
    publish("a", {})

    tasks.sweep()

    assert "a bug" in caplog.text
    assert Delivery.objects.get().state == "delivered"
    assert Schedule.objects.exists() is (broken != "sweeping.schedules.ensure")


def test_looking_after_the_schedules_writes_nothing_while_all_is_well(
    django_assert_max_num_queries,
):
    with django_assert_max_num_queries(4) as queries:
        schedules.ensure()

    assert not [q for q in queries if q["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]


# ── tasks


def test_a_task_clears_the_doorbell_before_it_claims(receiver, endpoint, monkeypatch):
    publish("a", {})
    seen = []
    claim = tasks.send_due

    def watched(**options):
        seen.append(Doorbell.objects.get().ringing)
        return claim(**options)

    monkeypatch.setattr(tasks, "send_due", watched)
    tasks.drain()

    assert seen == [False]
    assert Delivery.objects.get().state == "delivered"


def test_a_task_sends_before_it_looks_for_what_was_lost(receiver, endpoint, monkeypatch):
    publish("a", {})
    seen, rescue = [], lifecycle.rescue

    def watched(**options):
        seen.append(Delivery.objects.get().state)
        return rescue(**options)

    monkeypatch.setattr(lifecycle, "rescue", watched)
    tasks.drain()

    assert seen in (["sending"], ["delivered"]), "the request is in flight meanwhile, or answered"


def test_a_task_sends_what_it_rescued(receiver, endpoint):
    publish("a", {})
    lifecycle.claim(1, using="default")
    end_leases()

    tasks.drain()

    assert Delivery.objects.get().state == "delivered"


def test_a_task_arms_an_alarm_for_what_it_leaves(receiver, settings):
    endpoint = make_endpoint(receiver.url(), retry_schedule=[600])
    receiver.replies(503)
    publish("a", {})
    OrmQ.objects.all().delete()

    tasks.drain()

    [row] = OrmQ.objects.all()
    assert row.lock - timezone.now() > timedelta(seconds=590)
    assert endpoint.deliveries.get().state == "pending"


def test_a_sweep_delivers_what_every_ring_forgot(receiver, endpoint):
    with transaction.atomic():
        publish("a", {})
    OrmQ.objects.all().delete()

    tasks.sweep()

    assert Delivery.objects.get().state == "delivered"
    assert Doorbell.objects.get().swept_at is not None


def test_tasks_never_raise(monkeypatch, caplog):
    def broken(**options):
        raise RuntimeError("a bug")

    monkeypatch.setattr(doorbell, "answer", broken)

    assert tasks.drain() is None
    assert tasks.sweep() is None
    assert "goes on with what is due" in caplog.text
