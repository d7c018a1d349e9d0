"""Rates, breakers and pauses, whatever the sequence of claims and answers."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook_delivery.outcomes import Fault, Outcome, fault_of
from webhook_delivery.pacing import (
    BURST_SECONDS,
    FASTEST,
    LEEWAY_SECONDS,
    OURS,
    SILENT,
    SLOWEST,
    Breaker,
    Traffic,
    allowance,
    answered,
    believed,
    failing,
    furthest,
    paced,
    sensible,
    stopping,
)

pytestmark = pytest.mark.everywhere_once

NOW = datetime(2026, 11, 21, tzinfo=UTC)
BREAKER = Breaker(failures=10, seconds=5, longest=300)
GOOD, BAD = Outcome(204), Outcome(503, Fault.SERVER_ERROR)
BUSY = Outcome(429, Fault.CLIENT_ERROR, retry_after=60)
FRESH = Traffic()


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def allowed(traffic: Traffic = FRESH, *, at: float = 0, **facts) -> int:
    facts = {"in_flight": 0, "at_most": 100, "rate": None} | facts
    return allowance(traffic, BREAKER, now=after(at), **facts)


def heard(traffic: Traffic, *outcomes: Outcome, at: float = 0) -> Traffic:
    return answered(traffic, BREAKER, outcomes, after(at))


def blocked_for(traffic: Traffic) -> float:
    return (traffic.blocked_until - NOW).total_seconds()


def opened() -> Traffic:
    return heard(Traffic(), *[BAD] * BREAKER.failures)


# ── rates


RATES = st.floats(1 / 3600, 200)
GAPS = st.lists(
    st.tuples(st.floats(0, 2) | st.floats(0, 0.05) | st.just(0.0), st.integers(1, 400)),
    min_size=1,
    max_size=80,
)


def begun(
    rate: float, gaps: list[tuple[float, int]], traffic: Traffic = FRESH
) -> list[tuple[datetime, int]]:
    """When how many were claimed by who always takes what it may, up to what it wants."""
    now, claims = NOW, []
    for gap, wanted in gaps:
        now += timedelta(seconds=gap)
        facts = {"in_flight": 0, "at_most": 10_000, "rate": rate}
        claimed = min(wanted, allowance(traffic, BREAKER, now=now, **facts))
        traffic = paced(traffic, claimed, rate=rate, now=now)
        claims.append((now, claimed))
    return claims


@given(RATES, GAPS)
def test_no_second_sees_more_than_the_rate_and_its_burst(rate, gaps):
    claims = begun(rate, gaps)

    for first, _ in claims:
        within = [n for at, n in claims if first <= at < first + timedelta(seconds=1)]
        assert sum(within) <= rate * (1 + BURST_SECONDS) + 1


@given(RATES, GAPS)
def test_in_all_no_more_begin_than_the_rate_allows_since_the_first(rate, gaps):
    claims = begun(rate, gaps)

    seconds = (claims[-1][0] - claims[0][0]).total_seconds()
    assert sum(n for _, n in claims) <= rate * (seconds + BURST_SECONDS) + 1 + 1e-3


@given(RATES)
def test_what_has_waited_long_may_burst_no_further_than_what_is_new(rate):
    rested = Traffic(paced_until=after(-86_400))

    assert allowed(rested, rate=rate) == allowed(rate=rate)


@pytest.mark.parametrize("rate", [0.001, 0.5, 1, 4, 100])
def test_a_rate_is_reached_by_who_always_comes_in_time(rate):
    traffic, count = Traffic(), 100
    for _ in range(count):
        waits = max(0.0, (traffic.paced_until or NOW).timestamp() - NOW.timestamp())
        now = max(0.0, waits - BURST_SECONDS)
        assert allowed(traffic, rate=rate, at=now + 1e-5)
        traffic = paced(traffic, 1, rate=rate, now=after(now))

    assert (traffic.paced_until - NOW).total_seconds() == pytest.approx(count / rate, rel=1e-3)


def test_who_asks_regardless_of_the_rate_runs_up_no_debt():
    traffic = Traffic()
    for _ in range(50):
        traffic = paced(traffic, 1, rate=0.1, now=NOW)

    assert allowed(traffic, rate=0.1, at=10)


@given(st.floats(), st.integers(0, 400), st.floats(-1e9, 1e9))
def test_whatever_a_row_says_some_rate_is_gone_by(rate, claimed, ahead):
    traffic = Traffic(paced_until=after(ahead))

    assert SLOWEST <= sensible(rate) <= FASTEST
    assert allowed(traffic, rate=rate) >= 0
    counted = paced(traffic, claimed, rate=rate, now=NOW)
    assert NOW <= counted.paced_until <= after(furthest(SLOWEST))


@given(st.floats(SLOWEST, FASTEST))
def test_a_rate_that_is_allowed_is_gone_by_as_it_is(rate):
    assert sensible(rate) == rate


@pytest.mark.parametrize(
    ("nonsense", "rate"),
    [
        *((low, SLOWEST) for low in (-math.inf, -5, -0.0, 0, 5e-324, 1e-300, SLOWEST / 2)),
        *((high, FASTEST) for high in (2 * FASTEST, 1e308, math.inf, math.nan)),
    ],
)
def test_a_rate_that_is_none_is_the_nearest_that_is(nonsense, rate):
    assert sensible(nonsense) == rate


# ── what a clock that was wrong has written

AHEAD = st.floats(-1e8, 1e8) | st.floats(-10, 10)


@given(RATES, GAPS, AHEAD)
def test_whatever_was_written_no_second_sees_more_than_the_rate_and_its_burst(rate, gaps, ahead):
    claims = begun(rate, gaps, Traffic(paced_until=after(ahead)))

    for first, _ in claims:
        within = [n for at, n in claims if first <= at < first + timedelta(seconds=1)]
        assert sum(within) <= rate * (1 + BURST_SECONDS) + 1


@given(RATES, AHEAD)
def test_whatever_was_written_nobody_waits_for_longer_than_the_rate_demands(rate, ahead):
    traffic = Traffic(paced_until=after(ahead))

    waits = 1 / rate + LEEWAY_SECONDS + 1e-3
    assert allowed(traffic, rate=rate) or allowed(traffic, rate=rate, at=waits)


def test_a_rate_that_was_raised_counts_at_once():
    traffic = paced(Traffic(), 1, rate=SLOWEST, now=NOW)

    assert allowed(traffic, rate=10) == 1
    traffic = paced(traffic, 1, rate=10, now=NOW)
    assert not allowed(traffic, rate=10)
    assert allowed(traffic, rate=10, at=0.11) == 1


def test_a_pause_that_nobody_can_have_set_blocks_nothing():
    wrong = after(BREAKER.longest + LEEWAY_SECONDS + 1)

    assert allowed(Traffic(blocked_until=wrong)) == 100
    assert allowed(replace(opened(), blocked_until=wrong)) == 1


def test_the_longest_pause_is_believed_of_a_clock_that_was_set_back_by_little():
    longest = after(BREAKER.longest + LEEWAY_SECONDS)

    assert not allowed(Traffic(blocked_until=longest))


@pytest.mark.parametrize("said", [GOOD, BAD])
def test_a_probe_tells_the_same_after_a_pause_that_is_not_believed(said):
    over, wrong = (replace(opened(), blocked_until=after(at)) for at in (0, 86_400))

    assert heard(believed(wrong, BREAKER.longest, NOW), said) == heard(over, said)


# ── how many at once


@given(st.integers(0, 300), st.integers(1, 300))
def test_no_more_are_in_flight_than_may_be(in_flight, at_most):
    assert allowed(in_flight=in_flight, at_most=at_most) == max(0, at_most - in_flight)


@given(st.integers(1, 100), st.integers(0, 100))
def test_after_failures_only_as_many_as_it_takes_to_open_the_breaker(failures, in_flight):
    trusted = max(1, BREAKER.failures - failures)

    expected = max(0, trusted - in_flight)
    assert allowed(Traffic(failures=failures), in_flight=in_flight) == expected


# ── the breaker


@given(st.lists(st.integers(1, 4), min_size=1, max_size=20))
def test_the_breaker_opens_after_so_many_failures_in_a_row_and_not_before(batches):
    traffic, failures = Traffic(), 0
    for batch in batches:
        traffic, failures = heard(traffic, *[BAD] * batch), failures + batch
        assert traffic.blocked(NOW) == (failures >= BREAKER.failures)
        if traffic.blocked(NOW):
            return


def test_a_success_among_them_begins_the_count_anew():
    assert heard(Traffic(failures=9), BAD, BAD, GOOD) == Traffic()
    assert heard(Traffic(failures=9), BAD, GOOD, BAD) == Traffic(failures=1)


def test_its_pauses_double_up_to_the_longest():
    traffic, pauses = opened(), []
    for _ in range(8):
        pauses.append(blocked_for(traffic))
        assert not allowed(traffic, at=pauses[-1] - 0.001)
        traffic = replace(traffic, blocked_until=NOW)
        assert allowed(traffic) == 1
        traffic = heard(traffic, BAD)

    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300]


def test_it_never_opens_for_longer_however_often_it_did():
    traffic = heard(Traffic(failures=99, openings=1_000_000), BAD)

    assert blocked_for(traffic) == BREAKER.longest


def test_one_success_of_a_probe_closes_it():
    traffic = heard(replace(opened(), blocked_until=NOW), GOOD)

    assert traffic == Traffic()
    assert allowed(traffic) == 100


@pytest.mark.parametrize("late", [[BAD] * 50, [GOOD], [GOOD, BAD]], ids=["bad", "good", "mixed"])
def test_late_flights_of_before_the_opening_change_nothing(late):
    assert heard(opened(), *late, at=1) == opened()


@pytest.mark.parametrize("fault", sorted(OURS))
def test_what_nobody_was_asked_says_nothing_of_the_receiver(fault):
    for traffic in (Traffic(), Traffic(failures=9), opened()):
        assert heard(traffic, *[Outcome(fault=fault)] * 20) == traffic


@pytest.mark.parametrize("status", [200, 204, 301, 400, 401, 404, 408, 410, 425])
def test_an_answer_shows_that_the_receiver_is_there(status):
    outcome = Outcome(status, fault_of(status))

    assert not failing(outcome)
    assert heard(Traffic(failures=9), outcome) == Traffic()


@pytest.mark.parametrize("fault", sorted(SILENT))
def test_silence_is_a_failure(fault):
    assert failing(Outcome(fault=fault))
    assert heard(Traffic(), Outcome(fault=fault)).failures == 1


@pytest.mark.parametrize("fault", sorted(set(Fault) - SILENT - OURS))
def test_every_other_fault_is_an_answer(fault):
    assert not failing(Outcome(400, fault))


# ── pauses that receivers ask for


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("asked", "given"), [(1, 1), (299.5, 299.5), (300, 300), (10**17, 300)])
def test_a_busy_receiver_gets_its_pause_up_to_the_longest(status, asked, given):
    outcome = Outcome(status, fault_of(status), retry_after=asked)

    traffic = heard(Traffic(), outcome)

    assert stopping(outcome)
    assert blocked_for(traffic) == given
    assert traffic.openings == 0
    assert not allowed(traffic, at=given - 0.001)
    assert allowed(traffic, at=given)


@pytest.mark.parametrize("status", [200, 400, 408, 500, 502])
def test_other_answers_that_ask_for_a_pause_ask_it_for_one_delivery(status):
    outcome = Outcome(status, fault_of(status), retry_after=60)

    assert not stopping(outcome)
    assert not heard(Traffic(), outcome).blocked(NOW)


def test_the_longest_pause_of_all_counts():
    short = Outcome(503, Fault.SERVER_ERROR, retry_after=1)

    assert blocked_for(heard(Traffic(), short, BUSY, short)) == 60
    assert blocked_for(heard(heard(Traffic(), BUSY), short, at=1)) == 60


def test_a_pause_that_was_asked_for_is_not_cut_by_who_was_on_the_way():
    asked = heard(Traffic(), BUSY)

    assert blocked_for(heard(asked, GOOD, BAD, at=1)) == 60
    assert blocked_for(heard(asked, GOOD, at=1)) == 60


def test_a_pause_that_is_asked_for_together_with_a_success_is_kept():
    assert blocked_for(heard(Traffic(), GOOD, BUSY)) == 60


# ── what cannot be signed

UNSIGNED = Outcome(fault=Fault.SECRET)


def test_what_cannot_be_signed_stops_everything_at_once():
    traffic = heard(Traffic(), *[UNSIGNED] * 20)

    assert stopping(UNSIGNED)
    assert not failing(UNSIGNED)
    assert blocked_for(traffic) == BREAKER.seconds
    assert not allowed(traffic, at=BREAKER.seconds - 0.001)
    assert allowed(traffic, at=BREAKER.seconds) == 1


def test_its_pauses_double_as_those_of_a_receiver_that_fails():
    traffic, pauses = Traffic(), []
    for _ in range(8):
        traffic = heard(replace(traffic, blocked_until=NOW), UNSIGNED)
        pauses.append(blocked_for(traffic))

    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300]


def test_one_success_shows_that_all_can_be_signed_again():
    traffic = heard(Traffic(), UNSIGNED)

    assert heard(replace(traffic, blocked_until=NOW), GOOD) == Traffic()


def test_once_it_can_be_signed_a_receiver_that_fails_is_asked_one_by_one():
    traffic = replace(heard(Traffic(), UNSIGNED), blocked_until=NOW)

    traffic = heard(traffic, BAD)

    assert not traffic.blocked(NOW)
    assert allowed(traffic) == 1


def test_a_success_on_the_way_does_not_hide_that_nothing_more_can_be_signed():
    for outcomes in ([GOOD, UNSIGNED], [UNSIGNED, GOOD]):
        assert heard(Traffic(), *outcomes).blocked(NOW)


def test_what_is_gone_stops_everything():
    assert stopping(Outcome(410, Fault.GONE))
    assert not stopping(BAD)
