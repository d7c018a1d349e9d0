"""Drains without django-q2."""

import pytest
from django.db import DatabaseError

from tests.conftest import end_leases
from webhook_delivery import lifecycle, loop, publish
from webhook_delivery.models import Delivery, Doorbell, Endpoint

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
