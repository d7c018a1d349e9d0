"""What a save, a delete and a changed relation of a registered model tell."""

import io
import json
from threading import Thread, current_thread, main_thread

import pytest
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import F

from tests.conftest import make_endpoint
from tests.library.models import (
    Author,
    Book,
    Measure,
    Parcel,
    Place,
    Restaurant,
    Tag,
    Ticket,
    UrgentTicket,
)
from tests.processes import wait_until
from tests.telling import registered, told, types_told
from webhook_delivery.models import Event, Subscription

PAID = "ticket.paid"
BOTH = ["width", "area"]
ALL_THREE = {
    "created": "ticket.created",
    "updated": "ticket.updated",
    "deleted": "ticket.deleted",
    "fields": ["title", "status", "votes"],
}


@pytest.fixture
def subscriber(db):
    return make_endpoint()


@pytest.fixture
def tickets(subscriber):
    with registered(Ticket, **ALL_THREE):
        yield


def of_ticket(title="", status="new", votes=0):
    return {"title": title, "status": status, "votes": votes}


def test_what_was_not_saved_is_not_told(tickets):
    ticket = Ticket.objects.create(title="One")
    ticket.title, ticket.status = "Two", "paid"
    ticket.save(update_fields=["status"])

    assert told()[-1] == ("ticket.updated", of_ticket("One", "paid"))
    assert ticket.title == "Two"


def test_a_method_is_given_the_row_as_it_is_stored_with_what_the_caller_put_on_it(subscriber):
    def payload(self, instance):
        return {"title": instance.title, "votes": instance.votes, "by": instance.by}

    with registered(Ticket, updated="ticket.updated", payload=payload):
        ticket = Ticket.objects.create(title="One")
        ticket.by, ticket.title, ticket.votes = "Ann", "Two", F("votes") + 2
        ticket.save(update_fields=["votes"])

    assert told() == [("ticket.updated", {"title": "One", "votes": 2, "by": "Ann"})]


def test_fields_that_were_never_loaded_are_read_together(tickets, django_assert_num_queries):
    Ticket.objects.create(title="One", votes=3)
    ticket = Ticket.objects.only("status").get()
    ticket.status = "paid"

    with django_assert_num_queries(1 + 3 + 1):
        ticket.save()

    assert told()[-1] == ("ticket.updated", of_ticket("One", "paid", 3))


def test_expressions_are_read_together(tickets):
    ticket = Ticket.objects.create(title="One")
    ticket.votes, ticket.title = F("votes") + 5, F("status")
    ticket.save()

    assert told()[-1] == ("ticket.updated", of_ticket("new", "new", 5))


def test_a_save_adds_three_statements(tickets, django_assert_num_queries):
    with django_assert_num_queries(1 + 3):
        Ticket.objects.create()


def test_a_save_that_nobody_hears_adds_one_statement(tickets, django_assert_num_queries):
    Subscription.objects.all().delete()

    with django_assert_num_queries(1 + 1):
        Ticket.objects.create()


def test_a_save_that_is_compared_adds_four_and_one_if_nobody_hears(
    subscriber, django_assert_num_queries
):
    with registered(Ticket, fields=["votes"], transitions={"ticket.paid": {"status": "paid"}}):
        ticket = Ticket.objects.create()
        ticket.status = "paid"
        with django_assert_num_queries(1 + 4):
            ticket.save()
        Subscription.objects.all().delete()
        with django_assert_num_queries(1 + 1):
            ticket.save()

    assert types_told() == ["ticket.paid"]


