"""It says when it is ill: what was seen, and what to do."""

import os
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django_q.models import Schedule

from example_project.settings import BASE_DIR
from tests.conftest import end_leases, make_endpoint
from tests.owing import block
from webhook_delivery import doorbell, health, lifecycle, publish, symptoms, tasks
from webhook_delivery.clock import Now
from webhook_delivery.models import Delivery, Doorbell
from webhook_delivery.validation import validate_schedule

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def drained():
    doorbell.answer(using="default")


def codes() -> list[str]:
    return [illness.code for illness in health.examine()]


def test_all_is_well_while_drains_run():
    make_endpoint()
    publish("a", {})

    assert codes() == []


def test_nothing_ever_ran():
    Doorbell.objects.update(drained_at=None)

    [illness] = health.examine()
    assert illness.code == "silence"
    assert "qcluster" in illness.remedy


def test_a_cluster_of_its_own_is_named(settings):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "CLUSTER": "webhooks"}
    Doorbell.objects.update(drained_at=None)

    [illness] = health.examine()
    assert "`Q_CLUSTER_NAME=webhooks manage.py qcluster`" in illness.remedy


def test_nothing_has_run_for_three_minutes():
    Doorbell.objects.update(drained_at=Now() - timedelta(seconds=181))
    make_endpoint()
    publish("a", {})
    Delivery.objects.update(due_at=Now() - timedelta(seconds=121))

    assert codes() == ["silence"]


@pytest.mark.everywhere_once
@pytest.mark.parametrize("url", ["postgres://127.0.0.1:1/none", "sqlite:////nowhere/db.sqlite3"])
def test_the_database_does_not_answer(url):
    done = subprocess.run(
        [sys.executable, "manage.py", "webhooks", "health"],
        cwd=BASE_DIR,
        env={
            **os.environ,
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "example_project.settings",
        },
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert "The database does not answer" in done.stdout
    assert "see whether it is up" in done.stdout


# ── the doorbell rings, and nobody comes


def test_queued_tasks_are_not_taken():
    doorbell.ring(using="default")
    assert codes() == []
    Doorbell.objects.update(ringing_since=Now() - timedelta(seconds=121))

    [illness] = health.examine()
    assert illness.code == "unanswered"
    assert "has rung for 121 seconds" in illness.seen
    assert "Restart the cluster" in illness.remedy


def test_a_doorbell_rings_since_its_first_ring():
    doorbell.ring(using="default")
    first = Doorbell.objects.get().ringing_since
    Doorbell.objects.update(rung_at=Now() - timedelta(seconds=6))
    assert doorbell.ring(using="default")
    assert Doorbell.objects.get().ringing_since == first

    doorbell.answer(using="default")
    assert codes() == []
    doorbell.ring(using="default")
    assert Doorbell.objects.get().ringing_since > first


# ── the net


def stop_sweeping() -> None:
    Doorbell.objects.update(swept_at=Now() - timedelta(minutes=4))


def test_the_sweep_does_not_run():
    stop_sweeping()

    [illness] = health.examine()
    assert (illness.code, illness.restart) == ("unswept", False)


def test_after_a_standstill_one_drain_stands_in_and_all_is_well():
    stop_sweeping()

    tasks.drain()

    assert codes() == []


def test_drains_that_stand_in_again_and_again_are_noticed():
    for _ in range(2):
        stop_sweeping()
        tasks.drain()
    assert codes() == ["unswept"]

    tasks.sweep()
    assert codes() == []


def test_who_sweeps_by_other_means_is_well(settings):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "SCHEDULES": False}
    stop_sweeping()

    assert codes() == []


# ── deliveries


def test_the_oldest_due_delivery_is_late():
    make_endpoint()
    publish("a", {})
    Delivery.objects.update(due_at=Now() - timedelta(seconds=121))

    [illness] = health.examine()
    assert illness.code == "late"
    assert "121 seconds late" in illness.seen


@pytest.mark.parametrize(("seconds", "said"), [(60, []), (86_400, ["late"])])
def test_what_waits_for_its_endpoint_is_not_late_unless_only_a_wrong_clock_says_so(seconds, said):
    block(make_endpoint(), seconds=seconds, failures=0, openings=0)
    publish("a", {})
    Delivery.objects.update(due_at=Now() - timedelta(seconds=121))

    assert codes() == said


def test_a_claim_outlived_its_lease():
    make_endpoint()
    publish("a", {})
    lifecycle.claim(1, using="default")
    end_leases()

    assert codes() == ["stuck"]


def test_a_schedule_is_missing_or_switched_off():
    Schedule.objects.update(repeats=0)
    assert codes() == ["schedule"]

    Schedule.objects.all().delete()
    assert codes() == ["schedule"]


# ── moments that will not come


def due_in(**span: float) -> dict[str, object]:
    return {"due_at": Now() + timedelta(**span)}


CLAIMED = {"state": "sending", "claim": uuid4(), "attempts_made": 1}
FAR_OFF = {
    "a wait": {**due_in(days=400)},
    "a lease": {**CLAIMED, **due_in(days=2)},
}
UNREACHABLE = {
    "no moment": {"due_at": None},
    "no lease": {"state": "sending", "due_at": None},
    "no claim": {"state": "sending", **due_in(seconds=3)},
}


def remedy_of(columns: dict[str, object]) -> health.Illness:
    """What is found in a delivery with these columns, once its remedy has mended it."""
    make_endpoint()
    publish("a", {})
    Delivery.objects.update(**columns)
    [illness] = health.examine()
    assert "`manage.py webhooks verify --repair`" in illness.remedy
    with suppress(SystemExit):
        call_command("webhooks", "verify", "--repair")
    assert codes() == []
    return illness


@pytest.mark.parametrize("columns", FAR_OFF.values(), ids=FAR_OFF)
def test_a_moment_later_than_any_is_found_and_mended(columns):
    assert remedy_of(columns).code == "far_off"


@pytest.mark.parametrize("columns", UNREACHABLE.values(), ids=UNREACHABLE)
def test_a_delivery_that_waits_for_nothing_is_found_and_mended(columns):
    assert remedy_of(columns).code == "unreachable"


def test_the_longest_waits_and_leases_are_no_illness():
    make_endpoint()
    publish("a", {})
    Delivery.objects.update(**due_in(days=6.9))
    assert codes() == []

    Delivery.objects.update(due_at=Now())
    lifecycle.claim(1, using="default")
    assert codes() == []
    Delivery.objects.update(**due_in(hours=1))
    assert codes() == ["far_off"]


def test_the_longest_wait_is_that_of_the_validation():
    validate_schedule([symptoms.LONGEST_WAIT_SECONDS])
    with pytest.raises(ValidationError):
        validate_schedule([symptoms.LONGEST_WAIT_SECONDS + 1])


# ── its price


def test_an_examination_is_cheap_however_much_is_wrong(monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr(symptoms, "COUNTED", 3)
    make_endpoint()
    for _ in range(5):
        publish("a", {})
    Delivery.objects.update(due_at=None)

    with django_assert_max_num_queries(10):
        [illness] = health.examine()

    assert "Over 3 deliveries" in illness.seen


def test_an_illness_has_a_plain_form():
    Schedule.objects.all().delete()

    [illness] = health.examine()
    assert illness.as_dict() == {
        "code": "schedule",
        "seen": "The schedule “webhook_delivery sweep” is missing or switched off.",
        "remedy": illness.remedy,
        "restart": False,
    }
