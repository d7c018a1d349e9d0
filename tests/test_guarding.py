"""Whether a redelivery of many may go on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook_delivery.guarding import FEWEST, Fate, Guard, Next, Step, fate, judge

pytestmark = pytest.mark.everywhere_once

W, H, D, F = Fate.WAITING, Fate.HELD, Fate.DELIVERED, Fate.FAILED


@pytest.mark.parametrize(
    ("first", "step", "most"),
    [
        ([], Step.FEED, 3),
        ([W], Step.FEED, 2),
        ([W, W, W], Step.WAIT, 0),
        ([F, F, W], Step.WAIT, 0),
        ([F, H, W], Step.WAIT, 0),
        ([F, F, H], Step.STOP, 0),
        ([H, H, H], Step.STOP, 0),
        ([H, D, H], Step.FEED, 1_000_000),
        ([F, F, F], Step.STOP, 0),
        ([F, D, W], Step.FEED, 1_000_000),
        ([D, D, D], Step.FEED, 1_000_000),
    ],
)
def test_the_first_are_waited_for_until_one_arrives(first, step, most):
    said = judge(Guard(canary=3), first, [])

    assert (said.step, said.most) == (step, most)


def test_without_a_guard_it_goes_on():
    assert judge(Guard(), [], [F] * 100) == Next(Step.FEED, 1_000_000)


@pytest.mark.parametrize(
    ("failed", "delivered", "waiting", "step"),
    [
        (60, 40, 0, Step.STOP),
        (50, 50, 0, Step.FEED),
        (11, 9, 80, Step.STOP),
        (FEWEST - 1, 0, 81, Step.FEED),
        (0, 0, 100, Step.WAIT),
    ],
)
def test_it_stops_when_too_many_of_the_last_fail(failed, delivered, waiting, step):
    recent = [F] * failed + [D] * delivered + [W] * waiting

    said = judge(Guard(stop_above=50), [], recent)

    assert said.step is step
    if step is Step.STOP:
        assert (said.failed, said.of) == (failed, failed + delivered)


def test_what_is_held_keeps_nothing_from_others_and_says_nothing_of_them():
    said = judge(Guard(stop_above=50), [], [H] * 100)

    assert (said.step, said.most) == (Step.FEED, 100)
    assert judge(Guard(stop_above=50), [], [F] * 11 + [D] * 9 + [H] * 80).of == 20


@pytest.mark.parametrize(
    ("state", "tried", "meant"),
    [
        ("pending", False, W),
        ("pending", True, F),
        ("sending", True, W),
        ("held", False, H),
        ("held", True, F),
        ("dead", True, F),
        ("delivered", True, D),
    ],
)
def test_a_state_tells_the_fate_of_what_was_sent_again(state, tried, meant):
    assert fate(state, tried=tried) is meant


@given(
    st.integers(0, 20),
    st.none() | st.integers(0, 100),
    st.lists(st.sampled_from(Fate), max_size=20),
    st.lists(st.sampled_from(Fate), max_size=100),
)
def test_it_never_stops_while_everything_arrives_nor_feeds_beyond_its_canary(
    canary, share, first, recent
):
    said = judge(Guard(canary, share), first[:canary], recent)

    if not {F, H} & {*first[:canary], *recent}:
        assert said.step is not Step.STOP
    if len(first[:canary]) + said.most > canary:
        assert not canary or Fate.DELIVERED in first[:canary]
