"""Drains without django-q2."""

from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.utils import timezone
from django_q.models import OrmQ, Schedule

from tests.conftest import end_leases, make_endpoint
from tests.processes import drain_loop, qcluster, wait_until
from webhook_delivery import doorbell, endpoints, health, lifecycle, loop, publish
from webhook_delivery.clock import Now
from webhook_delivery.models import Delivery, Doorbell, Endpoint
from webhook_delivery.testing.receiver import SILENCE

pytestmark = pytest.mark.django_db(transaction=True)


def stops_after(rounds: int):
    """Ask to stop once something has been asked so many times."""
    asked = iter(range(rounds))
    return lambda: next(asked, None) is None


def test_once_takes_over_what_was_lost_and_sends_what_is_due(receiver, endpoint):
    publish("a", {})
    lifecycle.claim(1, using="default")
    end_leases()

    assert loop.once(using="default", seconds=5).delivered == 1
    assert Doorbell.objects.get().drained_at is not None


def test_once_releases_what_was_held_for_an_endpoint_that_is_on(receiver, endpoint):
    Endpoint.objects.update(state="paused")
    publish("a", {})
    Endpoint.objects.update(state="on")

    assert loop.once(using="default", seconds=5).delivered == 1


def test_once_does_the_work_of_the_sweep():
    Schedule.objects.all().delete()

    loop.once(using="default", seconds=1)

    assert Doorbell.objects.get().swept_at is not None
    assert Schedule.objects.get().name == "webhook_delivery sweep"


def test_a_loop_does_the_work_of_the_sweep_in_each_round(monkeypatch):
    monkeypatch.setattr(loop, "ROUND_SECONDS", 0.01)
    Doorbell.objects.update(stand_ins=5)

    loop.run(using="default", stopped=stops_after(6))

    row = Doorbell.objects.get()
    assert (row.stand_ins, row.swept_at >= row.drained_at) == (0, True)
    assert health.examine() == []


@pytest.fixture
def left_to_loops(receiver, endpoint) -> int:
    """How many commits a loop has answered, in rounds that are short, where no cluster runs."""
    with drain_loop(hurries=True):
        for _ in range(15):
            publish("a", {})
            wait_until(Doorbell.objects.filter(ringing=False).exists, seconds=20)
            wait_until(all_delivered, seconds=20)
    return len(receiver.received)


def all_delivered() -> bool:
    return not Delivery.objects.exclude(state="delivered").exists()


def test_where_only_a_loop_runs_the_broker_is_left_few_tasks(left_to_loops):
    assert left_to_loops == 15
    assert OrmQ.objects.count() <= doorbell.UNTAKEN


def test_a_cluster_that_starts_where_only_a_loop_ran_is_woken_by_each_commit(left_to_loops):
    with qcluster():
        wait_until(lambda: not OrmQ.objects.exists(), seconds=30)
        Schedule.objects.update(next_run=timezone.now() + timedelta(hours=1))
        wait_until(is_idle, seconds=30)
        for _ in range(5):
            publish("a", {})
            wait_until(all_delivered, seconds=20)


def is_idle() -> bool:
    return Doorbell.objects.filter(drained_at__lt=Now() - timedelta(seconds=1)).exists()


PARTS = [
    "loop.lifecycle.rescue",
    "sweeping.acknowledging.resolve",
    "sweeping.correspondence.post",
    "sweeping.endpoints.resume_due",
    "sweeping.endpoints.settle_strays",
    "sweeping.lifecycle.name_types",
    "sweeping.overseeing.oversee",
    "sweeping.rollups.add_up",
    "sweeping.schedules.ensure",
]


@pytest.mark.parametrize("broken", PARTS)
def test_a_part_of_the_sweep_that_fails_costs_nothing_else(
    receiver, endpoint, monkeypatch, caplog, broken
):
    def fail(**options):
        raise RuntimeError("a bug")

    monkeypatch.setattr(f"webhook_delivery.{broken}", fail)
    publish("a", {})

    assert loop.once(using="default", seconds=5).delivered == 1
    assert "a bug" in caplog.text


def test_a_loop_does_all_that_a_sweep_does(endpoint, mailoutbox):
    endpoints.pause(endpoint.pk, using="default", until=timezone.now() + timedelta(seconds=1))
    Endpoint.objects.update(resume_at=timezone.now(), contact="ops@acme.example")
    other = make_endpoint(contact="ops@acme.example")
    endpoints.mark_off(other.pk, reason="410 Gone", using="default")

    loop.once(using="default", seconds=5)

    assert Endpoint.objects.get(pk=endpoint.pk).state == "on"
    assert len(mailoutbox) == 1


def test_a_loop_sends_until_it_is_asked_to_stop(receiver, endpoint):
    publish("a", {})

    loop.run(using="default", stopped=stops_after(6))

    assert Delivery.objects.get().state == "delivered"


def test_a_loop_survives_a_database_that_goes_away(receiver, endpoint, monkeypatch, caplog):
    claim, failures = lifecycle.claim, iter([1])

    def flaky(*args, **options):
        if next(failures, None):
            raise DatabaseError("server closed the connection")
        return claim(*args, **options)

    monkeypatch.setattr(lifecycle, "claim", flaky)
    publish("a", {})

    loop.run(using="default", stopped=stops_after(9))

    assert "The database is away" in caplog.text
    assert Delivery.objects.get().state == "delivered"


def test_a_loop_begins_its_rounds_while_a_request_hangs(receiver, endpoint, monkeypatch):
    monkeypatch.setattr(loop, "ROUND_SECONDS", 0.05)
    receiver.replies(SILENCE)
    publish("a", {})
    in_flight: list[int] = []
    rescue = lifecycle.rescue

    def counted(**options):
        in_flight.append(Delivery.objects.sending().count())
        return rescue(**options)

    monkeypatch.setattr(lifecycle, "rescue", counted)

    loop.run(using="default", stopped=lambda: len(in_flight) == 5)

    assert in_flight == [1] * 5
