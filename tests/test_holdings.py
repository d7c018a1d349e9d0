"""What a drain holds, and how much more it takes on of each endpoint."""

import pytest

from tests.owing import NOW, claim
from webhook_delivery.claims import Claim, Finding
from webhook_delivery.holdings import FIRST, GROWTH, LARGEST, Holdings
from webhook_delivery.outcomes import Fault, Outcome

GOOD, BAD = Outcome(204), Outcome(fault=Fault.TIMEOUT)


def found(held: Claim, outcome: Outcome) -> Finding:
    return Finding(held, outcome, started_at=NOW)


@pytest.fixture
def held() -> Holdings:
    return Holdings()


def test_an_endpoint_that_has_not_answered_gets_few(held):
    held.take([claim(1), claim(2)])

    assert (len(held), held.room(1), held.room(2)) == (2, FIRST - 2, FIRST)


def test_what_is_dropped_makes_room(held):
    first, second = claim(1), claim(2, endpoint=2)
    held.take([first, second])

    held.drop([first])
    held.drop([first])

    assert (len(held), held.room(1), held.room(2)) == (1, FIRST, FIRST - 1)


def test_a_claim_that_was_made_anew_is_not_dropped_with_the_old_one(held):
    old = claim(1)
    held.take([old])
    held.drop([old])
    held.take([claim(1, number=2)])

    held.drop([old])

    assert (len(held), held.room(1)) == (1, FIRST - 1)


def test_a_claim_whose_lease_has_ended_is_held_no_longer(held):
    held.take([claim(1, lease=0), claim(2)])

    held.drop_ended()

    assert (len(held), held.room(1)) == (1, FIRST - 1)


def test_each_answer_widens_the_window_up_to_the_largest(held):
    rooms = []
    for _ in range(LARGEST):
        held.learn(found(claim(1), GOOD))
        rooms.append(held.room(1))

    assert rooms[:3] == [FIRST + GROWTH, FIRST + 2 * GROWTH, FIRST + 3 * GROWTH]
    assert rooms[-1] == LARGEST
    assert held.room(2) == FIRST


def test_each_failure_halves_it_down_to_one(held):
    for _ in range(6):
        held.learn(found(claim(1), GOOD))

    rooms = []
    for _ in range(6):
        held.learn(found(claim(1), BAD))
        rooms.append(held.room(1))

    assert rooms == [8, 4, 2, 1, 1, 1]


def test_a_refusal_is_an_answer(held):
    held.learn(found(claim(1), Outcome(400, Fault.CLIENT_ERROR)))

    assert held.room(1) == FIRST + GROWTH


def test_there_is_never_less_than_no_room(held):
    held.take([claim(number) for number in range(FIRST)])
    for _ in range(3):
        held.learn(found(claim(1), BAD))

    assert held.room(1) == 0


def test_whoever_asks_for_no_more_is_given_none_until_that_is_settled(held):
    asking = claim(1)
    held.take([asking])
    held.stop(asking)
    assert (held.stopped(1), held.room(1)) == (True, 0)

    held.learn(found(claim(2), GOOD))
    assert (held.room(1), held.room(2)) == (0, FIRST)

    held.drop([asking])
    assert held.room(1) == FIRST + GROWTH


def test_what_asked_for_no_more_is_forgotten_with_its_claim(held):
    asking = claim(1, lease=0)
    held.take([asking])
    held.stop(asking)

    held.drop_ended()

    assert not held.stopped(1)


def test_who_lets_the_last_time_out_or_has_yet_to_answer_has_no_room_at_the_end(held):
    held.take([claim(1, 1), claim(2, 2), claim(3, 3)])
    held.learn(found(claim(2, 2), GOOD))
    held.learn(found(claim(3, 3), BAD))

    rooms = [held.room(endpoint, at_the_end=True) for endpoint in (1, 2, 3, 4)]

    assert rooms == [0, FIRST + GROWTH - 1, 0, FIRST]


def test_who_holds_as_much_as_flies_at_once_is_no_newcomer(held, settings):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "CONCURRENCY": 3}
    held.take([claim(number, 1) for number in range(3)])
    held.take([claim(number, 2) for number in range(3, 5)])

    rooms = [held.room(endpoint, newcomers=True) for endpoint in (1, 2, 3)]

    assert rooms == [0, FIRST - 2, FIRST]


def test_whoever_fails_often_enough_in_a_row_trips(held, settings):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "BREAKER_FAILURES": 2}

    trips = [held.trips(found(claim(1), outcome)) for outcome in (BAD, GOOD, BAD, BAD, GOOD)]

    assert trips == [False, False, False, True, False]
