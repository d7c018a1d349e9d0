"""When a drain looks for what is due again, and for whom."""

import pytest

from webhook_delivery import rhythm
from webhook_delivery.rhythm import IN_VAIN_SECONDS, LOOK_SECONDS, PEEK_SECONDS, Rhythm

CONCURRENCY = 4
STOCK = rhythm.AHEAD * CONCURRENCY
LOW = STOCK - CONCURRENCY
"""So much room is left when the stock is low."""
MOMENT = 0.001


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def pass_by(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def beat(clock, settings) -> Rhythm:
    """One whose last look found something, and has left nothing."""
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "CONCURRENCY": CONCURRENCY}
    beat = Rhythm(clock)
    beat.looked(1, STOCK, newcomers=False)
    return beat


def looks_after(beat: Rhythm, clock: Clock, seconds: float, room: int) -> bool:
    """Whether it asks for a look after so long, and not just before."""
    clock.pass_by(seconds - MOMENT)
    before = beat.asks_for(room)
    clock.pass_by(2 * MOMENT)
    return beat.asks_for(room) and not before


def test_it_looks_now_and_then_while_there_is_enough_to_do(beat, clock):
    assert looks_after(beat, clock, LOOK_SECONDS, room=1)


def test_it_looks_soon_again_when_the_last_look_found_nothing(beat, clock):
    beat.looked(0, STOCK, newcomers=False)

    assert looks_after(beat, clock, PEEK_SECONDS, room=1)


def test_without_room_it_never_looks(beat, clock):
    clock.pass_by(3600)

    assert not beat.asks_for(0)


@pytest.mark.parametrize("why", ["the last look filled the room", "something was settled"])
def test_it_looks_at_once_when_the_stock_runs_low_and_there_may_be_more(beat, why):
    if why == "something was settled":
        beat.news = True
    else:
        beat.looked(STOCK, STOCK, newcomers=False)

    assert beat.asks_for(LOW)
    assert not beat.asks_for(LOW - 1)


def test_a_look_forgets_what_was_settled_before_it(beat):
    beat.news = True
    beat.looked(1, STOCK, newcomers=False)

    assert not beat.asks_for(LOW)


@pytest.mark.parametrize("room", [LOW - 1, 1, 0, 1 - STOCK])
def test_a_call_is_answered_at_once_for_newcomers_however_full_the_stock_is(beat, room):
    beat.called = True

    assert beat.asks_for(room)
    assert beat.only_newcomers(room)
    assert beat.places(room, newcomers=True) == room + STOCK


def test_newcomers_find_no_more_places_than_the_stock_has(beat):
    beat.called = True

    assert not beat.asks_for(-STOCK)


def test_a_call_when_the_stock_is_low_is_for_everybody_and_no_hurry(beat, clock):
    beat.called = True

    assert not beat.only_newcomers(LOW)
    assert beat.places(LOW, newcomers=False) == LOW
    assert looks_after(beat, clock, PEEK_SECONDS, room=LOW)


def test_newcomers_are_looked_for_again_at_once_when_there_were_some(beat):
    beat.looked(1, STOCK, newcomers=True)
    assert not beat.called

    beat.called = True
    assert beat.asks_for(0)


def test_newcomers_who_filled_all_places_may_not_have_been_all(beat):
    beat.looked(STOCK, STOCK, newcomers=True)

    assert beat.called


def test_newcomers_are_looked_for_less_and_less_while_there_are_none(beat, clock):
    """Those who call for who is owed much already must not cost it half its speed."""
    waits = [PEEK_SECONDS * 2**times for times in range(5)]
    for seconds in waits:
        beat.looked(0, STOCK, newcomers=True)
        beat.called = True
        assert looks_after(beat, clock, seconds, room=0)

    for _ in range(5):
        beat.looked(0, STOCK, newcomers=True)
    beat.called = True
    assert looks_after(beat, clock, IN_VAIN_SECONDS, room=0)

    beat.looked(1, STOCK, newcomers=True)
    beat.looked(0, STOCK, newcomers=True)
    beat.called = True
    assert looks_after(beat, clock, PEEK_SECONDS, room=0)


def test_meanwhile_a_call_is_answered_as_if_there_were_no_newcomers(beat, clock):
    for _ in range(7):
        beat.looked(0, STOCK, newcomers=True)
    beat.called = True

    assert looks_after(beat, clock, PEEK_SECONDS, room=1)
    assert not beat.only_newcomers(1)


def test_a_look_for_newcomers_says_nothing_of_the_others(beat):
    beat.looked(STOCK, STOCK, newcomers=False)
    beat.looked(0, STOCK, newcomers=True)

    assert beat.fruitful
    assert beat.asks_for(LOW)


def test_it_says_how_long_ago_the_last_look_was(beat, clock):
    clock.pass_by(7)

    assert beat.ago() == 7
