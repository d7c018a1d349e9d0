"""Transactions that get in each other's way: who lost is repeated, bounded, and nobody hears."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction
from django.utils import timezone

from example_project.settings import BASE_DIR
from example_project.shop.models import Order
from tests.boundaries import hang_up
from tests.conftest import make_due, make_endpoint
from tests.counting import CountingReceiver
from tests.legal import unlawful
from tests.owing import blocked_for, end_pauses, owe
from tests.processes import environment, wait_until
from webhook_delivery import endpoints, locking, loop, publish
from webhook_delivery.locking import insist, lost_a_race
from webhook_delivery.models import Delivery, Endpoint, Lane

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def orders(db) -> list[Order]:
    return [Order.objects.create(number=number, total=1) for number in (1, 2)]


def lock(order: Order) -> None:
    Order.objects.filter(pk=order.pk).update(total=2)


@contextmanager
def in_a_thread(work):
    """Run beside the test, with a connection of its own; raises what the work raised."""
    raised = []

    def run() -> None:
        try:
            work()
        except Exception as error:
            raised.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join()
    if raised:
        raise raised[0]


def on_sqlite() -> bool:
    return connection.vendor == "sqlite"


@contextmanager
def nobody_waits_long():
    """Let the database give up on a lock after a second."""
    before = {"postgresql": "SET lock_timeout = '1s'", "sqlite": "PRAGMA busy_timeout = 1000"}
    with connection.cursor() as cursor:
        cursor.execute(before.get(connection.vendor, "SET innodb_lock_wait_timeout = 1"))
    yield
    connection.close()


# ── each kind of lost race


def test_who_loses_a_deadlock_is_repeated(orders):
    """On SQLite the second waits for the first; elsewhere each holds what the other wants."""
    first, second = orders
    ran, met = [], threading.Barrier(2)

    def takes(one: Order, other: Order) -> None:
        ran.append(one)
        lock(one)
        if len(ran) <= 2 and not on_sqlite():
            met.wait(10)
        lock(other)

    with in_a_thread(lambda: insist(lambda: takes(first, second), using="default")):
        insist(lambda: takes(second, first), using="default")

    assert len(ran) == (2 if on_sqlite() else 3)


def test_who_waited_too_long_for_a_lock_is_repeated(orders):
    tried, locked, first = [], threading.Event(), orders[0]

    def holds() -> None:
        with transaction.atomic():
            lock(first)
            locked.set()
            while len(tried) < 2 and not on_sqlite():
                time.sleep(0.02)
            time.sleep(1.5 if on_sqlite() else 0)

    with in_a_thread(holds), nobody_waits_long():
        locked.wait(10)
        insist(lambda: (tried.append(1), lock(first)), using="default")

    assert len(tried) >= (1 if on_sqlite() else 2)


def test_a_race_that_is_lost_each_time_is_raised_in_the_end(orders, monkeypatch):
    monkeypatch.setattr(locking, "PAUSES", (0.0, 0.0))
    tried, locked, done = [], threading.Event(), threading.Event()

    def holds() -> None:
        with transaction.atomic():
            lock(orders[0])
            locked.set()
            done.wait(30)

    with in_a_thread(holds), nobody_waits_long():
        locked.wait(10)
        with pytest.raises(OperationalError) as raised:
            insist(lambda: (tried.append(1), lock(orders[0])), using="default")
        done.set()

    assert lost_a_race(raised.value)
    assert len(tried) == (0 if on_sqlite() else 3)  # SQLite locks before it begins


def test_inside_the_callers_transaction_it_is_done_once(orders):
    tried = []

    def loses() -> None:
        tried.append(1)
        raise a_lost_race()

    with pytest.raises(OperationalError), transaction.atomic():
        insist(loses, using="default")
    assert tried == [1]


def test_what_the_caller_commits_by_hand_stays_whole(orders):
    """With autocommit off there is a transaction without any block of Django's around it."""
    tried = []

    def loses() -> None:
        tried.append(1)
        raise a_lost_race()

    with committed_by_hand():
        lock(orders[0])
        with pytest.raises(OperationalError):
            insist(loses, using="default")
        lock(orders[1])

    assert tried == [1]
    assert list(Order.objects.values_list("total", flat=True)) == [2, 2]


@contextmanager
def committed_by_hand():
    transaction.set_autocommit(False)
    try:
        yield
        transaction.commit()
    finally:
        transaction.set_autocommit(True)