class TestTransitions:
    @pytest.fixture
    def paid(self, subscriber):
        moves = {
            "ticket.paid": {"status": "paid"},
            "ticket.reopened": {"status": ("paid", "new")},
            "ticket.popular": {"votes": lambda before, after: before < 100 <= after},
        }
        with registered(Ticket, **ALL_THREE, transitions=moves):
            yield

    def test_a_transition_is_told_besides_the_update_once(self, paid):
        ticket = Ticket.objects.create()
        ticket.status = "paid"
        ticket.save()
        ticket.save()

        assert types_told()[1:] == ["ticket.updated", "ticket.paid", "ticket.updated"]

    def test_it_is_told_from_what_the_database_held_whatever_the_object_held(self, paid):
        ticket = Ticket.objects.create()
        stale = Ticket.objects.get()
        ticket.status = "paid"
        ticket.save()
        stale.save()

        assert types_told()[-1] == "ticket.reopened"

    def test_an_object_that_was_never_loaded_moves_a_row_too(self, paid):
        ticket = Ticket.objects.create()
        Ticket(pk=ticket.pk, status="paid").save()

        assert types_told()[-1] == "ticket.paid"

    def test_what_was_not_saved_has_not_moved(self, paid):
        ticket = Ticket.objects.create()
        ticket.status = "paid"
        ticket.save(update_fields=["title"])

        assert types_told() == ["ticket.created", "ticket.updated"]

    def test_an_expression_moves_by_what_it_came_to(self, paid):
        ticket = Ticket.objects.create(votes=99)
        ticket.votes = F("votes") + 1
        ticket.save()

        assert types_told()[-1] == "ticket.popular"

    def test_a_new_row_may_begin_there(self, paid):
        Ticket.objects.create(status="paid")

        assert types_told() == ["ticket.created", "ticket.paid"]

    def test_a_row_that_knows_its_key_is_created_without_a_look(
        self, subscriber, django_assert_num_queries
    ):
        moves = {"parcel.heavy": {"weight": lambda before, after: before < 10 <= after}}
        with registered(Parcel, fields=["weight"], transitions=moves):
            with django_assert_num_queries(1 + 1):
                parcel = Parcel.objects.create()
            parcel.weight = 12
            parcel.save()

        assert told() == [("parcel.heavy", {"weight": 12})]


class TestWatching:
    def test_an_update_that_changes_nothing_watched_tells_nothing(self, subscriber):
        with registered(Ticket, updated="ticket.updated", fields=["status"], watch=["status"]):
            ticket = Ticket.objects.create()
            ticket.note = "nobody's business"
            ticket.save()
            ticket.status = "paid"
            ticket.save(update_fields=["note"])
            ticket.save()
            ticket.save()

        assert told() == [("ticket.updated", {"status": "paid"})]

    def test_a_condition_decides_for_each_type(self, subscriber):
        def when(self, instance, event_type):
            return event_type == "ticket.deleted" or instance.votes > 0

        with registered(Ticket, **ALL_THREE, when=when):
            ticket = Ticket.objects.create()
            ticket.votes = 1
            ticket.save()
            ticket.votes = 0
            ticket.save()
            ticket.delete()

        assert types_told() == ["ticket.updated", "ticket.deleted"]

    def test_a_soft_delete_is_a_transition(self, subscriber):
        moves = {
            "ticket.deleted": {"closed_at": (None, ...)},
            "ticket.restored": {"closed_at": (..., None)},
        }

        def when(self, instance, event_type):
            return event_type != "ticket.updated"

        with registered(
            Ticket, updated="ticket.updated", transitions=moves, fields=["title"], when=when
        ):
            ticket = Ticket.objects.create()
            ticket.closed_at = "2026-11-22T00:00Z"
            ticket.save()
            ticket.save()
            ticket.closed_at = None
            ticket.save()

        assert types_told() == ["ticket.deleted", "ticket.restored"]


