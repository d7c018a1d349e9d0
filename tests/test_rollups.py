"""Hours of endpoints: each attempt is added up once, whoever runs, crashes or commits late."""

from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest
from django.db import connection
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.conftest import make_endpoint
from tests.owing import owe, statements
from webhook_delivery import loop, rollups, tasks, totals
from webhook_delivery.clock import Now
from webhook_delivery.models import Attempt, Delivery, Endpoint, EndpointStat, RollUp
from webhook_delivery.outcomes import Verdict

pytestmark = pytest.mark.django_db(transaction=True)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ENDINGS = [
    ("delivered", 200, ""),
    ("delivered", 204, ""),
    ("retry", 503, "http_5xx"),
    ("retry", None, "timeout"),
    ("retry", 200, "too_large"),
    ("deferred", None, "secret"),
    ("dead", 410, "gone"),
    ("dead", None, "dns"),
]


def attempt(delivery: Delivery, number: int, ending=("delivered", 200, ""), **fields) -> Attempt:
    verdict, status, fault = ending
    fields = {"started_at": NOON, "duration_ms": 7, "trigger": "schedule", **fields}
    return Attempt(
        delivery=delivery, number=number, verdict=verdict, status=status, fault=fault, **fields
    )


def attempted(delivery: Delivery, *endings, **fields) -> None:
    before = delivery.attempts.count()
    Attempt.objects.bulk_create(
        [attempt(delivery, before + n, ending, **fields) for n, ending in enumerate(endings, 1)]
    )


def add_up(**options) -> int:
    """The run that sees them, and the one that adds them."""
    return sum(rollups.add_up(using="default", **options) for _ in range(2))


@pytest.fixture
def delivery(db) -> Delivery:
    return owe(1, make_endpoint())[0]


def let_a_minute_pass() -> None:
    RollUp.objects.update(seen_at=Now() - timedelta(minutes=1))


def the_hour() -> EndpointStat:
    return EndpointStat.objects.get()


def test_an_hour_says_how_many_attempts_ended_how_and_how_long_they_took(delivery):
    attempted(delivery, *ENDINGS, duration_ms=7)
    attempted(delivery, ("retry", 503, "http_5xx"), duration_ms=60_000)
    attempted(delivery, ("retry", None, "worker_lost"), duration_ms=None)

    assert add_up() == 10

    hour = the_hour()
    assert (hour.endpoint_id, hour.hour) == (delivery.endpoint_id, NOON)
    assert (hour.delivered, hour.failed, hour.dead) == (2, 8, 2)
    assert hour.durations == [8, *[0] * (len(totals.BOUNDS) - 1), 1]
    assert hour.answers == {
        "200": 1,
        "204": 1,
        "503": 2,
        "timeout": 1,
        "too_large": 1,
        "secret": 1,
        "410": 1,
        "dns": 1,
        "worker_lost": 1,
    }


@pytest.mark.parametrize(
    ("lasted", "bucket"), [(0, 0), (10, 0), (11, 1), (30_000, 17), (30_001, 18), (10**6, 18)]
)
def test_a_duration_is_counted_with_the_first_bound_that_it_keeps_within(delivery, lasted, bucket):
    attempted(delivery, ENDINGS[0], duration_ms=lasted)

    add_up()

    assert rollups.bucket_of(lasted) == bucket
    assert the_hour().durations.index(1) == bucket


def test_what_comes_later_is_added_to_the_same_hour(delivery):
    attempted(delivery, ENDINGS[0])
    add_up()
    attempted(delivery, ENDINGS[2], started_at=NOON + timedelta(minutes=59, seconds=59))

    assert add_up() == 1

    hour = the_hour()
    assert (hour.delivered, hour.failed, sum(hour.durations)) == (1, 1, 2)
    assert hour.answers == {"200": 1, "503": 1}


def test_hours_and_endpoints_are_told_apart(delivery):
    [other] = owe(1, make_endpoint())
    attempted(delivery, ENDINGS[0])
    attempted(delivery, ENDINGS[0], started_at=NOON - timedelta(microseconds=1))
    attempted(other, ENDINGS[0])

    add_up()

    assert EndpointStat.objects.count() == 3
    assert {row.hour for row in delivery.endpoint.stats.all()} == {NOON, NOON - HOUR}


def test_tests_are_not_counted(delivery):
    attempted(delivery, ENDINGS[0], trigger="test")

    assert add_up() == 0
    assert not EndpointStat.objects.exists()


def test_what_nobody_has_attempted_costs_nothing(db):
    assert add_up() == 0
    with statements() as said:
        rollups.add_up(using="default")
    assert len(said) <= 4


