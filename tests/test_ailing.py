"""An endpoint fails from the first failure on that no success follows; and not for one event."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from webhook_delivery.ailing import Limits, Step, due, ended, ends_at, heard, lasted
from webhook_delivery.outcomes import Fault, Outcome, fault_of
from webhook_delivery.pacing import Traffic

NOW = datetime(2026, 11, 21, tzinfo=UTC)
HOUR, DAY = 3600.0, 86_400.0
LIMITS = Limits(warn_after=DAY, disable_after=5 * DAY)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def told(traffic: Traffic, *statuses: int, at: float = 0, first: bool = True) -> Traffic:
    outcomes = [(Outcome(status, fault_of(status)), first) for status in statuses]
    return heard(traffic, outcomes, after(at))


def failing(days: float, *, events: int = 3, warned: float | None = None) -> Traffic:
    """Since now, up to so many days from now."""
    at = None if warned is None else after(warned * DAY)
    return Traffic(
        failing_since=NOW, failed_at=after(days * DAY), failed_events=events, warned_at=at
    )


def test_it_fails_since_the_first_failure_after_the_last_success():
    traffic = told(told(Traffic(), 200, 503), 503, at=60)

    assert (traffic.failing_since, traffic.failed_at) == (NOW, after(60))
    assert lasted(traffic) == 60
    assert told(traffic, 503, 200, at=90) == Traffic()
    assert told(traffic, 200, 503, at=90).failing_since == after(90)


@pytest.mark.parametrize("status", [301, 401, 404, 429, 500, 503])
def test_whatever_is_no_success_counts(status):
    assert told(Traffic(), status).failing_since == NOW


@pytest.mark.parametrize("fault", ["timeout", "dns", "refused", "tls", "proxy"])
def test_who_is_not_there_fails(fault):
    assert heard(Traffic(), [(Outcome(fault=Fault(fault)), True)], NOW).failing_since == NOW


@pytest.mark.parametrize("fault", ["config", "blocked", "secret", "worker_lost", "internal"])
def test_what_is_our_own_fault_is_not_held_against_it(fault):
    assert heard(Traffic(), [(Outcome(fault=Fault(fault)), True)], NOW) == Traffic()


def test_who_asks_not_to_be_sent_one_event_again_is_neither_well_nor_ill():
    aborted = [(Outcome(503, Fault.ABORTED), True)]

    assert heard(Traffic(), aborted, NOW) == Traffic()
    assert heard(failing(1), aborted, after(DAY)) == failing(1)


def test_events_are_counted_and_not_their_retries():
    traffic = told(Traffic(), 503, 503)
    for hour in range(1, 50):
        traffic = told(traffic, 503, at=hour * HOUR, first=False)

    assert traffic.failed_events == 2
    assert told(traffic, 503, at=50 * HOUR).failed_events == 3


def test_a_retry_that_begins_it_is_an_event_too():
    assert told(Traffic(), 503, 503, first=False).failed_events == 1


def test_a_success_from_before_the_breaker_opened_ends_nothing():
    blocked = replace(failing(1), openings=1, blocked_until=after(DAY + 60))

    assert told(blocked, 200, at=DAY) == blocked
    assert told(blocked, 200, at=DAY + 60).failing_since is None


@pytest.mark.parametrize(
    ("traffic", "step"),
    [
        (Traffic(), Step.NOTHING),
        (failing(0.99), Step.NOTHING),
        (failing(1), Step.WARN),
        (failing(30), Step.WARN),
        (failing(1, warned=1), Step.NOTHING),
        (failing(4.99, warned=1), Step.NOTHING),
        (failing(5, warned=1), Step.SWITCH_OFF),
        (failing(5.99, warned=2), Step.NOTHING),
        (failing(6, warned=2), Step.SWITCH_OFF),
        (failing(30, events=2), Step.NOTHING),
        (failing(30, events=2, warned=1), Step.NOTHING),
    ],
)
def test_it_is_warned_of_and_then_switched_off(traffic, step):
    assert due(traffic, LIMITS) is step


def test_a_quiet_endpoint_that_failed_a_month_ago_and_today_is_warned_of_first():
    traffic = told(told(Traffic(), 503), 503, 503, 503, at=30 * DAY)

    assert due(traffic, LIMITS) is Step.WARN
    warned = replace(traffic, warned_at=after(30 * DAY))
    assert ends_at(warned, LIMITS) == after(34 * DAY)
    assert due(told(warned, 503, at=33.9 * DAY), LIMITS) is Step.NOTHING
    assert due(told(warned, 503, at=34 * DAY), LIMITS) is Step.SWITCH_OFF


def test_who_was_switched_on_after_a_warning_is_warned_of_anew():
    assert due(failing(1, warned=-1), LIMITS) is Step.WARN
    assert ends_at(failing(5, warned=-1), LIMITS) is None


def test_who_is_never_warned_of_is_switched_off_all_the_same():
    assert due(failing(4.9), Limits(0, 5 * DAY)) is Step.NOTHING
    assert due(failing(5), Limits(0, 5 * DAY)) is Step.SWITCH_OFF


def test_who_may_fail_for_ever_is_warned_of_once():
    assert due(failing(99), Limits(DAY, 0)) is Step.WARN
    assert due(failing(99, warned=1), Limits(DAY, 0)) is Step.NOTHING
    assert due(failing(99), Limits(0, 0)) is Step.NOTHING


def test_when_it_will_be_switched_off_can_be_said_once_it_was_warned_of():
    assert ends_at(failing(1, warned=1), LIMITS) == after(5 * DAY)
    assert ends_at(failing(1), LIMITS) is None
    assert ends_at(failing(1), Limits(0, 5 * DAY)) == after(5 * DAY)
    assert ends_at(failing(1, warned=1), Limits(DAY, 0)) is None
    assert lasted(Traffic()) == 0


def test_what_people_have_noticed_they_hear_the_end_of():
    assert ended(failing(2, warned=1), Traffic())
    assert ended(replace(failing(0), openings=1), Traffic())
    assert ended(failing(2, warned=1), replace(failing(0), failing_since=after(DAY)))
    assert ended(Traffic(warned_at=NOW), Traffic())
    assert not ended(failing(2), Traffic())
    assert not ended(failing(2, warned=1), failing(3, warned=1))
    assert not ended(Traffic(openings=1), Traffic())
