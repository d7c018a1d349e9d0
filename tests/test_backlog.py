"""How much is owed, by kind; and what an act would change, said before it is done."""

from datetime import timedelta

import pytest

from tests.conftest import make_endpoint
from tests.owing import owe
from webhook_delivery import backlog, erasing, redelivery
from webhook_delivery.backlog import backlog_of
from webhook_delivery.clock import Now
from webhook_delivery.models import Delivery, Endpoint

pytestmark = pytest.mark.django_db

State = Delivery.State


def every_kind(endpoint: Endpoint) -> list[Delivery]:
    """One in each state; pending, one due, one later, one that waits its turn; one erased."""
    owed = owe(len(State) + 3, endpoint, ago=60)
    for delivery, state in zip(owed, State, strict=False):
        Delivery.objects.filter(pk=delivery.pk).update(state=state)
    Delivery.objects.filter(pk=owed[-2].pk).update(due_at=Now() + timedelta(hours=1))
    Delivery.objects.filter(pk=owed[-1].pk).update(due_at=None, sequence=7)
    erasing.erase(owed[-3].event)
    return owed


def test_each_kind_is_counted_with_the_moments_that_they_wait_for(django_assert_num_queries):
    every_kind(make_endpoint())
    every_kind(make_endpoint(state="paused"))

    with django_assert_num_queries(3):
        found = backlog_of(Delivery.objects.all())

    counted = {name: found.as_dict()[name] for name in ("due", "waiting", "sending", "held")}
    assert counted == {"due": 1, "waiting": 2, "sending": 2, "held": 5}
    assert (found.dead.of, found.as_dict()["capped"]) == (4, [])
    assert 60 <= found.late_seconds < 90
    assert 3500 < (found.next_due_at - found.oldest_due_at).total_seconds() - 60 < 3700


def test_where_nothing_is_owed_there_are_no_moments(db):
    found = backlog_of(Delivery.objects.all())

    assert (found.oldest_due_at, found.late_seconds, found.next_due_at) == (None, None, None)
    assert found.due.of == found.held.of == 0


def test_no_more_are_counted_than_up_to_the_cap():
    owe(5, make_endpoint())

    found = backlog_of(Delivery.objects.all(), cap=3)

    assert str(found.due) == "3+"
    assert found.as_dict()["capped"] == ["due"]
    assert backlog.COUNTED == 100_000


@pytest.mark.parametrize("verb", ["redeliver", "discard", "restore", "retry_now"])
def test_what_a_verb_would_change_is_what_it_changes(verb):
    for state in Endpoint.State:
        every_kind(make_endpoint(state=state))
    told = sorted(redelivery.changeable(verb, Delivery.objects.all()).values_list("pk", flat=True))

    done = getattr(redelivery, verb)(Delivery.objects.all())

    assert told == sorted(done.ids) != []