def test_what_is_seen_first_is_added_by_the_next_run(delivery):
    """A transaction that was open then may still add an attempt with a lower number."""
    attempted(delivery, ENDINGS[0], ENDINGS[0])
    late = Attempt.objects.order_by("pk").first()
    fields = {f.attname: getattr(late, f.attname) for f in Attempt._meta.concrete_fields}
    late.delete()

    assert rollups.add_up(using="default") == 0
    Attempt.objects.create(**fields)  # now it commits

    assert rollups.add_up(using="default") == 2
    assert rollups.add_up(using="default") == 0


def test_what_was_not_seen_the_time_before_waits_for_the_next_run(delivery):
    attempted(delivery, ENDINGS[0])
    rollups.add_up(using="default")
    attempted(delivery, ENDINGS[0])

    assert [rollups.add_up(using="default") for _ in range(3)] == [1, 1, 0]


def test_a_long_log_is_added_in_steps_and_one_run_takes_only_so_many(delivery, monkeypatch):
    monkeypatch.setattr(rollups, "STEPS", 3)
    attempted(delivery, *[ENDINGS[0]] * 10)
    rollups.add_up(using="default")

    assert [rollups.add_up(using="default", most=2) for _ in range(3)] == [6, 4, 0]
    assert the_hour().delivered == 10


def test_a_run_ends_in_time_and_the_next_one_goes_on(delivery, monkeypatch):
    attempted(delivery, *[ENDINGS[0]] * 4)
    rollups.add_up(using="default")
    moments = iter(range(0, 100, 4))
    monkeypatch.setattr(rollups, "monotonic", lambda: next(moments))

    assert [rollups.add_up(using="default", most=1) for _ in range(2)] == [1, 1]


def test_gaps_in_the_numbers_cost_no_steps(delivery):
    attempted(delivery, *[ENDINGS[0]] * 2)
    Attempt.objects.filter(number=2).update(id=10**9)

    rollups.add_up(using="default")

    assert rollups.add_up(using="default", most=1) == 2


