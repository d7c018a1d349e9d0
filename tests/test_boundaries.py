"""Break off at each boundary of each transaction: all or nothing, and the next drain finishes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count

import pytest
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.utils import timezone

from example_project.settings import BASE_DIR
from example_project.shop.models import Order
from tests import boundaries
from tests.boundaries import PowerCut, broken_off
from tests.conftest import end_leases, make_due, make_endpoint
from tests.legal import unlawful
from tests.processes import environment, wait_until
from webhook_delivery import lifecycle, loop, publish, tasks
from webhook_delivery.claims import Finding
from webhook_delivery.models import Delivery, Event
from webhook_delivery.outcomes import Fault, Outcome

pytestmark = pytest.mark.django_db(transaction=True)

DB = "default"


def saves_an_order_and_publishes(number: int) -> None:
    with transaction.atomic():
        Order.objects.create(number=number, total=1)
        publish("order.placed", {"number": number}, idempotency_key=str(number))


def publishes(number: int) -> None:
    publish("order.placed", {"number": number})


def claims(number: int) -> None:
    lifecycle.claim(10, using=DB)


def claims_and_settles(number: int) -> None:
    found = [
        Finding(claim, Outcome(503 if n else 204), timezone.now(), 0.1)
        for n, claim in enumerate(lifecycle.claim(10, using=DB))
    ]
    lifecycle.settle(found, using=DB)


def rescues(number: int) -> None:
    lifecycle.rescue(using=DB)


def redelivers(number: int) -> None:
    Delivery.objects.all().redeliver(by="ann", reason="mended")


def drains(number: int) -> None:
    tasks.drain()


WORKS = {
    work.__name__: work
    for work in (
        saves_an_order_and_publishes,
        publishes,
        claims,
        claims_and_settles,
        rescues,
        redelivers,
        drains,
    )
}


ALWAYS = {"saves_an_order_and_publishes", "drains"}


def seldom(work: str) -> list[pytest.MarkDecorator]:
    """On the servers, the shorter works are broken off nightly: the longer ones contain them."""
    always = connection.vendor == "sqlite" or work in ALWAYS
    return [] if always else [pytest.mark.nightly]


TIERED = [pytest.param(work, marks=seldom(work)) for work in WORKS]


def prepare(work: str) -> None:
    """Let there be what the work is about: two deliveries, due, lost or dead."""
    if work.endswith("publishes"):
        return
    publish("order.placed", {})
    if work == "rescues":
        lifecycle.claim(10, using=DB)
        end_leases()
    if work == "redelivers":
        found = lifecycle.claim(10, using=DB)
        gone = Outcome(400, Fault.CLIENT_ERROR)
        lifecycle.settle([Finding(c, gone, timezone.now(), 0.1) for c in found], using=DB)


@pytest.fixture
def shop(receiver, settings, monkeypatch):
    """Two endpoints that hear of orders, and a drain that does not wait long for its database."""
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "CONCURRENCY": 2}
    monkeypatch.setattr("webhook_delivery.drain.AWAY_SECONDS", 0.01)
    make_endpoint(receiver.url("/first"))
    make_endpoint(receiver.url("/second"))
    return receiver


def check_and_finish(receiver, broken: str) -> None:
    """All of an event is there, or nothing of it; what is there is delivered, and is sent once."""
    assert unlawful() == [], broken
    orders = {str(order.number) for order in Order.objects.all()}
    keys = set(
        Event.objects.exclude(idempotency_key=None).values_list("idempotency_key", flat=True)
    )
    created = Event.objects.filter(event_type="order.created")
    assert orders == keys, broken
    assert created.count() == len(orders), broken
    assert all(event.deliveries.count() == 2 for event in Event.objects.all()), broken
    asleep = set(Delivery.objects.dead().values_list("pk", flat=True))  # not redelivered, then
    recorded = set(Delivery.objects.delivered().values_list("pk", flat=True))
    if "drains" in broken:
        recorded = set()  # it has sent what it recorded; the other works only say so
    wait_until(everything_has_ended, seconds=20)
    assert unlawful() == [], broken
    assert set(Delivery.objects.dead().values_list("pk", flat=True)) == asleep, broken
    requests = Counter((got.webhook_id, got.path) for got in receiver.received)
    for delivery in Delivery.objects.select_related("event", "endpoint"):
        path = delivery.endpoint.url[delivery.endpoint.url.rindex("/") :]
        sent = requests.pop((delivery.event.webhook_id, path), 0)
        assert sent <= delivery.attempts_made, broken
        assert sent or delivery.pk in asleep | recorded, broken
    assert not requests, f"{broken}: what was rolled back was sent"


def everything_has_ended() -> bool:
    """A worker that was killed may hold its locks for a moment: only then it takes two drains."""
    end_leases()
    make_due()
    loop.once(using=DB, seconds=10)
    return not Delivery.objects.unfinished().exists()


def clear(receiver) -> None:
    receiver.received.clear()
    Event.objects.all().delete()
    Order.objects.all().delete()


@pytest.mark.parametrize("fault", ["loses_the_connection", "is_told_to_exit", "loses_power"])
@pytest.mark.parametrize("work", TIERED)
def test_what_breaks_off_at_any_boundary_is_all_or_nothing(shop, work, fault):
    for at in count():
        prepare(work)
        with (
            broken_off(at, getattr(boundaries, fault)) as passed,
            suppress(DatabaseError, InterfaceError, SystemExit, PowerCut),
        ):
            WORKS[work](at)
        connection.close()  # the process is gone
        if len(passed) <= at:
            break
        check_and_finish(shop, f"{work} {fault} at {at}: {passed[at]}")
        clear(shop)
    assert at > 3


@contextmanager
def killed_again_and_again(work: str) -> Iterator[Callable[[int], bool]]:
    """Tells a process of its own to do the work, up to a boundary; was it killed there?"""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.boundaries", work],
        cwd=BASE_DIR,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:

        def killed(at: int) -> bool:
            print(json.dumps([at, at]), file=process.stdin, flush=True)
            return json.loads(process.stdout.readline())

        yield killed
        process.stdin.close()


@pytest.mark.parametrize("work", TIERED)
def test_who_is_killed_at_any_boundary_leaves_all_or_nothing(shop, work):
    with killed_again_and_again(work) as killed:
        for at in count():
            prepare(work)
            if not killed(at):
                break
            check_and_finish(shop, f"{work} killed at {at}")
            clear(shop)
    assert at > 3
