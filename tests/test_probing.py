"""A test goes to whom it is for, though that be off; who was off for failing is on again."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from tests.conftest import make_endpoint
from tests.owing import owe
from webhook_delivery import endpoints, tasks
from webhook_delivery.models import ConsoleAction, Delivery, Endpoint
from webhook_delivery.probing import probe
from webhook_delivery.publishing import publish_test
from webhook_delivery.recording import DISABLE, GONE

pytestmark = pytest.mark.django_db(transaction=True)

FOR_FAILING = [GONE, DISABLE, "failing since 2026-11-01 10:00 UTC"]


@pytest.fixture
def off(endpoint) -> Endpoint:
    """Switched off for failing, while three were owed to it."""
    owe(3, endpoint)
    endpoints.mark_off(endpoint.pk, reason=FOR_FAILING[-1], using="default")
    endpoints.hold_owed(endpoint.pk, using="default")
    endpoint.refresh_from_db()
    return endpoint


def states() -> list[str]:
    return list(Delivery.objects.order_by("pk").values_list("state", flat=True))


@pytest.mark.parametrize("reason", FOR_FAILING)
def test_who_was_off_for_failing_is_on_again_once_a_test_arrives(off, reason):
    Endpoint.objects.update(state_reason=reason)

    probed = probe(off, by="ann")

    assert probed.arrived
    assert probed.switched and probed.switched.changed
    assert len(probed.switched.moved) == 3
    assert states() == ["pending"] * 3 + ["delivered"]
    off.refresh_from_db()
    assert (off.state, off.state_reason) == ("on", "")
    kept = ConsoleAction.objects.order_by("pk").values_list("verb", "by_name", "reason")
    assert list(kept) == [("test", "ann", ""), ("switch_on", "ann", "a test event arrived")]


def test_what_was_held_is_sent_at_the_rate_that_was_chosen(off, receiver, send_due):
    probe(off, rate=0.5)
    send_due()

    off.refresh_from_db()
    assert off.rate_per_second == 0.5
    assert len(receiver.received) == 1 + 1  # the test, and the first of three
    assert states() == ["delivered", "pending", "pending", "delivered"]


@pytest.mark.parametrize("rate", [0, -1, 200_000])
def test_a_rate_that_makes_no_sense_is_refused_before_anything_is_sent(off, receiver, rate):
    with pytest.raises(ValidationError, match="one an hour"):
        probe(off, rate=rate)
    with pytest.raises(ValidationError, match="one an hour"):
        endpoints.switch_on(off.pk, rate=rate, using="default")

    off.refresh_from_db()
    assert (off.state, off.rate_per_second) == ("off", None)
    assert receiver.received == []


def test_a_test_that_fails_leaves_it_off_and_is_not_repeated(off, receiver):
    receiver.replies(500)

    probed = probe(off)

    assert (probed.arrived, probed.switched) == (False, None)
    assert states() == ["held"] * 3 + ["dead"]
    assert Endpoint.objects.get().state == "off"


@pytest.mark.parametrize("was", ["paused", "off"])
@pytest.mark.parametrize("reason", ["they asked", "failing since Monday", *FOR_FAILING])
def test_what_a_person_has_switched_a_test_leaves_as_it_was(endpoint, was, reason):
    verb = {"paused": endpoints.pause, "off": endpoints.switch_off}[was]
    verb(endpoint.pk, using="default", by="ann", reason=reason)

    probed = probe(endpoint)

    assert (probed.arrived, probed.switched) == (True, None)
    assert Endpoint.objects.get().state == was


def test_that_it_was_off_by_itself_is_forgotten_once_it_is_on(off):
    endpoints.switch_on(off.pk, using="default")
    Endpoint.objects.update(state="off")  # by a project's own code

    assert probe(off).switched is None
    assert not Endpoint.objects.off_by_itself().exists()


def test_who_is_off_by_itself_and_then_by_a_person_stays_off(off):
    switched = endpoints.switch_off(off.pk, using="default", by="ann", reason="they left")

    assert switched.changed
    assert probe(off).switched is None
    off.refresh_from_db()
    assert (off.state, off.state_reason) == ("off", "they left")
    assert not endpoints.switch_off(off.pk, using="default", by="bob").changed
    assert not endpoints.mark_off(off.pk, using="default", reason=GONE)
    assert list(ConsoleAction.objects.values_list("verb", "by_name")) == [("switch_off", "ann")]


def test_who_may_only_test_switches_nothing_on(off):
    assert probe(off, switches=False).switched is None
    assert Endpoint.objects.get().state == "off"


def test_a_test_whose_asker_died_is_held_and_goes_to_nobody_who_is_off(off, receiver, send_due):
    publish_test(off)

    send_due()
    tasks.sweep()

    assert receiver.received == []
    assert states() == ["held"] * 4


def test_a_test_asks_nothing_of_the_others(off, receiver):
    other = make_endpoint(receiver.url("/other"), state="off")
    owe(1, other)

    probe(off)

    assert [each.path for each in receiver.received] == ["/"]
