"""What an answer means, as tables; and properties of the waits."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook_delivery.outcomes import (
    Decision,
    Fault,
    Outcome,
    Policy,
    Verdict,
    decide,
    fault_of,
    lengthen,
    parse_retry_after,
    patterns_matching,
    schedule_for,
)

pytestmark = pytest.mark.everywhere_once

POLICY = Policy(schedule=[5, 300], retry_after_cap=3600)
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (200, None),
        (204, None),
        (299, None),
        (101, Fault.PROTOCOL),
        (103, Fault.PROTOCOL),
        (301, Fault.REDIRECT),
        (400, Fault.CLIENT_ERROR),
        (410, Fault.GONE),
        (429, Fault.CLIENT_ERROR),
        (503, Fault.SERVER_ERROR),
        (600, Fault.PROTOCOL),
        (999, Fault.PROTOCOL),
    ],
)
def test_only_2xx_is_success(status, fault):
    assert fault_of(status) == fault


def outcome(status=None, fault=None, **kwargs) -> Outcome:
    return Outcome(status=status, fault=fault or (status and fault_of(status)), **kwargs)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_overload_and_server_errors_are_retried(status):
    assert decide(outcome(status), attempt=1, policy=POLICY) == Decision(Verdict.RETRY, 5)


@pytest.mark.parametrize("fault", [Fault.TIMEOUT, Fault.DNS, Fault.REFUSED, Fault.RESET, Fault.TLS])
def test_faults_of_the_network_are_retried(fault):
    assert decide(outcome(fault=fault), attempt=2, policy=POLICY) == Decision(Verdict.RETRY, 300)


@pytest.mark.parametrize(
    ("schedule", "attempt", "waits"),
    [([5, 300], 1, 5), ([5, 3000], 2, 300), ([5, 7], 3, 7), ([5, 7], 99, 7), ([], 1, 300)],
    ids=str,
)
def test_what_cannot_be_signed_is_deferred_and_never_dies_of_it(schedule, attempt, waits):
    policy = Policy(schedule=schedule, retry_after_cap=3600)

    decision = decide(outcome(fault=Fault.SECRET), attempt=attempt, policy=policy)

    assert decision == Decision(Verdict.DEFERRED, waits)


def test_a_test_does_not_wait_for_its_key():
    policy = Policy(schedule=[], retry_after_cap=3600, deferring=False)

    assert decide(outcome(fault=Fault.SECRET), attempt=1, policy=policy).verdict is Verdict.DEAD


@pytest.mark.parametrize("status", [301, 400, 401, 404, 422])
def test_other_3xx_and_4xx_are_dead_at_once(status):
    assert decide(outcome(status), attempt=1, policy=POLICY).verdict is Verdict.DEAD


@pytest.mark.parametrize("status", [301, 400, 404])
def test_a_switch_retries_them_like_server_errors(status):
    policy = Policy(schedule=[5], retry_after_cap=0, retry_client_errors=True)

    assert decide(outcome(status), attempt=1, policy=policy).verdict is Verdict.RETRY


def test_gone_is_dead_even_with_the_switch():
    policy = Policy(schedule=[5], retry_after_cap=0, retry_client_errors=True)

    assert decide(outcome(410), attempt=1, policy=policy).verdict is Verdict.DEAD


def test_the_last_attempt_of_the_budget_is_dead():
    assert POLICY.max_attempts == 3
    assert decide(outcome(503), attempt=3, policy=POLICY).verdict is Verdict.DEAD


@pytest.mark.parametrize(("asked", "waits"), [(None, 5), (1, 5), (60, 60), (10**9, 3600)], ids=str)
def test_retry_after_lengthens_the_wait_up_to_the_cap(asked, waits):
    found = outcome(429, retry_after=asked)

    assert decide(found, attempt=1, policy=POLICY) == Decision(Verdict.RETRY, waits)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120),
        (" 7 ", 7),
        ("0", 0),
        ("-5", None),
        ("+5", None),
        ("1e3", None),
        ("1_000", None),
        ("٣", None),
        ("1, 2", None),
        ("9" * 5000, None),
        ("Sat, 21 Nov 2026 12:01:00 GMT", 60),
        ("Sat, 21 Nov 2020 12:00:00 GMT", 0),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
        ("soon", None),
    ],
)
def test_retry_after_is_read_strictly(header, seconds):
    assert parse_retry_after(header, now=NOW) == seconds


@given(st.text())
def test_no_retry_after_raises_or_is_negative(header):
    seconds = parse_retry_after(header, now=NOW)

    assert seconds is None or seconds >= 0


@given(st.integers(100, 999), st.integers(1, 12), st.one_of(st.none(), st.floats(0, 1e12)))
def test_a_retry_waits_no_less_than_scheduled_and_no_longer_than_the_cap(status, attempt, asked):
    decision = decide(outcome(status, retry_after=asked), attempt=attempt, policy=POLICY)

    if decision.delay is not None:
        own = POLICY.schedule[attempt - 1]
        assert own <= decision.delay <= max(own, POLICY.retry_after_cap)


@given(st.floats(0, 1e6), st.floats(0, 1))
def test_jitter_only_lengthens(delay, jitter):
    assert delay <= lengthen(delay, jitter=jitter) <= delay * (1 + jitter) + 1e-6


def test_an_event_type_falls_under_its_patterns():
    assert patterns_matching("a.b.c") == ["a.b.c", "a.b.*", "a.*", "*"]
    assert patterns_matching("ping") == ["ping", "*"]


def test_the_most_exact_schedule_wins():
    schedules = {"*": [1], "order.*": [2], "order.paid": [3]}

    assert schedule_for("order.paid", schedules) == [3]
    assert schedule_for("order.created", schedules) == [2]
    assert schedule_for("user.created", schedules) == [1]
    assert schedule_for("user.created", {}) is None


def test_a_delivery_does_not_die_of_what_its_worker_lacked():
    exhausted = Outcome(fault=Fault.EXHAUSTED)
    policy = Policy(schedule=[1, 2], retry_after_cap=0)

    assert decide(exhausted, attempt=2, policy=policy) == Decision(Verdict.RETRY, 2)
    assert decide(exhausted, attempt=3, policy=policy) == Decision(Verdict.DEFERRED, 300)
    assert decide(exhausted, attempt=9, policy=policy).verdict is Verdict.DEFERRED
