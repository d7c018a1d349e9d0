"""`verify` finds whatever is not as the log says, mends it, and is never wrong about the rest."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection
from django.utils import timezone

from example_project.settings import BASE_DIR
from tests.conftest import end_leases, make_endpoint
from tests.planting import BORN, FAR, PLANTED, Planted, multiply, row, without_attempt, write
from tests.processes import environment
from webhook_delivery import endpoints, lifecycle, publish, verification
from webhook_delivery.claims import Finding
from webhook_delivery.drain import drain
from webhook_delivery.judging import Discrepancy
from webhook_delivery.models import Attempt, Delivery, Transition
from webhook_delivery.outcomes import Outcome

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rows(db, monkeypatch) -> Callable[..., None]:
    """Writes deliveries of the kinds named, numbered from 1."""
    monkeypatch.setattr(verification, "PAUSE_SECONDS", 0.01)
    return write


def verify(*, repair: bool = False) -> list[Discrepancy]:
    return list(verification.verify(using="default", repair=repair))


def by_delivery(found: list[Discrepancy]) -> dict[int | None, set[str]]:
    what = defaultdict(set)
    for each in found:
        what[each.delivery].add(each.what)
    return dict(what)


def test_what_is_as_its_log_says_is_not_reported(rows):
    rows(*{planted.kind: None for planted in PLANTED})

    assert verify() == verify(repair=True) == []


@pytest.mark.parametrize("planted", PLANTED, ids=str)
def test_a_fault_is_found_and_mended_and_then_gone(rows, planted: Planted):
    rows("delivered", planted.kind)
    planted.plant(2)
    before = Delivery.objects.values().get(pk=2)

    found = verify()

    assert by_delivery(found) == {2: planted.finds}
    assert not any(each.mended for each in found)
    assert Delivery.objects.values().get(pk=2) == before
    mended = verify(repair=True)
    assert by_delivery(mended) == {2: planted.finds}
    assert all(each.mended for each in mended)
    assert Delivery.objects.get(pk=2).state == planted.stands
    assert verify() == []


# ── what mending means


def test_what_was_delivered_is_never_sent_again_because_its_record_was_lost(rows):
    rows("delivered")
    without_attempt(2)(1)

    verify(repair=True)

    assert lifecycle.claim(10, using="default") == []
    delivery = Delivery.objects.get()
    last = delivery.attempts.get(number=2)
    assert (last.fault, last.verdict, last.status) == ("unrecorded", "delivered", 200)
    assert last.detail == "This attempt's record was lost; verify put this in its place."
    assert (delivery.state, delivery.reason, delivery.last_status) == (
        "delivered",
        "unrecorded",
        200,
    )


def test_what_was_falsely_called_delivered_is_sent(rows):
    rows("new")
    row(state="delivered", due_at=None, ended_at=BORN)(1)

    assert by_delivery(verify(repair=True)) == {1: {"state", "due_at", "ended_at"}}

    assert len(lifecycle.claim(10, using="default")) == 1


def test_what_waits_by_its_log_is_held_if_its_endpoint_is_not_on(rows):
    rows("held")
    row(state="dead")(1)

    [found] = verify(repair=True)

    assert (found.found, found.expected) == ("dead", "held")
    assert Delivery.objects.get().due_at is None


@pytest.mark.parametrize("columns", [{"claim": None}, {"due_at": None}, {"due_at": FAR}], ids=str)
def test_a_claim_that_could_not_end_is_given_an_end_for_the_rescue(rows, columns):
    rows("sending")
    row(**columns)(1)

    verify(repair=True)

    delivery = Delivery.objects.get()
    assert delivery.claim is not None
    assert delivery.due_at < timezone.now() + timedelta(minutes=11)
    end_leases()
    [rescued] = lifecycle.rescue(using="default")
    assert rescued.finding.claim.number == 2
    assert verify() == []


def test_a_lease_that_is_given_is_as_long_as_any(rows):
    rows("sending")
    row(due_at=None)(1)

    verify(repair=True)

    left = Delivery.objects.get().due_at - timezone.now()
    assert timedelta(seconds=3) < left <= timedelta(seconds=5.5)


def test_the_log_is_added_to_and_never_changed(rows):
    rows(*[planted.kind for planted in PLANTED])
    for pk, planted in enumerate(PLANTED, 1):
        planted.plant(pk)
    attempts, transitions = list(Attempt.objects.values()), list(Transition.objects.values())

    verify(repair=True)

    assert [each for each in attempts if each not in Attempt.objects.values()] == []
    assert [each for each in transitions if each not in Transition.objects.values()] == []


def test_what_cannot_be_mended_is_reported_every_time(rows):
    rows("waiting")
    Attempt.objects.update(number=900)

    for _ in range(2):
        [found] = verify(repair=True)
        assert (found.what, found.mended) == ("log", False)
        assert str(found) == (
            "delivery 1, log: found attempt 900 follows attempt 0, expected what can follow"
        )


@pytest.mark.parametrize("gone", ["event", "endpoint"])
def test_an_orphan_is_reported_and_not_touched(rows, gone):
    rows("waiting", "delivered")
    with foreign_keys_unchecked():
        for pk in (1, 2):
            nothing = uuid.UUID(int=pk) if gone == "event" else 2**31 - pk
            Delivery.objects.filter(pk=pk).update(**{f"{gone}_id": nothing})

    [found] = verify(repair=True)

    assert (found.delivery, found.what, found.found, found.mended) == (1, gone, "nothing", False)


@contextmanager
def foreign_keys_unchecked() -> Iterator[None]:
    off, on = {
        "sqlite": ("PRAGMA foreign_keys = OFF", "PRAGMA foreign_keys = ON"),
        "postgresql": (
            "SET session_replication_role = replica",
            "SET session_replication_role = DEFAULT",
        ),
        "mysql": ("SET foreign_key_checks = 0", "SET foreign_key_checks = 1"),
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(off)
        yield
        cursor.execute(on)


def test_a_delivery_deleted_while_it_is_looked_at_is_no_fault(rows, monkeypatch):
    rows("waiting")
    row(state="dead")(1)
    look = verification._look_again

    def too_late(*arguments):
        Delivery.objects.all().delete()
        return look(*arguments)

    monkeypatch.setattr(verification, "_look_again", too_late)

    assert verify() == []


def test_a_mended_row_that_is_due_wakes_a_drain(rows, monkeypatch):
    rang = []
    monkeypatch.setattr("webhook_delivery.doorbell.ring", lambda using: rang.append(using))
    rows("waiting")
    row(state="dead")(1)

    verify()
    assert rang == []
    verify(repair=True)
    assert rang == ["default"]


def test_a_batch_costs_three_queries(rows, django_assert_num_queries):
    rows(*["delivered"] * 20)

    with django_assert_num_queries(5):  # the second batch is empty: one query; the strays: one
        assert verify() == []


# ── beside a system at work


def test_a_system_at_work_raises_no_alarm(receiver, monkeypatch):
    monkeypatch.setattr(verification, "PAUSE_SECONDS", 3)  # a stray is found again sooner
    receiver.replies(*[503, 200, 200, 400] * 500)
    endpoint = make_endpoint(receiver.url())
    make_endpoint(receiver.url("/other"))
    done = threading.Event()

    def publish_one() -> None:
        if Delivery.objects.count() < 300:
            publish("order.created", {})

    def switch() -> None:
        endpoints.pause(endpoint.pk, using="default")
        publish_one()
        endpoints.switch_on(endpoint.pk, using="default")
        endpoints.settle_strays(using="default")

    def act() -> None:
        once = partial(lifecycle.redeliver, once=True)
        verbs = (lifecycle.discard, lifecycle.restore, lifecycle.redeliver, once)
        for verb in (*verbs, lifecycle.retry_now):
            third = [pk for pk in Delivery.objects.values_list("pk", flat=True) if pk % 3 == 0]
            verb(Delivery.objects.filter(pk__in=third))

    def work() -> None:
        drain(using="default", seconds=1)
        lifecycle.rescue(using="default")

    with at_work(done, publish_one, work, switch, act):
        found = list(verified_until(much_has_happened, seconds=60))

    assert found == []


def verified_until(true: Callable[[], bool], *, seconds: float) -> Iterator[Discrepancy]:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, f"not within {seconds} s"
        yield from verify(repair=random.choice([True, False]))


def much_has_happened() -> bool:
    verbs = set(Transition.objects.values_list("verb", flat=True))
    return verbs == set(Transition.Verb.values) and Attempt.objects.count() > 300


@contextmanager
def at_work(done: threading.Event, *works: Callable[[], object]) -> Iterator[None]:
    """Do each again and again, in a thread of its own, for as long as the block lasts."""
    failed: list[BaseException] = []

    def repeat(work: Callable[[], object]) -> None:
        try:
            while not done.wait(0.02):
                work()
        except BaseException as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=repeat, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert failed == []


def test_what_was_settled_between_two_looks_is_no_fault(rows, monkeypatch):
    rows("new")
    [claim] = lifecycle.claim(1, using="default")
    look, finding = verification.judge, Finding(claim, Outcome(200), timezone.now(), 0.1)
    Delivery.objects.update(claim=claim.token, attempts_made=0)

    def settled_after(recorded):
        judgement = look(recorded)
        if Delivery.objects.sending().update(attempts_made=1):
            lifecycle.settle([finding], using="default")
        return judgement

    monkeypatch.setattr(verification, "judge", settled_after)

    assert verify() == []
    assert Delivery.objects.get().state == "delivered"


# ── very many


COUNTS = [
    pytest.param(10_000, 10, marks=pytest.mark.nightly_on_servers),
    pytest.param(50_000, 50, marks=pytest.mark.nightly),
    pytest.param(100_000, 50, marks=pytest.mark.nightly),
]


@pytest.mark.parametrize(("count", "faults"), COUNTS)
def test_faults_among_very_many_deliveries_are_found_and_mended(count, faults):
    planted = write_many(count, faults=faults)
    idle = measured("list", "--json")

    done = measured("verify", "--json", "--repair")

    said = json.loads(done.output)
    found = [Discrepancy(**each) for each in said.pop("discrepancies")]
    expected = {pk: set(fault.finds) for pk, fault in planted.items()}
    assert by_delivery(found) == expected
    assert said == {"checked": count, "found": len(found), "mended": len(found)}
    assert done.peak_megabytes - idle.peak_megabytes < 30
    assert {pk: Delivery.objects.get(pk=pk).state for pk in planted} == {
        pk: fault.stands for pk, fault in planted.items()
    }
    assert verify() == []
    print(f"{done.seconds:.1f} s, {done.peak_megabytes:.0f} MB; idle {idle.peak_megabytes:.0f} MB")


def write_many(count: int, *, faults: int) -> dict[int, Planted]:
    """Write so many deliveries, with faults of all kinds in some of them, chosen at random."""
    kinds = [planted.kind for planted in PLANTED] + ["delivered"] * 500
    kinds += ["new", "waiting", "dead", "held", "sending"] * 100
    block = kinds[:1000]
    write(*block)
    multiply(len(block), count // len(block))
    planted = {}
    for n in range(faults):
        fault = PLANTED[n % len(PLANTED)]
        places = [at for at, kind in enumerate(block, 1) if kind == fault.kind]
        planted[random.choice(places) + 1000 * random.randrange(n, count // 1000, 50)] = fault
    for pk, fault in planted.items():
        fault.plant(pk)
    return planted


@dataclass(frozen=True)
class Done:
    """What a run of the command printed, and what it cost."""

    output: str
    seconds: float
    peak_megabytes: float


MEASURED = """
import pathlib, runpy, sys
sys.argv = ["manage.py", "webhooks", *sys.argv[1:]]
try:
    runpy.run_path("manage.py", run_name="__main__")
finally:
    status = pathlib.Path("/proc/self/status").read_text()
    print(status.partition("VmHWM:")[2].split()[0], file=sys.stderr)
"""


def measured(*arguments: str) -> Done:
    """Run the command in a process of its own."""
    began = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments],
        cwd=BASE_DIR,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    return Done(ran.stdout, time.monotonic() - began, int(ran.stderr.split()[-1]) / 1024)