def test_other_errors_are_not_repeated(orders):
    tried = []

    def doubles() -> None:
        tried.append(1)
        Order.objects.create(number=1, total=1)

    with pytest.raises(IntegrityError):
        insist(doubles, using="default")
    with pytest.raises(OperationalError):
        insist(lambda: (tried.append(1), goes_away()), using="default")
    assert tried == [1, 1]


def goes_away() -> None:
    raise OperationalError(2013, "Lost connection to server during query")


def a_lost_race() -> OperationalError:
    return OperationalError(1213, "Deadlock found when trying to get lock")


def caused_by(*arguments, **facts) -> OperationalError:
    error, cause = OperationalError(*arguments), Exception()
    vars(cause).update(facts)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (caused_by("deadlock detected", sqlstate="40P01"), True),
        (caused_by("could not serialize access", sqlstate="40001"), True),
        (caused_by("lock timeout", sqlstate="55P03"), True),
        (caused_by("terminating connection", sqlstate="57P01"), False),
        (caused_by(1213, "Deadlock found"), True),
        (caused_by(1205, "Lock wait timeout exceeded"), True),
        (caused_by(1020, "Record has changed since last read"), True),
        (caused_by(2013, "Lost connection to server"), False),
        (caused_by("database is locked", sqlite_errorcode=5), True),
        (caused_by("database table is locked", sqlite_errorcode=6), True),
        (caused_by("database is locked", sqlite_errorcode=517), True),  # SQLITE_BUSY_SNAPSHOT
        (caused_by("disk I/O error", sqlite_errorcode=10), False),
        (OperationalError(), False),
    ],
    ids=lambda value: str(value),
)
@pytest.mark.everywhere_once
def test_what_counts_as_a_lost_race(error, lost):
    assert lost_a_race(error) is lost


def test_a_server_that_goes_away_right_after_a_commit_is_met_again(orders):
    """Django ends a transaction on MySQL with one more statement, which fails then."""
    if not on_sqlite():
        insist_with_a_server_that_goes_away_after_the_commit(orders[0])

    insist(lambda: lock(orders[1]), using="default")

    assert not connection.in_atomic_block
    assert [str(order.total) for order in Order.objects.order_by("number")][1] == "2.00"


def insist_with_a_server_that_goes_away_after_the_commit(order: Order) -> None:
    commit = connection._commit

    def commits_and_hears_no_more() -> None:
        commit()
        hang_up(connection)

    connection._commit = commits_and_hears_no_more
    try:
        insist(lambda: lock(order), using="default")
    except OperationalError:
        assert connection.vendor == "mysql"
    finally:
        del connection._commit
    if connection.vendor == "postgresql":
        connection.close()  # psycopg has not noticed: the next statement will, as it always did


# ── endpoints that others have locked


def publishes(endpoint: Endpoint) -> None:
    """On MariaDB, a foreign key locks what it points to, until the commit."""
    publish("order.paid", {})


def saves(endpoint: Endpoint) -> None:
    Endpoint.objects.filter(pk=endpoint.pk).update(name="saved")


BY = [publishes, saves]
BESIDE = BY[:1] if connection.vendor == "mysql" else BY
"""Beside whom it can be recorded what an endpoint answered: to change the index of deliveries that
begins with the endpoint's key, MariaDB asks for the endpoint, as to add to it."""


def in_the_way(by) -> bool:
    """Whether who switches the endpoint would wait; SQLite has one writer anyway."""
    return connection.vendor == "mysql" or (by is saves and not on_sqlite())


@contextmanager
def locked(endpoint: Endpoint, by) -> Iterator[None]:
    """A transaction that has the endpoint locked goes on for as long as the block."""
    begun, done = threading.Event(), threading.Event()

    def holds() -> None:
        with transaction.atomic():
            by(endpoint)
            begun.set()
            done.wait(0 if on_sqlite() else 120)

    with in_a_thread(holds), nobody_waits_long():
        try:
            assert begun.wait(10)
            yield
        finally:
            done.set()


@pytest.fixture
def gone(receiver, endpoint, settings) -> Endpoint:
    """It has been sent something before, is owed four deliveries, and answers 410."""
    Lane.objects.create(endpoint=endpoint)
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "CONCURRENCY": 1}
    receiver.replies(*[410] * 10)
    owe(4, endpoint)
    return endpoint


@pytest.mark.parametrize("by", BESIDE)
def test_who_is_gone_and_locked_holds_up_no_finding(receiver, gone, send_due, caplog, by):
    owe(1, make_endpoint(receiver.url("/well"), "user.born"))

    with locked(gone, by):
        report = send_due()
        assert (report.dead, report.delivered) == (1, 1)
        assert "could not be recorded" not in caplog.text
        gone.refresh_from_db()
        assert gone.state == ("on" if in_the_way(by) else "off")
        assert Delivery.objects.pending().exists() is in_the_way(by)
        assert ("somebody has it locked" in caplog.text) is in_the_way(by)


