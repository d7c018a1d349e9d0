"""What is told of what Django sends no signals about."""

import pytest
from asgiref.sync import async_to_sync
from django.db import NotSupportedError, connection, models
from django.db.models import F
from django.db.models.functions import Upper
from django.test.utils import CaptureQueriesContext

from tests.conftest import make_endpoint
from tests.library.models import Author, Place, Restaurant, Tag, Ticket, UrgentTicket
from tests.telling import registered, told, types_told
from webhook_delivery.models import Delivery, Event

TICKETS = {
    "created": "ticket.created",
    "updated": "ticket.updated",
    "deleted": "ticket.deleted",
    "fields": ["title", "votes"],
    "transitions": {"ticket.paid": {"status": "paid"}},
}


@pytest.fixture
def tickets(db):
    make_endpoint()
    with registered(Ticket, **TICKETS):
        yield


def some(count: int = 3) -> list[Ticket]:
    return [Ticket(title=f"{n}", votes=n) for n in range(count)]


def make(count: int = 3) -> list[Ticket]:
    return Ticket.objects.silently().bulk_create(some(count))


def test_creating_many_tells_of_each(tickets):
    created = Ticket.objects.bulk_create(some())

    assert told() == [("ticket.created", {"title": str(n), "votes": n}) for n in range(3)]
    assert [event.source for event in Event.objects.order_by("created_at")] == [
        f"library.ticket:{ticket.pk}" for ticket in created
    ]
    assert Delivery.objects.count() == 3


def test_creating_with_expressions_tells_what_they_came_to(tickets):
    Ticket.objects.bulk_create([Ticket(title=Upper(models.Value("a")), votes=n) for n in range(2)])

    assert [data["title"] for _, data in told()] == ["A", "A"]


def test_updating_many_tells_of_each(tickets):
    one, two, _ = make()
    one.votes, two.votes = 10, F("votes") + 10

    assert Ticket.objects.bulk_update([one, two], ["votes"]) == 2
    assert told() == [
        ("ticket.updated", {"title": "0", "votes": 10}),
        ("ticket.updated", {"title": "1", "votes": 11}),
    ]


def test_an_update_by_a_query_tells_of_each_row_it_was_about(tickets):
    make()

    assert Ticket.objects.filter(votes__gte=1).update(votes=F("votes") - 1, status="paid") == 2
    assert told() == [
        ("ticket.updated", {"title": "1", "votes": 0}),
        ("ticket.paid", {"title": "1", "votes": 0}),
        ("ticket.updated", {"title": "2", "votes": 1}),
        ("ticket.paid", {"title": "2", "votes": 1}),
    ]


def test_an_update_by_an_annotation_or_a_distinct_query_works_as_in_django(tickets):
    [one, *_] = make()
    one.tags.add(Tag.objects.create(name="a"), Tag.objects.create(name="b"))
    Event.objects.all().delete()

    assert Ticket.objects.filter(tags__name__in="ab").distinct().update(votes=7) == 1
    assert Ticket.objects.annotate(more=F("votes") + 1).filter(more=8).update(votes=F("more")) == 1
    assert [data["votes"] for _, data in told()] == [7, 8]


def test_deleting_by_a_query_tells_of_each(tickets):
    make()

    assert Ticket.objects.filter(votes__gte=1).delete()[0] == 2
    gone = [("ticket.deleted", {"title": str(n), "votes": n}) for n in (1, 2)]
    assert sorted(told(), key=str) == gone


def test_what_is_done_silently_nobody_hears(tickets):
    quiet = Ticket.objects.silently()
    [one, *_] = quiet.bulk_create(some())
    quiet.filter(pk=one.pk).update(votes=5)
    quiet.bulk_update([one], ["votes"])

    assert types_told() == []


OPERATIONS = {
    "bulk_create": lambda rows: Ticket.objects.bulk_create(some(len(rows))),
    "bulk_update": lambda rows: Ticket.objects.bulk_update(rows, ["votes"]),
    "update": lambda rows: Ticket.objects.update(status="paid"),
    "delete": lambda rows: Ticket.objects.all().delete(),
}


def cost_of(operation, count: int) -> int:
    Ticket.objects.silently().delete()
    rows = make(count)
    with CaptureQueriesContext(connection) as said:
        operation(rows)
    return len(said)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_a_thousand_rows_cost_what_a_hundred_do(tickets, operation):
    """But for what Django itself, and the writing of 900 events at a time, do in pieces."""
    few, many = cost_of(operation, 100), cost_of(operation, 1000)

    assert few <= 15
    assert many - few <= (90 if connection.vendor == "sqlite" else 12)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_if_nobody_hears_it_costs_one_statement_more_at_most(db, operation):
    plain = cost_of(operation, 10)
    with registered(Ticket, **{**TICKETS, "deleted": None}):
        told_of = cost_of(operation, 10)

    assert told_of - plain <= 1


@pytest.mark.parametrize("conflicts", [{"ignore_conflicts": True}, {"update_conflicts": True}])
def test_what_the_database_will_not_say_is_refused_before_anything_is_written(tickets, conflicts):
    with pytest.raises(NotSupportedError, match="silently"):
        Ticket.objects.bulk_create(some(), **conflicts)

    assert not Ticket.objects.exists()
    Ticket.objects.silently().bulk_create(some(), ignore_conflicts=True)
    assert Ticket.objects.count() == 3


def test_a_database_that_keeps_the_keys_to_itself_is_refused(tickets, monkeypatch):
    name = "can_return_rows_from_bulk_insert"
    monkeypatch.delitem(vars(connection.features), name, raising=False)
    monkeypatch.setattr(type(connection.features), name, False)

    with pytest.raises(NotSupportedError, match="which keys"):
        Ticket.objects.bulk_create(some())


def test_a_failed_payload_takes_the_rows_along(db):
    def payload(self, instance):
        raise RuntimeError("No such thing.")

    make_endpoint()
    with (
        registered(Ticket, created="ticket.created", payload=payload),
        pytest.raises(RuntimeError),
    ):
        Ticket.objects.bulk_create(some())

    assert not Ticket.objects.exists()


def test_a_slice_is_refused_as_in_django(tickets):
    with pytest.raises(TypeError):
        Ticket.objects.all()[:2].update(votes=1)


def test_through_a_proxy_it_is_told_as_of_its_model(tickets):
    make()
    UrgentTicket.objects.filter(votes=1).update(votes=5)

    assert told() == [("ticket.updated", {"title": "1", "votes": 5})]


def test_rows_of_heirs_are_told_as_of_their_parent(db):
    make_endpoint()
    with registered(Place, updated="place.updated", fields=["name"]):
        Restaurant.objects.create(name="Roma")
        Restaurant.objects.update(name="Amor")

    assert told() == [("place.updated", {"name": "Amor"})]


def test_the_asynchronous_twins_tell_too(tickets):
    async def act() -> None:
        await Ticket.objects.abulk_create(some(1))
        await Ticket.objects.aupdate(votes=9)

    async_to_sync(act)()

    assert types_told() == ["ticket.created", "ticket.updated"]


def test_a_model_that_is_not_registered_is_as_django_is(db, django_assert_num_queries):
    make_endpoint()
    with django_assert_num_queries(1):
        Ticket.objects.update(votes=1)

    assert types_told() == [] and Author.objects.count() == 0
