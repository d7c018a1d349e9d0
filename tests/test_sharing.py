"""Who gets the free places, whatever is waiting, held and allowed."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook_delivery.sharing import LATE_SHARE, Due, seat, share

pytestmark = pytest.mark.everywhere_once

FEW = st.integers(0, 6)
WAITING = st.lists(st.tuples(st.integers(1, 5), st.booleans()), max_size=60)
COUNTS = st.fixed_dictionaries(dict.fromkeys(range(1, 6), FEW))
PLACES = st.integers(0, 30)


def line(pairs: list[tuple[int, bool]]) -> list[Due]:
    return [Due(pk, endpoint, first) for pk, (endpoint, first) in enumerate(pairs)]


def owed(endpoint: int, count: int, *, first: bool = True, start: int = 0) -> list[Due]:
    return [Due(start + number, endpoint, first) for number in range(count)]


def shared(waiting, places, *, rooms=None, held=None, chance=lambda: 0.0) -> list[Due]:
    rooms = rooms or {due.endpoint: 1000 for due in waiting}
    return share(waiting, places, rooms=rooms, held=held or {}, chance=chance)


def per_endpoint(chosen: list[Due]) -> Counter[int]:
    return Counter(due.endpoint for due in chosen)


@given(WAITING, PLACES, COUNTS, COUNTS)
def test_no_more_than_places_nor_than_rooms_and_nothing_twice(pairs, places, rooms, held):
    waiting = line(pairs)

    chosen = share(waiting, places, rooms=rooms, held=held)

    assert len(chosen) <= places
    assert all(count <= rooms[pk] for pk, count in per_endpoint(chosen).items())
    assert len({due.pk for due in chosen}) == len(chosen)
    assert set(chosen) <= set(waiting)


@given(WAITING, PLACES, COUNTS, COUNTS)
def test_no_place_stays_free_that_somebody_could_have(pairs, places, rooms, held):
    waiting = line(pairs)

    chosen = share(waiting, places, rooms=rooms, held=held)

    could = sum(min(rooms[pk], count) for pk, count in per_endpoint(waiting).items())
    assert len(chosen) == min(places, could)


@given(WAITING, PLACES, COUNTS, COUNTS)
def test_nobody_gets_nothing_while_another_gets_two_more_than_it_holds(pairs, places, rooms, held):
    waiting = line([(endpoint, True) for endpoint, _ in pairs])

    got = per_endpoint(share(waiting, places, rooms=rooms, held=held))

    for poor, wants in per_endpoint(waiting).items():
        if got[poor] < min(rooms[poor], wants):
            has = held[poor] + got[poor]
            assert all(held[rich] + got[rich] <= has + 1 for rich in got if got[rich])


@given(WAITING, PLACES, COUNTS)
def test_of_each_endpoint_those_longest_due_go_first(pairs, places, rooms):
    waiting = line([(endpoint, True) for endpoint, _ in pairs])

    chosen = share(waiting, places, rooms=rooms, held={})

    for pk, count in per_endpoint(chosen).items():
        mine = [due for due in waiting if due.endpoint == pk]
        assert [due for due in chosen if due.endpoint == pk] == mine[:count]


def test_who_holds_the_fewest_comes_first():
    waiting = [*owed(1, 9), *owed(2, 9, start=9), *owed(3, 9, start=18)]

    chosen = shared(waiting, 4, held={1: 5, 2: 1, 3: 2})

    assert per_endpoint(chosen) == {2: 3, 3: 1}


def test_first_attempts_go_before_retries_which_keep_a_quarter():
    waiting = [*owed(1, 100, first=False), *owed(2, 100, start=100)]

    chosen = shared(waiting, 20)

    assert per_endpoint(chosen) == {1: 5, 2: 15}


def test_few_retries_keep_no_more_than_they_need():
    waiting = [*owed(1, 2, first=False), *owed(2, 100, start=100)]

    assert per_endpoint(shared(waiting, 20)) == {1: 2, 2: 18}


def test_retries_get_what_first_attempts_leave():
    waiting = [*owed(1, 100, first=False), *owed(2, 3, start=100)]

    assert per_endpoint(shared(waiting, 20)) == {1: 17, 2: 3}


def test_retries_keep_a_quarter_of_a_narrow_room_too():
    waiting = [*owed(1, 50), *owed(1, 50, first=False, start=50)]

    chosen = shared(waiting, 100, rooms={1: 8})

    assert Counter(due.first for due in chosen) == {True: 6, False: 2}


def test_where_there_is_one_place_retries_get_it_one_time_in_four():
    waiting = [*owed(1, 50), *owed(1, 50, first=False, start=50)]
    chances = [0.1, 0.3, 0.5, 0.8]

    for places, rooms in ((1, {1: 9}), (9, {1: 1})):
        chosen = [shared(waiting, places, rooms=rooms, chance=lambda c=c: c) for c in chances]
        assert [due.first for [due] in chosen] == [True, True, True, False]


def test_where_one_of_several_has_a_first_attempt_its_retries_may_still_have_their_turn():
    waiting = [*owed(1, 5), *owed(2, 5, first=False, start=5)]

    assert per_endpoint(shared(waiting, 1, chance=lambda: 0.9)) == {2: 1}
    assert per_endpoint(shared(waiting, 1, chance=lambda: 0.1)) == {1: 1}


@given(WAITING, PLACES)
def test_no_more_seats_than_there_are_and_all_are_taken(pairs, seats):
    seen = line(pairs)
    everybody = {due.endpoint for due in seen}

    chosen = seat(seen, seats)

    assert chosen <= everybody
    assert len(chosen) == min(seats, len(everybody))


def test_most_seats_are_for_first_attempts_and_a_quarter_for_retries():
    seen = line([(number, number < 100) for number in range(200)])

    chosen = seat(seen, 40)

    late = 40 // LATE_SHARE
    assert sum(endpoint >= 100 for endpoint in chosen) == late
    assert sum(endpoint < 100 for endpoint in chosen) == 40 - late


def test_a_single_seat_is_a_retrys_one_time_in_four():
    seen = line([(1, True), (2, False)])

    assert [seat(seen, 1, chance=lambda c=c: c) for c in (0.1, 0.5, 0.8)] == [{1}, {1}, {2}]


def test_everybody_has_a_seat_in_turn():
    seen = line([(number, True) for number in range(30)])

    assert set().union(*(seat(seen, 5) for _ in range(200))) == set(range(30))
