"""Several saves of one row in one transaction, told as one event."""

import pytest
from django.db import transaction

from tests.conftest import make_endpoint
from tests.library.models import Ticket
from tests.telling import registered, told, types_told
from webhook_delivery import tellers
from webhook_delivery.models import Delivery

ONCE = {
    "created": "ticket.created",
    "updated": "ticket.updated",
    "deleted": "ticket.deleted",
    "transitions": {"ticket.paid": {"status": "paid"}},
    "fields": ["title", "votes"],
    "once_per_transaction": True,
}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def tickets():
    make_endpoint()
    with registered(Ticket, **ONCE):
        yield


def save(ticket: Ticket, **values) -> None:
    for name, value in values.items():
        setattr(ticket, name, value)
    ticket.save()


def test_a_row_that_is_created_and_saved_again_is_created_as_it_became():
    with transaction.atomic():
        ticket = Ticket.objects.create(title="One")
        save(ticket, votes=1)
        save(ticket, votes=2)

    assert told() == [("ticket.created", {"title": "One", "votes": 2})]
    assert Delivery.objects.count() == 1


def test_several_updates_are_one():
    ticket = Ticket.objects.create(title="One")
    with transaction.atomic():
        save(ticket, votes=1)
        save(ticket, votes=2)

    assert told()[1:] == [("ticket.updated", {"title": "One", "votes": 2})]


def test_the_next_transaction_tells_anew():
    ticket = Ticket.objects.create(title="One")
    save(ticket, votes=1)
    with transaction.atomic():
        save(ticket, votes=2)

    assert [data["votes"] for _, data in told()] == [0, 1, 2]


def test_a_row_that_nobody_else_saw_is_not_told_of():
    with transaction.atomic():
        ticket = Ticket.objects.create()
        save(ticket, votes=1)
        ticket.delete()

    assert told() == []


def test_a_row_that_is_saved_and_deleted_is_deleted():
    ticket = Ticket.objects.create()
    with transaction.atomic():
        save(ticket, votes=1)
        ticket.delete()

    assert types_told() == ["ticket.created", "ticket.deleted"]


def test_a_transition_on_the_way_is_told_once():
    ticket = Ticket.objects.create()
    with transaction.atomic():
        save(ticket, status="paid")
        save(ticket, status="new")
        save(ticket, status="paid", votes=3)

    assert sorted(told()[1:]) == [
        ("ticket.paid", {"title": "", "votes": 3}),
        ("ticket.updated", {"title": "", "votes": 3}),
    ]


def test_what_a_savepoint_took_back_is_told_again():
    ticket = Ticket.objects.create()
    with transaction.atomic():
        save(ticket, votes=1)
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            save(ticket, votes=2)
            raise ZeroDivisionError
        ticket.refresh_from_db()
        save(ticket, title="Two")

    assert told()[1:] == [("ticket.updated", {"title": "Two", "votes": 1})]


def test_an_update_that_a_savepoint_took_back_leaves_the_one_before():
    ticket = Ticket.objects.create()
    with transaction.atomic():
        save(ticket, votes=1)
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            save(ticket, votes=2)
            raise ZeroDivisionError

    assert [data["votes"] for _, data in told()] == [0, 1]


def test_a_rolled_back_transaction_leaves_nothing_in_mind():
    ticket = Ticket.objects.create()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        save(ticket, votes=1)
        raise ZeroDivisionError
    with transaction.atomic():
        save(ticket, votes=2)

    assert [data["votes"] for _, data in told()] == [0, 2]


def test_a_save_after_the_commit_but_before_its_other_callbacks_is_an_event_of_its_own():
    ticket = Ticket.objects.create()
    with transaction.atomic():
        transaction.on_commit(lambda: save(ticket, votes=5))
        save(ticket, votes=1)

    assert [data["votes"] for _, data in told()] == [0, 1, 5]


def test_bulk_operations_and_saves_are_one_too():
    [ticket] = Ticket.objects.silently().bulk_create([Ticket(title="One")])
    with transaction.atomic():
        Ticket.objects.update(votes=1)
        save(ticket, votes=2)
        Ticket.objects.update(votes=3)

    assert told() == [("ticket.updated", {"title": "One", "votes": 3})]


def test_a_row_that_nobody_else_saw_is_not_told_of_when_deleted_by_a_query():
    with transaction.atomic():
        Ticket.objects.bulk_create([Ticket(title="One"), Ticket(title="Two")])
        Ticket.objects.filter(title="One").delete()

    assert told() == [("ticket.created", {"title": "Two", "votes": 0})]


def test_events_of_one_key_stay_in_order_when_one_is_taken_back(monkeypatch):
    monkeypatch.setattr(tellers.registered[Ticket], "key", lambda ticket: "all")
    with transaction.atomic():
        ticket = Ticket.objects.create(title="One")
        Ticket.objects.create(title="Two")
        save(ticket, votes=1)

    rows = Delivery.objects.order_by("pk").values_list("event__source", "sequence")
    assert len({sequence for _, sequence in rows}) == 1
    assert [source for source, _ in rows][-1] == f"library.ticket:{ticket.pk}"


@pytest.mark.django_db(transaction=False)
def test_in_a_test_that_is_one_transaction_each_save_outside_of_others_is_on_its_own():
    ticket = Ticket.objects.create(title="One")
    save(ticket, votes=1)
    with transaction.atomic():
        save(ticket, votes=2)
        with transaction.atomic():
            save(ticket, votes=3)
    save(ticket, votes=4)

    assert [data["votes"] for _, data in told()] == [0, 1, 3, 4]