class TestTables:
    def test_a_proxy_speaks_as_what_it_stands_for(self, tickets):
        ticket = UrgentTicket.objects.create(title="One")
        UrgentTicket.objects.get().delete()

        assert types_told() == ["ticket.created", "ticket.deleted"]
        assert {event.source for event in Event.objects.all()} == {f"library.ticket:{ticket.pk}"}

    def test_a_registered_proxy_speaks_for_itself_alone(self, tickets):
        with registered(UrgentTicket, created="urgent.created", fields=["title"]):
            UrgentTicket.objects.create()
            Ticket.objects.create()
        UrgentTicket.objects.create()

        assert types_told() == ["urgent.created", "ticket.created", "ticket.created"]

    def test_an_heir_of_a_table_is_a_row_of_it(self, subscriber):
        with registered(
            Place,
            created="place.created",
            updated="place.updated",
            deleted="place.deleted",
            fields=["name"],
        ):
            restaurant = Restaurant.objects.create(name="Roma")
            restaurant.stars = 3
            restaurant.save()
            key = restaurant.pk
            restaurant.delete()

        assert types_told() == ["place.created", "place.updated", "place.deleted"]
        assert {event.source for event in Event.objects.all()} == {f"library.place:{key}"}

    def test_heir_and_parent_each_tell_of_their_own_once(self, subscriber):
        both = {"created": "place.created", "deleted": "place.deleted", "fields": ["name"]}
        own = {"created": "restaurant.created", "deleted": "restaurant.deleted"}
        with registered(Place, **both), registered(Restaurant, **own, fields="__all__"):
            Restaurant.objects.create(name="Roma", stars=2).delete()

        assert sorted(types_told()) == [
            "place.created",
            "place.deleted",
            "restaurant.created",
            "restaurant.deleted",
        ]
        data = next(data for name, data in told() if name == "restaurant.created")
        assert set(data) == {"id", "name", "stars"}


class TestFields:
    def test_all_means_neither_bytes_nor_secrets(self, subscriber):
        with registered(Ticket, created="ticket.created", fields="__all__"):
            Ticket.objects.create(title="One")

        [(_, data)] = told()
        assert set(data) == {"id", "title", "status", "votes", "note", "closed_at"}

    def test_what_is_excluded_stays_here(self, subscriber):
        with registered(Ticket, created="ticket.created", exclude=["note", "closed_at", "id"]):
            Ticket.objects.create(title="One")

        assert told() == [("ticket.created", of_ticket("One"))]

    def test_a_secret_is_sent_if_it_is_named(self, subscriber):
        with registered(Ticket, created="ticket.created", fields=["api_token"]):
            Ticket.objects.create()

        assert told() == [("ticket.created", {"api_token": "t0k3n"})]

    def test_a_serializer_says_all(self, subscriber):
        class TicketSerializer:
            def __init__(self, instance):
                self.data = {"headline": instance.title}

        with registered(Ticket, created="ticket.created", serializer=TicketSerializer):
            Ticket.objects.create(title="One")

        assert told() == [("ticket.created", {"headline": "One"})]

    def test_a_key_puts_the_events_of_one_row_in_order(self, subscriber):
        with registered(Ticket, **ALL_THREE, key=lambda self, ticket: f"ticket:{ticket.pk}"):
            ticket = Ticket.objects.create()

        assert Event.objects.get().key == f"ticket:{ticket.pk}"


