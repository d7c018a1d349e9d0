"""Which changes of a row are event types of their own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook_delivery.transitions import changed, fired


def does_fire(rules, before, after) -> bool:
    return list(fired({"it.happened": rules}, before, after)) == ["it.happened"]


@pytest.mark.parametrize(
    ("rule", "before", "after", "fires"),
    [
        ("paid", "new", "paid", True),
        ("paid", "paid", "paid", False),
        ("paid", "paid", "new", False),
        (("new", "paid"), "new", "paid", True),
        (("new", "paid"), "held", "paid", False),
        (("new", "paid"), "new", "sent", False),
        ((["new", "held"], "paid"), "held", "paid", True),
        (("paid", ...), "paid", "new", True),
        (("paid", ...), "new", "paid", False),
        ((..., {"paid", "sent"}), "new", "sent", True),
        ((..., ...), "new", "new", False),
        ({"paid", "sent"}, "new", "sent", True),
        ((None, ...), None, "2026", True),
        (lambda before, after: before < "p" <= after, "new", "paid", True),
        (lambda before, after: before < "p" <= after, "paid", "sent", False),
    ],
)
def test_a_rule_says_from_what_to_what(rule, before, after, fires):
    assert does_fire({"status": rule}, {"status": before}, {"status": after}) is fires


@pytest.mark.parametrize(
    ("rule", "fires"),
    [
        ("paid", True),
        ("new", False),
        ((..., "paid"), False),
        ((None, "paid"), False),
        (lambda before, after: True, False),
    ],
)
def test_a_new_row_comes_from_nowhere(rule, fires):
    assert does_fire({"status": rule}, None, {"status": "paid"}) is fires


def test_all_rules_must_hold_and_one_field_must_have_changed():
    rules = {"status": "paid", "channel": "web"}
    new, paid = {"status": "new", "channel": "web"}, {"status": "paid", "channel": "web"}

    assert does_fire(rules, new, paid)
    assert not does_fire(rules, new | {"channel": "app"}, paid | {"channel": "app"})
    assert not does_fire(rules, paid, paid)


values = st.sampled_from(["new", "paid", None, 0, ""])


@given(values, values)
def test_going_somewhere_is_leaving_where_one_was(before, after):
    rows = {"status": before}, {"status": after}

    moved = before != after
    assert does_fire({"status": (..., ...)}, *rows) is moved
    assert does_fire({"status": (before, after)}, *rows) is moved
    assert changed(["status"], *rows) is moved
