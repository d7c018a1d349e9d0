"""Attempts in the air: who flies next, on how many threads, and how it ends."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.owing import claim
from tests.tower import PATIENCE, Tower, threads
from webhook_delivery import flights as flying
from webhook_delivery.claims import Claim

CONCURRENCY, MAX_THREADS = 4, 12


def many(count: int, endpoint: int = 1, *, start: int = 0) -> list[Claim]:
    return [claim(start + number, endpoint) for number in range(count)]


@pytest.fixture(autouse=True)
def limits(settings) -> None:
    limited = {"CONCURRENCY": CONCURRENCY, "MAX_THREADS": MAX_THREADS}
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, **limited}


@pytest.fixture
def tower() -> Iterator[Tower]:
    with closing(Tower()) as tower:
        yield tower


@pytest.fixture
def all_slow(monkeypatch) -> None:
    """Whatever is in the air is taken for slow at once."""
    monkeypatch.setattr(flying, "SLOW_SECONDS", -1)


def test_as_many_fly_as_may_and_the_rest_is_ready(tower):
    tower.launch(*many(3, 1), *many(3, 2, start=10))

    tower.wait_for(CONCURRENCY)

    assert (tower.flights.ready, tower.flights.working()) == (2, CONCURRENCY)
    assert len(threads()) == CONCURRENCY


def test_each_lands_once_with_its_finding(tower):
    tower.open, claims = True, many(40)
    tower.launch(*claims)

    landed = [tower.landed.get(timeout=PATIENCE) for _ in claims]

    assert {claim.delivery_id for claim, _ in landed} == set(range(40))
    assert all(finding.claim is claim for claim, finding in landed)
    assert tower.flights.quiet()


def test_the_endpoint_with_the_fewest_in_the_air_goes_first(tower):
    hog = many(9, 1)
    tower.launch(*hog)
    first = tower.wait_for(3)
    modest = claim(99, 2)
    tower.launch(modest)

    tower.land(first[0])

    assert modest in tower.wait_for(4)


def test_nothing_begins_while_it_is_hushed(tower):
    tower.open = True
    tower.launch(claim(1))
    tower.wait_for(1)

    with tower.flights.hushed():
        tower.launch(*many(3, start=2))
        tower.flights.reinforce()
        assert tower.flights.ready == 3

    assert len(tower.wait_for(4)) == 4


def test_who_hushes_for_too_long_is_heeded_no_more(tower):
    with tower.flights.hushed():
        tower.launch(claim(1))

        assert len(tower.wait_for(1)) == 1


def test_those_that_only_wait_are_replaced_by_threads_that_work(tower, all_slow):
    tower.launch(*many(2, 1), *many(2, 2, start=10))
    tower.wait_for(4)
    assert tower.flights.quiet()

    tower.launch(*many(2, 3, start=20), *many(2, 4, start=30))

    assert {each.endpoint_id for each in tower.wait_for(8)} == {1, 2, 3, 4}
    assert tower.flights.working() == 0


def test_those_who_became_slow_while_others_waited_are_replaced_too(tower, monkeypatch):
    monkeypatch.setattr(flying, "SLOW_SECONDS", PATIENCE)
    tower.launch(*many(4, 1), *many(4, 2, start=10))
    assert len(tower.wait_for(CONCURRENCY)) == CONCURRENCY

    monkeypatch.setattr(flying, "SLOW_SECONDS", -1)

    tower.wait_for(CONCURRENCY + 1)


def test_never_more_threads_than_may_be_however_slow_all_are(tower, all_slow):
    tower.launch(*(claim(number, endpoint=number) for number in range(5 * MAX_THREADS)))
    tower.wait_for(MAX_THREADS)
    tower.flights.reinforce()

    assert len(threads()) == len(tower.begun) == MAX_THREADS


def test_no_endpoint_that_hangs_takes_more_than_half_of_what_is_left(tower, all_slow):
    tower.launch(*many(100, 1))
    tower.wait_for(MAX_THREADS // 3)

    tower.launch(claim(200, 2), claim(201, 3))
    tower.flights.reinforce()
    tower.wait_for(MAX_THREADS // 3 + 2)

    flying_to = Counter(each.endpoint_id for each in tower.begun)
    assert (flying_to[2], flying_to[3]) == (1, 1)
    assert flying_to[1] <= MAX_THREADS // 2


def test_what_waited_for_its_endpoints_share_goes_on_when_others_land(tower, all_slow):
    others = [claim(500 + number, 10 + number) for number in range(MAX_THREADS - 2)]
    tower.launch(*others)
    tower.wait_for(len(others))
    tower.launch(*many(6, 1))
    tower.wait_for(len(others) + 1)

    tower.land(*others)
    tower.land(*(each for each in tower.wait_for(len(others) + 1) if each.endpoint_id == 1))

    tower.wait_for(len(others) + 2)


def test_what_raises_lands_without_a_finding_and_costs_no_thread(tower, caplog):
    tower.broken = tower.open = True
    tower.launch(*many(3))
    assert [tower.landed.get(timeout=PATIENCE)[1] for _ in range(3)] == [None] * 3
    assert "the attempt failed in itself" in caplog.text

    tower.broken = False
    tower.launch(claim(7))

    assert tower.landed.get(timeout=PATIENCE)[1] is not None


def test_two_attempts_at_one_delivery_both_land(tower):
    """The lease of the first ended while its request hung, and the delivery was claimed anew."""
    old, new = claim(1), claim(1, number=2)
    tower.launch(old)
    tower.wait_for(1)
    tower.launch(new)
    tower.wait_for(2)

    assert [landed for landed, _ in tower.land(old, new)]
    assert tower.flights.quiet()


def test_what_is_grounded_lands_unbegun_and_the_rest_flies(tower):
    tower.launch(*many(CONCURRENCY, 1))
    begun = tower.wait_for(CONCURRENCY)
    tower.launch(*many(3, 1, start=10), claim(20, 2))

    tower.flights.ground(1)

    unbegun = [tower.landed.get(timeout=PATIENCE) for _ in range(3)]
    assert {(each.delivery_id, found) for each, found in unbegun} == {
        (n, None) for n in (10, 11, 12)
    }
    tower.land(*begun)
    assert tower.wait_for(5)[4].endpoint_id == 2


def test_what_is_launched_to_who_asked_for_no_more_lands_unbegun(tower):
    tower.stopped.add(1)

    tower.launch(*many(2, 1), claim(20, 2))

    assert [tower.landed.get(timeout=PATIENCE)[1] for _ in range(2)] == [None, None]
    assert [each.endpoint_id for each in tower.wait_for(1)] == [2]


def test_what_is_taken_back_never_begins(tower):
    tower.launch(*many(7))
    begun = tower.wait_for(CONCURRENCY)

    back = tower.flights.take_back()
    tower.land(*begun)

    assert len(back) == 7 - CONCURRENCY
    assert tower.begun == begun
    assert tower.flights.quiet()


def test_no_thread_stays_after_closing(tower):
    tower.launch(*many(9))
    tower.wait_for(CONCURRENCY)

    tower.close()

    assert threads() == []
    assert len(tower.begun) == CONCURRENCY


def test_idle_threads_end_with_closing_too(tower):
    tower.open = True
    tower.launch(*many(3))
    for _ in range(3):
        tower.landed.get(timeout=PATIENCE)

    tower.close()

    assert threads() == []


def test_what_waits_for_its_own_kind_does_not_count_as_about_to_begin(tower, all_slow):
    tower.launch(*many(10, 1))
    tower.wait_for(4)

    assert (tower.flights.ready, tower.flights.may_begin()) == (6, 0)

    tower.launch(*many(1, 2, start=20))
    assert tower.wait_for(5)[-1].endpoint_id == 2


def test_a_machine_that_allows_few_threads_flies_with_those(tower, monkeypatch):
    start = threading.Thread.start

    def limited(thread: threading.Thread) -> None:
        if len(threads()) == 2:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    tower.open, claims = True, many(10)
    tower.launch(*claims)

    assert len([tower.landed.get(timeout=PATIENCE) for _ in claims]) == 10


def test_a_machine_that_allows_no_thread_is_an_error(tower, monkeypatch):
    def refused(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)

    with pytest.raises(RuntimeError, match="new thread"):
        tower.launch(*many(1))