@pytest.mark.parametrize("by", BESIDE)
def test_who_is_gone_and_locked_is_asked_again_after_a_pause_and_then_off(
    receiver, gone, send_due, by
):
    with locked(gone, by):
        send_due()
        assert send_due().attempts == 0
        assert not in_the_way(by) or 290 < blocked_for(gone) <= 300
    end_pauses()

    send_due()
    endpoints.settle_strays(using="default")

    gone.refresh_from_db()
    assert (gone.state, gone.state_reason) == ("off", "410 Gone")
    assert len(receiver.received) == (2 if in_the_way(by) else 1)
    assert not Delivery.objects.pending().exists()
    assert unlawful() == []


@pytest.mark.parametrize("by", BY)
def test_who_is_locked_when_its_pause_ends_is_on_with_the_next_sweep(by):
    both = [make_endpoint("https://acme.example/", heard) for heard in ("order.paid", "user.born")]
    for each in both:
        endpoints.pause(each.pk, using="default", until=timezone.now() - timedelta(minutes=1))

    with locked(both[0], by):
        assert endpoints.resume_due(using="default") == (1 if in_the_way(by) else 2)
    endpoints.resume_due(using="default")

    assert Endpoint.objects.on().count() == 2


# ── all at once


def test_eight_processes_that_write_to_one_database_hear_of_no_lock():
    """Four publish and four drain, and on SQLite they all write to one file."""
    loops = [("manage.py", "webhooks", "drain", "--loop")] * 4
    publishers = [("-m", "tests.publisher", "--orders", "50")] * 4
    with CountingReceiver() as receiver, ExitStack() as stack:
        make_endpoint(receiver.url())
        draining, publishing = (
            [stack.enter_context(a_process(*command)) for command in commands]
            for commands in (loops, publishers)
        )
        for process in publishing:
            assert "locked" not in what_it_complained_of(process)
        wait_until(lambda: Delivery.objects.delivered().count() == 200, seconds=60)
        for process in draining:
            process.terminate()
            assert "locked" not in what_it_complained_of(process, 0, -signal.SIGTERM)

        assert len(receiver.received) == receiver.received.total() == 200
    assert unlawful() == []


def what_it_complained_of(process: subprocess.Popen, *ends: int) -> str:
    """Of a loop that had not begun yet when it was told to end, the signal is the end."""
    _, complained = process.communicate(timeout=60)
    assert process.returncode in (ends or (0,)), complained
    return complained


def everything_has_ended() -> bool:
    make_due()
    loop.once(using="default", seconds=20)
    return not Delivery.objects.unfinished().exists()


@contextmanager
def a_process(*arguments: str) -> Iterator[subprocess.Popen]:
    with subprocess.Popen(
        [sys.executable, *arguments],
        cwd=BASE_DIR,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()  # a test that has failed waits for nobody
        process.kill()


SECONDS = 4


def test_a_storm_of_everything_reaches_nobody_and_loses_nothing(claim_path):
    """Publishers, drains and people at once, for some seconds, on the same few rows."""
    with CountingReceiver() as receiver:
        targets = [make_endpoint(receiver.url(), name=str(n)) for n in range(3)]
        ends, events = time.monotonic() + SECONDS, []

        def publishes() -> None:
            for number in (1, 2):
                with transaction.atomic():
                    events.append(publish("order.paid", {"number": number}).pk)

        def switches() -> None:
            for target in targets:
                endpoints.pause(target.pk, using="default")
                endpoints.switch_on(target.pk, using="default")

        def redelivers() -> None:
            Delivery.objects.all().redeliver(by="ann", reason="storm")

        def drains() -> None:
            loop.once(using="default", seconds=1)

        works = [publishes, publishes, drains, drains, drains, switches, switches, redelivers]
        with ExitStack() as stack:
            for work in works:
                stack.enter_context(in_a_thread(again_and_again(work, ends)))

        endpoints.settle_strays(using="default")
        wait_until(everything_has_ended, seconds=60)
        assert Endpoint.objects.on().count() == 3
        assert unlawful() == []
        assert Delivery.objects.delivered().count() == 3 * len(events)
        assert len(receiver.received) == len(events) > 10


def again_and_again(work, ends: float):
    def storm() -> None:
        while time.monotonic() < ends:
            work()

    return storm
