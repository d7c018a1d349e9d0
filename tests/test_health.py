"""It says when it is ill: what was seen, and what to do."""

from datetime import timedelta

import pytest
from django.db import OperationalError
from django.db.models.functions import Now
from django_q.models import Schedule

from tests.conftest import end_leases, make_endpoint
from webhook_delivery import doorbell, health, lifecycle, publish
from webhook_delivery.models import Delivery, Doorbell

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


def test_nothing_has_run_for_three_minutes():
    Doorbell.objects.update(drained_at=Now() - timedelta(seconds=181))
    make_endpoint()
    publish("a", {})
    Delivery.objects.update(due_at=Now() - timedelta(seconds=121))

    assert codes() == ["silence"]


def test_the_database_does_not_answer(monkeypatch):
    def away(*args):
        raise OperationalError("connection refused")

    monkeypatch.setattr(health, "_seconds_since_drained", away)

    [illness] = health.examine()
    assert illness.code == "database"
    assert "connection refused" in illness.seen


def test_the_oldest_due_delivery_is_late():
    make_endpoint()
    publish("a", {})
    Delivery.objects.update(due_at=Now() - timedelta(seconds=121))

    [illness] = health.examine()
    assert illness.code == "late"
    assert "121 seconds late" in illness.seen


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
