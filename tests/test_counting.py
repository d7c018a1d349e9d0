"""Numbers that are counted so far and no farther, and what two of them are together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook_delivery.counting import Number, both

pytestmark = pytest.mark.everywhere_once

CAP = 10


def counted(number: int) -> Number:
    return Number(min(number, CAP), number > CAP)


@given(st.integers(0, 3 * CAP), st.integers(0, 3 * CAP))
def test_two_that_share_nothing_are_as_many_as_if_they_had_been_counted_together(one, other):
    assert both(counted(one), counted(other), cap=CAP) == counted(one + other)
