"""Registered models that speak through serializers of Django REST framework, as they really are."""

import json
import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer

from tests.conftest import make_endpoint
from tests.library.models import Author, Book, Everything, Parcel, Tag, Ticket, Volume
from tests.telling import registered, told, types_told
from webhook_delivery import PayloadNotSerializable
from webhook_delivery.models import Event

BOOK = {"created": "book.created", "updated": "book.updated", "deleted": "book.deleted"}
TICKET = {"created": "ticket.created", "updated": "ticket.updated", "deleted": "ticket.deleted"}
TOKEN = uuid.UUID("018f2f3c-7d1e-7b7a-8c55-0242ac120002")


class AuthorSerializer(serializers.ModelSerializer):
    class Meta:
        model = Author
        fields = ["id", "name"]


class BookSerializer(serializers.ModelSerializer):
    author = AuthorSerializer()
    cost = serializers.SerializerMethodField()

    class Meta:
        model = Book
        fields = ["id", "title", "price", "author", "cost"]

    def get_cost(self, book):
        return {"net": book.price, "label": _("price")}


class TagSerializer(serializers.ModelSerializer):
    class Meta:
        model = Tag
        fields = ["name"]


class TicketSerializer(serializers.ModelSerializer):
    tags = TagSerializer(many=True)
    siblings = serializers.SerializerMethodField()

    class Meta:
        model = Ticket
        fields = ["title", "votes", "closed_at", "tags", "siblings"]

    def get_siblings(self, ticket):
        """A list of serializers, as people write it: a ReturnList inside."""
        return TagSerializer(ticket.tags.order_by("name"), many=True).data


class UserSerializer(serializers.ModelSerializer):
    class Meta:
        model = User
        fields = ["username"]


class VolumeSerializer(serializers.ModelSerializer):
    user = UserSerializer()

    class Meta:
        model = Volume
        fields = ["title", "user"]


class EverythingSerializer(serializers.ModelSerializer):
    class Meta:
        model = Everything
        exclude = ["id", "document", "rate"]


@pytest.fixture
def subscriber(db):
    return make_endpoint()


@pytest.fixture
def books(subscriber):
    with registered(Book, **BOOK, serializer=BookSerializer):
        yield


def of_book(book, title, price):
    author = {"id": book.author.pk, "name": "Ann"}
    cost = {"net": price, "label": "price"}
    return {"id": book.pk, "title": title, "price": price, "author": author, "cost": cost}


def test_nested_rows_and_methods_are_sent_as_the_serializer_makes_them(books):
    book = Book.objects.create(
        title="One", author=Author.objects.create(name="Ann"), price=Decimal("7.50")
    )

    assert told() == [("book.created", of_book(book, "One", "7.50"))]


def test_the_serializer_is_given_the_row_as_it_is_stored(books):
    book = Book.objects.create(
        title="One", author=Author.objects.create(name="Ann"), price=Decimal("7.00")
    )
    book.title, book.price = "never saved", Decimal("8.10")
    book.save(update_fields=["price"])

    assert told()[0][1]["price"] == "7.00"
    assert told()[-1] == ("book.updated", of_book(book, "One", "8.10"))


def test_what_is_deleted_is_told_as_it_was(books):
    book = Book.objects.create(
        title="One", author=Author.objects.create(name="Ann"), price=Decimal("7.00")
    )
    was = of_book(book, "One", "7.00")
    book.delete()

    assert told()[-1] == ("book.deleted", was)


def test_what_goes_with_its_parent_is_told_with_that_parent(subscriber):
    with registered(Volume, deleted="volume.deleted", serializer=VolumeSerializer):
        ann = User.objects.create_user("ann")
        Volume.objects.create(user=ann, title="One")
        ann.delete()

    assert told() == [("volume.deleted", {"title": "One", "user": {"username": "ann"}})]


def test_a_parent_that_may_be_missing_has_gone_before_its_rows(books):
    """Django deletes in that order where the key may be null; the row is told nevertheless."""
    author = Author.objects.create(name="Ann")
    Book.objects.create(title="One", author=author)
    author.delete()

    assert types_told() == ["book.created", "book.deleted"]
    assert told()[-1][1]["author"] is None


def test_a_nested_row_that_is_not_there_is_null(books):
    Book.objects.create(title="One")

    assert told()[0][1]["author"] is None


