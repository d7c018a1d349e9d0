"""What wakes a loop early: notifications on PostgreSQL, and looking wherever none are heard."""

import itertools
import signal
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from tests.processes import drain_loop, wait_until
from webhook_delivery import drain, listening, loop, publish
from webhook_delivery.listening import Listener
from webhook_delivery.models import Delivery, Doorbell

pytestmark = pytest.mark.django_db(transaction=True)

NOTIFIES = connection.vendor == "postgresql"

LISTENING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query ~ %s"


def all_delivered() -> bool:
    return not Delivery.objects.exclude(state="delivered").exists()


def publish_and_wait(seconds: float = 20) -> None:
    publish("a", {})
    wait_until(all_delivered, seconds=seconds)


def wait_for_drains() -> None:
    wait_until(lambda: Doorbell.objects.filter(drained_at__isnull=False).exists(), seconds=20)


if NOTIFIES:

    def listening_backends() -> list[int]:
        with connection.cursor() as cursor:
            cursor.execute(LISTENING, [f'^LISTEN "{listening.CHANNEL}"'])
            return [pid for (pid,) in cursor.fetchall()]

    @pytest.fixture
    def listener() -> Iterator[Listener]:
        with closing(Listener(using="default", stopped=lambda: False)) as listener:
            yield listener

    @pytest.fixture
    def asked(listener, monkeypatch) -> list[str]:
        """How often a rest asked whether to stop: once, if it was ended by what it heard."""
        monkeypatch.setattr(listening, "NET_SECONDS", 20)
        monkeypatch.setattr(listening, "POLL_SECONDS", 20)
        listener.prove()
        listener.rest(20)
        asked: list[str] = []
        listener._stopped = lambda: bool(asked.append("stop?"))
        return asked

    @pytest.fixture
    def deaf(listener) -> Listener:
        """As behind a pooler: LISTEN was taken, and nothing is delivered."""
        listener.prove()
        listener._connection.cursor().execute("UNLISTEN *")
        with CaptureQueriesContext(listener._connection):
            listener.rest(0.01)
        listener.prove()
        return listener

    def test_each_commit_wakes_a_loop_that_never_looks(receiver, endpoint):
        with drain_loop(looks=False):
            wait_for_drains()
            for _ in range(5):
                publish_and_wait()

        assert len(receiver.received) == 5

    def test_a_commit_wakes_a_loop_that_waits_for_what_is_due_later(receiver, endpoint):
        receiver.replies(503)
        with drain_loop(looks=False) as loop:
            wait_for_drains()
            endpoint.retry_schedule = [60]
            endpoint.save()
            publish("a", {})
            wait_until(Delivery.objects.filter(attempts_made=1, state="pending").exists, seconds=20)
            publish("b", {})
            wait_until(Delivery.objects.delivered().exists, seconds=20)
            loop.signal(signal.SIGTERM)
            assert loop.wait() == 0

    def test_a_listening_connection_that_is_killed_is_replaced(receiver, endpoint):
        with drain_loop(looks=False) as loop:
            wait_for_drains()
            publish_and_wait()
            [pid] = listening_backends()
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
            wait_until(lambda: listening_backends() not in ([pid], []), seconds=20)
            for _ in range(4):
                publish_and_wait()
            assert "The connection that listened is gone" in loop.log_tail(100)

        assert len(receiver.received) == 5

    def test_two_loops_hear_each_commit_and_one_sends(receiver, endpoint):
        with drain_loop(looks=False), drain_loop(looks=False) as other:
            wait_until(lambda: len(listening_backends()) == 2, seconds=20)
            for _ in range(5):
                publish_and_wait()
            other.kill()
            publish_and_wait()

        assert len(receiver.received) == 6

    def test_a_commit_heard_as_a_drain_ends_is_not_slept_over(receiver, endpoint, monkeypatch):
        monkeypatch.setattr(listening, "NET_SECONDS", 3600)
        monkeypatch.setattr(loop, "ROUND_SECONDS", 3600)
        asked = itertools.count()

        def publish_before_it_ends(using: str, *, looked: float) -> None:
            if next(asked) == 0:
                publish("a", {})

        monkeypatch.setattr(drain, "soonest", publish_before_it_ends)
        gives_up = time.monotonic() + 10
        loop.run(
            using="default",
            stopped=lambda: bool(receiver.received) or time.monotonic() > gives_up,
        )

        assert len(receiver.received) == 1

    def test_a_loop_at_work_is_told_of_each_commit_once(listener, endpoint):
        listener.prove()
        listener.rest(10)
        assert not listener.heard()

        publish("a", {})
        assert (listener.heard(), listener.heard()) == (True, False)

    def test_a_listener_that_hears_asks_the_database_nothing(listener):
        listener.prove()
        listener.rest(10)
        assert listener.hears

        with CaptureQueriesContext(connection) as queries:
            listener.rest(0.01)
        assert len(queries) == 0

    def test_what_was_committed_before_a_rest_ends_it(listener, asked, endpoint):
        publish("a", {})

        listener.rest(20)

        assert asked == ["stop?"]

    def test_a_listener_that_hears_nothing_looks(deaf, endpoint):
        publish("a", {})

        deaf.rest(3600)

        assert not deaf.hears

    def test_a_listener_proves_itself_anew(listener):
        listener.prove()
        listener.rest(10)

        listener.prove()
        assert not listener.hears
        listener.rest(10)
        assert listener.hears

    def test_where_a_pooler_keeps_no_session_nothing_is_listened_to(
        listener, endpoint, monkeypatch
    ):
        monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
        listener.prove()
        assert listening_backends() == []

        publish("a", {})
        listener.rest(3600)

    def test_with_a_driver_that_cannot_wait_nothing_is_listened_to(listener, monkeypatch):
        for version in ("2.9.10 (dt dec pq3 ext lo64)", "3.1.8"):
            monkeypatch.setattr(connection.Database, "__version__", version)
            listener.prove()

            assert listening_backends() == []

    def test_a_listener_that_cannot_connect_looks(listener, endpoint, monkeypatch, caplog):
        monkeypatch.setitem(connection.settings_dict, "PORT", "1")
        listener.prove()
        assert "polling" in caplog.text

        publish("a", {})
        listener.rest(3600)

    def test_a_notification_waits_for_no_answer(listener, asked, endpoint):
        """Where only loops run, nobody answers the doorbell for seconds."""
        for _ in range(3):
            publish("a", {})
            listener.rest(20)

        assert asked == ["stop?"] * 3
        assert Doorbell.objects.get().ringing

    def test_a_transaction_that_is_rolled_back_wakes_nobody(endpoint):
        with CaptureQueriesContext(connection) as queries, transaction.atomic():
            publish("a", {})
            transaction.set_rollback(True)

        assert not any("NOTIFY" in query["sql"] for query in queries)

    def test_a_transaction_notifies_once_after_its_commit(endpoint):
        with CaptureQueriesContext(connection) as queries, transaction.atomic():
            for _ in range(3):
                publish("a", {})

        said = [query["sql"].split(" ")[0] for query in queries]
        assert said.count("NOTIFY") == 1
        assert said.index("COMMIT") < said.index("NOTIFY")

    def test_a_notification_that_fails_hurts_nobody(endpoint, monkeypatch, caplog):
        monkeypatch.setattr(listening, "CHANNEL", "\0")

        publish("a", {})

        assert "could not be notified" in caplog.text
        assert Doorbell.objects.get().ringing


def test_who_does_not_listen_hears_nothing():
    with closing(Listener(using="default", stopped=lambda: False)) as listener:
        assert not listener.heard()


def test_a_loop_that_hears_nothing_looks(receiver, endpoint, monkeypatch):
    monkeypatch.setattr(listening, "notify", lambda using: None)
    with drain_loop():
        wait_for_drains()
        publish_and_wait()

    assert len(receiver.received) == 1


def test_a_rest_ends_when_somebody_asks_to_stop():
    asked = itertools.count()

    with closing(Listener(using="default", stopped=lambda: next(asked) > 1)) as listener:
        listener.rest(3600)