class TestRelations:
    @pytest.fixture
    def tagged(self, subscriber):
        with registered(Ticket, **{**ALL_THREE, "fields": ["title", "tags"]}):
            yield

    @pytest.fixture
    def ticket(self, tagged):
        return Ticket.objects.create(title="One")

    @pytest.fixture
    def tags(self, db):
        return [Tag.objects.create(name=name) for name in "ab"]

    def test_adding_and_removing_is_an_update(self, ticket, tags):
        ticket.tags.add(*tags)
        ticket.tags.remove(tags[0])
        ticket.tags.clear()

        keys = [tag.pk for tag in tags]
        assert [data["tags"] for _, data in told()] == [[], keys, keys[1:], []]
        assert types_told()[1:] == ["ticket.updated"] * 3

    def test_nothing_added_or_cleared_is_no_update(self, ticket, tags):
        ticket.tags.add(tags[0])
        ticket.tags.add(tags[0])
        ticket.tags.clear()
        ticket.tags.clear()

        assert types_told()[1:] == ["ticket.updated"] * 2

    def test_it_may_be_done_from_the_other_side(self, ticket, tags):
        other = Ticket.objects.create(title="Two")
        tags[0].tickets.add(ticket, other)
        tags[0].tickets.clear()

        changes = told()[2:]
        assert [data["title"] for _, data in changes] == ["One", "Two"] * 2
        assert [data["tags"] for _, data in changes] == [[tags[0].pk]] * 2 + [[]] * 2

    def test_a_relation_that_is_not_sent_is_nobodys_business(self, ticket):
        ticket.after.add(Ticket.objects.create(title="Two"))

        assert types_told() == ["ticket.created"] * 2

    def test_a_watched_relation_is_an_update_and_a_column_is_not(self, subscriber, tags):
        with registered(Ticket, updated="ticket.updated", fields=["title"], watch=["tags"]):
            ticket = Ticket.objects.create()
            ticket.save()
            ticket.tags.add(tags[0])

        assert types_told() == ["ticket.updated"]

    def test_a_column_that_is_watched_makes_the_relation_silent(self, subscriber, tags):
        with registered(
            Ticket, updated="ticket.updated", fields=["title", "tags"], watch=["title"]
        ):
            Ticket.objects.create().tags.add(tags[0])

        assert types_told() == []

    def test_a_relation_to_itself_is_an_update_of_both(self, subscriber):
        with registered(Ticket, updated="ticket.updated", fields=["title", "after"]):
            one, two = Ticket.objects.create(title="One"), Ticket.objects.create(title="Two")
            one.after.add(two)

        assert sorted(data["title"] for _, data in told()) == ["One", "Two"]

    def test_a_fixture_with_relations_tells_nothing(self, tagged, tags, tmp_path):
        fixture = tmp_path / "tickets.json"
        fields = {"title": "One", "tags": [tag.pk for tag in tags]}
        rows = [{"model": "library.ticket", "pk": 1, "fields": fields}]
        fixture.write_text(json.dumps(rows))

        call_command("loaddata", str(fixture), stdout=io.StringIO())

        assert Ticket.objects.get().tags.count() == 2
        assert told() == []


@pytest.mark.django_db(transaction=True)
class TestOneTransaction:
    def test_a_save_outside_of_a_transaction_is_one_with_its_event(self):
        def payload(self, instance):
            raise RuntimeError("The process ends here.")

        make_endpoint()
        with (
            registered(Ticket, created="ticket.created", payload=payload),
            pytest.raises(RuntimeError),
        ):
            Ticket.objects.create()

        assert not Ticket.objects.exists()

    def test_a_delete_outside_of_a_transaction_is_one_with_its_event(self):
        def payload(self, instance):
            raise RuntimeError("The process ends here.")

        make_endpoint()
        ticket = Ticket.objects.create()
        with (
            registered(Ticket, deleted="ticket.deleted", payload=payload),
            pytest.raises(RuntimeError),
        ):
            ticket.delete()

        assert Ticket.objects.exists()

    def test_an_heirs_save_is_one_transaction_too(self):
        def payload(self, instance):
            raise RuntimeError("The process ends here.")

        make_endpoint()
        with (
            registered(Place, created="place.created", payload=payload),
            pytest.raises(RuntimeError),
        ):
            Restaurant.objects.create()

        assert not Place.objects.exists()

    def test_what_waits_for_the_commit_of_a_save_runs_after_it(self):
        seen = []

        def when(self, instance, event_type):
            transaction.on_commit(lambda: seen.append(connection.in_atomic_block))
            return True

        make_endpoint()
        with registered(Ticket, **ALL_THREE, when=when):
            Ticket.objects.create()

        assert seen == [False]

    def test_a_rollback_takes_the_event_along(self):
        make_endpoint()
        with (
            registered(Ticket, **ALL_THREE),
            pytest.raises(ZeroDivisionError),
            transaction.atomic(),
        ):
            Ticket.objects.create()
            raise ZeroDivisionError

        assert told() == []


