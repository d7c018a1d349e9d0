"""Order outlives crashes: whoever is killed, the rest goes on where it had come to."""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import count

import pytest
from django.db import DatabaseError, InterfaceError, connection

from tests import boundaries, processes
from tests.boundaries import PowerCut, broken_off
from tests.conftest import end_leases, make_endpoint
from tests.legal import stranded, unlawful
from tests.test_boundaries import WORKS, clear, everything_has_ended, killed_again_and_again
from tests.test_order import one_after_the_other, owed, publish_many, turns
from webhook_delivery import lifecycle, publish
from webhook_delivery.models import Delivery, Endpoint

pytestmark = pytest.mark.django_db(transaction=True)

DB = "default"
ROUNDS = int(os.environ.get("CHAOS_SECONDS", "120")) // 12


ON_SQLITE = pytest.mark.nightly_on_servers


@pytest.fixture
def ordered(receiver, settings, monkeypatch) -> Endpoint:
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "CONCURRENCY": 2}
    monkeypatch.setattr("webhook_delivery.drain.AWAY_SECONDS", 0.01)
    return make_endpoint(receiver.url(), ordered=True)


def prepare(work: str, receiver) -> None:
    publish_many(3)
    if work == "drains":
        receiver.replies(503)
    if work == "rescues":
        lifecycle.claim(1, using=DB)
        end_leases()


def check_and_finish(receiver, ordered: Endpoint, broken: str) -> None:
    """Nobody is left waiting behind nobody, and the rest arrives in order."""
    assert unlawful() == [], broken
    assert stranded(owed(ordered)) == [], broken
    recorded = set(Delivery.objects.delivered().values_list("pk", flat=True))
    processes.wait_until(everything_has_ended, seconds=20)
    assert unlawful() == [], broken
    ids = [each.event.webhook_id for each in owed(ordered)]
    sent = turns(receiver.received)
    silent = [each.event.webhook_id for each in owed(ordered) if each.pk in recorded]
    assert sent in (ids, [each for each in ids if each not in silent]), broken
    assert "drains" not in broken or one_after_the_other(owed(ordered)), broken
    clear(receiver)


PARTS = [
    pytest.param(part, marks=pytest.mark.nightly)
    for part in ("claims", "claims_and_settles", "rescues")
]
"""`drains` contains them."""


@pytest.mark.parametrize("work", [*PARTS, pytest.param("drains", marks=ON_SQLITE)])
def test_what_loses_power_at_any_boundary_leaves_nobody_waiting_for_nobody(receiver, ordered, work):
    for at in count():
        prepare(work, receiver)
        with (
            broken_off(at, boundaries.loses_power) as passed,
            suppress(DatabaseError, InterfaceError, PowerCut),
        ):
            WORKS[work](at)
        connection.close()
        if len(passed) <= at:
            break
        check_and_finish(receiver, ordered, f"{work} at {at}: {passed[at]}")
    assert at > 3


@pytest.mark.parametrize(
    "work",
    [
        pytest.param("claims_and_settles", marks=ON_SQLITE),
        pytest.param("drains", marks=pytest.mark.nightly),
    ],
)
def test_who_is_killed_at_any_boundary_leaves_nobody_waiting_for_nobody(receiver, ordered, work):
    with killed_again_and_again(work) as killed:
        for at in count():
            prepare(work, receiver)
            if not killed(at):
                break
            check_and_finish(receiver, ordered, f"{work} killed at {at}")
    assert at > 3


def cluster_is_killed(receiver, rounds: int) -> None:
    """Kill a cluster in the middle of its work, so often, and let another finish."""
    strict = make_endpoint(receiver.url("/strict"), ordered=True)
    keyed = make_endpoint(receiver.url("/keyed"))
    receiver.thinks = 0.05
    receiver.replies(*[200, 503, 200] * 5, path="/strict")
    events = []
    for _ in range(rounds):
        events += [publish("a", {}, key=f"order:{n % 2}").webhook_id for n in range(12)]
        come = len(receiver.received)
        with processes.qcluster() as cluster:
            receiver.wait_for(come + 6)
            cluster.kill()
    with processes.qcluster():
        processes.wait_until(lambda: not Delivery.objects.unfinished().exists(), seconds=90)

    assert turns(receiver.received, "/strict") == events
    assert one_after_the_other(owed(strict))
    for parity in (0, 1):
        line = events[parity::2]
        assert turns([g for g in receiver.received if g.webhook_id in line], "/keyed") == line
        mine = [each for each in owed(keyed) if each.event.webhook_id in line]
        assert one_after_the_other(mine)
    assert unlawful() == []


def test_clusters_that_are_killed_keep_the_order(receiver):
    cluster_is_killed(receiver, 2)


@pytest.mark.nightly
def test_clusters_that_are_killed_for_minutes_keep_the_order(receiver):
    cluster_is_killed(receiver, ROUNDS)
