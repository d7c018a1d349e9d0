"""What the database says is now, beside what it keeps."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from tests.owing import owe
from webhook_delivery import lifecycle
from webhook_delivery.clock import Now
from webhook_delivery.models import Delivery, Endpoint

pytestmark = pytest.mark.django_db


def told(endpoint: Endpoint):
    return Endpoint.objects.filter(pk=endpoint.pk).values_list(Now(), flat=True).get()


def test_what_falls_due_at_this_very_moment_is_due(endpoint):
    owe(1, endpoint)
    for _ in range(200):  # some of them within one tick of the database's clock
        Delivery.objects.update(due_at=told(endpoint))

        assert Delivery.objects.fallen_due().exists()


def test_now_plus_a_span_is_so_much_later(endpoint):
    owe(1, endpoint)
    Delivery.objects.update(due_at=Now() + timedelta(seconds=5))

    left = Delivery.objects.get().due_at - told(endpoint)

    assert timedelta(seconds=4) < left <= timedelta(seconds=5)


def test_a_lease_runs_on_while_the_machine_is_suspended(endpoint, monkeypatch):
    """CLOCK_MONOTONIC stands still meanwhile, as on a laptop whose lid is closed."""
    owe(1, endpoint)
    [claim] = lifecycle.claim(1, using="default")
    real = time.clock_gettime
    slept = {time.CLOCK_BOOTTIME: 3600.0}

    assert not claim.ended()
    monkeypatch.setattr(time, "clock_gettime", lambda clock: real(clock) + slept.get(clock, 0))
    assert claim.ended()
    assert claim.now() - claim.claimed_at > timedelta(seconds=3599)