if connection.vendor == "postgresql":

    @pytest.mark.django_db(transaction=True)
    def test_of_two_who_pay_at_once_one_tells_of_it():
        make_endpoint()
        with registered(Ticket, fields=["votes"], transitions={PAID: {"status": "paid"}}):
            ticket = Ticket.objects.create()
            other = Thread(target=pay, args=(ticket.pk,))
            with transaction.atomic():
                pay(ticket.pk)
                other.start()
                wait_until(somebody_waits_for_a_lock, seconds=20)
            other.join()

        assert types_told() == [PAID]

    def pay(key: int) -> None:
        try:
            ticket = Ticket.objects.get(pk=key)
            ticket.status = "paid"
            ticket.save()
        finally:
            if current_thread() is not main_thread():
                connection.close()

    def somebody_waits_for_a_lock() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_stat_clear_snapshot(), count(*) FROM pg_stat_activity "
                "WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            return cursor.fetchone()[1] > 0


WRONG = {
    "no value": ({"transitions": {"ticket.paid": {}}}, "needs fields and values"),
    "no dict": ({"transitions": {"ticket.paid": "paid"}}, "needs fields and values"),
    "three values": (
        {"transitions": {"ticket.paid": {"status": ("a", "b", "c")}}},
        "write a list",
    ),
    "no column": ({"transitions": {"ticket.paid": {"tags": 1}}}, "tags has no column"),
    "no type": ({"transitions": {"not valid!": {"status": "paid"}}}, "not valid!"),
    "bytes": ({"fields": ["scan"]}, "holds bytes"),
    "two payloads": ({"serializer": dict}, "says all"),
    "watch": ({"watch": "title"}, "a list of names"),
    "nothing left": ({"fields": ["title"], "exclude": ["title"]}, "every field"),
}


@pytest.mark.parametrize(("attributes", "said"), WRONG.values(), ids=WRONG)
def test_what_could_not_work_is_refused_at_once(attributes, said):
    with (
        pytest.raises(ImproperlyConfigured, match=said),
        registered(Ticket, **{**ALL_THREE, **attributes}),
    ):
        pass


@pytest.mark.parametrize("attribute", ["fields", "exclude", "watch"])
def test_a_mistyped_name_is_refused_at_once(attribute):
    with (
        pytest.raises(FieldDoesNotExist, match="titel"),
        registered(Ticket, **{**ALL_THREE, attribute: ["titel"]}),
    ):
        pass


def test_a_model_that_is_forgotten_saves_as_it_did():
    before = Place.save_base, Restaurant.save_base
    with (
        registered(Place, created="place.created", fields=["name"]),
        registered(Restaurant, created="restaurant.created", fields=["name"]),
    ):
        assert (Place.save_base, Restaurant.save_base) != before

    assert (Place.save_base, Restaurant.save_base) == before


def test_other_models_are_left_alone(tickets):
    Book.objects.create(title="One", author=Author.objects.create(name="Ann"))

    assert told() == []


def test_what_the_database_computes_is_told_as_it_is_now(subscriber):
    with registered(Measure, created="measure.created", updated="measure.updated", fields=BOTH):
        measure = Measure.objects.create(width=2)
        measure.width = 3
        measure.save()
        Measure.objects.update(width=4)

    assert [data["area"] for _, data in told()] == [4, 9, 16]


def test_what_was_assigned_but_not_saved_is_not_told_by_a_relation(subscriber):
    with registered(Ticket, updated="ticket.updated", fields=["title", "tags"]):
        ticket = Ticket.objects.create(title="One")
        ticket.title = "Two"
        tag = Tag.objects.create(name="a")
        ticket.tags.add(tag)

    assert told() == [("ticket.updated", {"title": "One", "tags": [tag.pk]})]