def test_a_crash_between_the_sums_and_the_commit_repeats_nothing(delivery, monkeypatch):
    attempted(delivery, *ENDINGS)
    rollups.add_up(using="default")
    write = rollups._write

    def crash(*args):
        write(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(rollups, "_write", crash)
    with pytest.raises(KeyboardInterrupt):
        rollups.add_up(using="default")
    assert not EndpointStat.objects.exists()

    monkeypatch.setattr(rollups, "_write", write)
    assert rollups.add_up(using="default") == len(ENDINGS)
    assert rollups.add_up(using="default") == 0
    assert sum(the_hour().durations) == len(ENDINGS)


def test_two_at_once_add_nothing_twice(delivery, monkeypatch):
    attempted(delivery, *ENDINGS * 5)
    rollups.add_up(using="default")
    counted, both = rollups._found, Barrier(2)

    def meet(*args):
        yield from [*counted(*args)]
        with suppress(Exception):
            both.wait(10)  # each has counted the same attempts now

    monkeypatch.setattr(rollups, "_found", meet)
    added = in_threads(lambda: rollups.add_up(using="default"), 2)

    assert sorted(added) == [0, len(ENDINGS) * 5]
    assert sum(the_hour().durations) == len(ENDINGS) * 5


def in_threads(work, many: int) -> list:
    done = []

    def run() -> None:
        try:
            done.append(work())
        finally:
            connection.close()

    threads = [Thread(target=run) for _ in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done


def test_many_endpoints_cost_few_statements(delivery):
    endpoints = Endpoint.objects.bulk_create(
        [Endpoint(name=str(n), url="https://receiver.example/") for n in range(200)]
    )
    for owed in owe(1, *endpoints):
        Attempt.objects.bulk_create([attempt(owed_row(owed), 1)])
    rollups.add_up(using="default")

    with statements() as said:
        assert rollups.add_up(using="default") == 200
    assert len(said) <= 14


def owed_row(owed: Delivery) -> Delivery:
    return Delivery.objects.get(event=owed.event_id, endpoint=owed.endpoint_id)


def test_the_sweep_adds_up(delivery):
    attempted(delivery, ENDINGS[0])

    tasks.sweep()
    let_a_minute_pass()
    tasks.sweep()

    assert EndpointStat.objects.filter(hour=NOON).get().delivered == 1


attempts = st.lists(
    st.tuples(
        st.sampled_from(ENDINGS),
        st.integers(0, 1),
        st.datetimes(datetime(2026, 11, 20, 10), datetime(2026, 11, 20, 13)),  # noqa: DTZ001
        st.none() | st.integers(0, 40_000),
        st.sampled_from(["schedule", "redelivery", "once", "test"]),
    ),
    max_size=30,
)


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(attempts, st.integers(1, 7), st.data())
def test_the_sums_equal_the_log(delivery, log, most, data):
    for model in (EndpointStat, RollUp, Attempt):
        model.objects.all().delete()
    if Endpoint.objects.count() < 2:
        owe(1, make_endpoint())
    deliveries = Delivery.objects.order_by("pk")[:2]
    for number, (ending, whose, at, lasted, trigger) in enumerate(log, 1):
        fields = {"started_at": at.replace(tzinfo=UTC), "duration_ms": lasted, "trigger": trigger}
        attempt(deliveries[whose], number, ending, **fields).save()
        if data.draw(st.booleans()):
            rollups.add_up(using="default", most=most)
    for _ in range(5):
        rollups.add_up(using="default", most=most)

    assert summed() == logged(log, [each.endpoint_id for each in deliveries])


def summed() -> dict:
    return {
        (row.endpoint_id, row.hour): (
            row.delivered,
            row.failed,
            row.dead,
            tuple(row.durations),
            Counter(row.answers),
        )
        for row in EndpointStat.objects.all()
    }


def logged(log, endpoints) -> dict:
    """The same, from the log, by other means."""
    sums = {}
    for (verdict, status, fault), whose, at, lasted, trigger in log:
        if trigger == "test":
            continue
        hour = at.replace(minute=0, second=0, microsecond=0, tzinfo=UTC)
        found = sums.setdefault((endpoints[whose], hour), [0, 0, 0, [0] * 19, Counter()])
        found[0] += verdict == Verdict.DELIVERED
        found[1] += verdict != Verdict.DELIVERED
        found[2] += verdict == Verdict.DEAD
        if lasted is not None:
            found[3][sum(lasted > bound for bound in totals.BOUNDS)] += 1
        found[4][fault if status is None or fault == "too_large" else str(status)] += 1
    return {key: (d, f, x, tuple(h), a) for key, (d, f, x, h, a) in sums.items()}


# ── what all attempts came to


def so_far() -> tuple[dict[str, int], list[int], int]:
    totals = rollups.so_far(using="default")
    endings = {f"{outcome} {verdict}": n for (outcome, verdict), n in totals.endings.items()}
    return endings, list(totals.durations), totals.milliseconds


def test_totals_are_those_of_the_log_whoever_has_added_up_what(delivery):
    assert so_far() == ({}, [], 0)
    attempted(delivery, *ENDINGS, duration_ms=7)
    attempted(delivery, ("delivered", 200, ""), trigger="test")
    attempted(delivery, ("retry", None, "worker_lost"), duration_ms=None)
    attempted(delivery, ("delivered", 200, ""), duration_ms=60_000)

    before = so_far()
    add_up()
    attempted(delivery, ("dead", 503, "http_5xx"), duration_ms=15)

    endings, durations, milliseconds = before
    assert endings["delivered delivered"] == 3
    assert endings["worker_lost retry"] == endings["http_5xx retry"] == 1
    assert sum(endings.values()) == 10
    assert (durations, milliseconds) == ([8, *[0] * 17, 1], 60_056)
    assert so_far() == ({**endings, "http_5xx dead": 1}, [8, 1, *[0] * 16, 1], 60_071)


def test_totals_outlive_the_rows_that_they_count(delivery):
    attempted(delivery, *ENDINGS)
    add_up()
    before = so_far()

    Delivery.objects.all().delete()
    Endpoint.objects.all().delete()

    assert so_far() == before


def test_totals_of_much_that_nobody_added_up_end_somewhere(delivery, monkeypatch):
    monkeypatch.setattr(rollups, "AHEAD", 3)
    attempted(delivery, *ENDINGS)
    assert sum(so_far()[0].values()) == 3

    add_up()
    assert sum(so_far()[0].values()) == len(ENDINGS)


# ── who adds up, and how often


def test_whoever_comes_too_soon_adds_nothing(delivery):
    attempted(delivery, *ENDINGS)
    soon = {"using": "default", "after": rollups.COMMITTED_SECONDS}
    assert [rollups.add_up(**soon) for _ in range(3)] == [0, 0, 0]

    RollUp.objects.update(seen_at=Now() - timedelta(seconds=rollups.COMMITTED_SECONDS))
    assert [rollups.add_up(**soon) for _ in range(2)] == [len(ENDINGS), 0]


def test_a_clock_that_was_set_back_keeps_nobody_from_adding(delivery):
    attempted(delivery, *ENDINGS)
    rollups.add_up(using="default")
    RollUp.objects.update(seen_at=Now() + timedelta(days=1))

    assert rollups.add_up(using="default", after=rollups.COMMITTED_SECONDS) == len(ENDINGS)


def test_who_drains_without_django_q_adds_up_too(delivery):
    attempted(delivery, *ENDINGS)
    Delivery.objects.update(state="dead", due_at=None)

    loop.once(using="default", seconds=1)
    let_a_minute_pass()
    loop.once(using="default", seconds=1)

    assert the_hour().delivered == 2