def test_lists_of_serializers_are_lists(subscriber):
    with registered(Ticket, **TICKET, serializer=TicketSerializer):
        ticket = Ticket.objects.create(title="One")
        ticket.tags.set([Tag.objects.create(name=name) for name in "ab"])
        ticket.save()

    (_kind, new), (_kind, tagged) = told()
    assert new == {"title": "One", "votes": 0, "closed_at": None, "tags": [], "siblings": []}
    assert tagged["tags"] == tagged["siblings"] == [{"name": "a"}, {"name": "b"}]


def test_a_watched_relation_is_told_through_the_serializer(subscriber):
    with registered(Ticket, updated="ticket.updated", serializer=TicketSerializer, watch=["tags"]):
        ticket = Ticket.objects.create(title="One")
        ticket.tags.add(Tag.objects.create(name="a"))

    [(_kind, data)] = told()
    assert data["tags"] == [{"name": "a"}]


def everything():
    return Everything(
        amount=Decimal("12.5"),
        atoms=Decimal("0.000000001"),
        away=timedelta(days=1, seconds=2),
        big=2**62,
        born=date(2026, 11, 22),
        contact="ann@example.org",
        host="2001:db8::1",
        level=Everything.Level.HIGH,
        likely=0.5,
        moment=datetime(2026, 11, 22, 4, 5, 6, 789000, tzinfo=UTC),
        notes={"a": [1, None]},
        parcel=Parcel.objects.create(),
        price=Decimal(1),
        ring=time(7, 30),
        small=7,
        text="Grüße",
        token=TOKEN,
    )


def test_each_class_of_field_has_a_form_in_the_body(subscriber):
    with registered(Everything, created="everything.created", serializer=EverythingSerializer):
        row = everything()
        row.save()

    [(_kind, data)] = told()
    row.refresh_from_db()
    as_an_answer = json.loads(JSONRenderer().render(EverythingSerializer(row).data))
    assert data["amount"] == "12.50"
    assert data["moment"].startswith("2026-11-22T04:05:06.789")
    assert data["token"] == str(TOKEN)
    assert data["parcel"] == str(row.parcel_id)
    assert data == as_an_answer


def test_a_decimal_that_a_method_returns_is_sent_exactly(books):
    """The framework's own renderer makes a float of one that no field has written."""
    author = Author.objects.create(name="Ann")
    Book.objects.create(title="One", author=author, price=Decimal("0.10"))

    assert told()[0][1]["cost"]["net"] == "0.10"


def test_what_a_renderer_takes_is_taken_too(subscriber):
    """A method may return rows and generators: the framework's own renderer writes them."""

    class Loose(serializers.ModelSerializer):
        names = serializers.SerializerMethodField()
        rows = serializers.SerializerMethodField()

        class Meta:
            model = Ticket
            fields = ["names", "rows"]

        def get_names(self, ticket):
            return (tag.name for tag in ticket.tags.order_by("name"))

        def get_rows(self, ticket):
            return ticket.tags.order_by("name").values("name")

    with registered(Ticket, updated="ticket.updated", serializer=Loose):
        ticket = Ticket.objects.create(title="One")
        ticket.tags.set([Tag.objects.create(name=name) for name in "ab"])
        ticket.save()

    assert told()[-1][1] == {"names": ["a", "b"], "rows": [{"name": "a"}, {"name": "b"}]}


def test_what_no_one_can_write_is_refused_before_it_is_kept(subscriber):
    class Odd(serializers.ModelSerializer):
        odd = serializers.SerializerMethodField()

        class Meta:
            model = Ticket
            fields = ["odd"]

        def get_odd(self, ticket):
            return object()

    with (
        registered(Ticket, created="ticket.created", serializer=Odd),
        pytest.raises(PayloadNotSerializable, match=r"ticket\.created.*object"),
    ):
        Ticket.objects.create(title="One")

    assert not Event.objects.exists()


def test_several_saves_of_one_transaction_are_one_event(subscriber):
    with registered(Book, **BOOK, serializer=BookSerializer, once_per_transaction=True):
        book = Book(title="One", author=Author.objects.create(name="Ann"))
        with transaction.atomic():
            book.save()
            book.title = "Two"
            book.save()

    assert types_told() == ["book.created"]
    assert told()[0][1]["title"] == "Two"


def test_rows_told_in_bulk_go_through_the_serializer(subscriber):
    with registered(Ticket, **TICKET, serializer=TicketSerializer):
        Ticket.objects.bulk_create([Ticket(title=title) for title in "ab"])

    assert [data["title"] for _kind, data in told()] == ["a", "b"]
