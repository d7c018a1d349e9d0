"""Which changes of which models are which event types."""

import io
import json

import pytest
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.core.management import call_command
from django.db.models import F

from tests.conftest import make_endpoint
from tests.library.models import Author, Book
from webhook_delivery import ModelWebhooks, register, registry
from webhook_delivery.models import Event


@pytest.fixture(autouse=True)
def forget():
    yield
    for model in (Author, Book):
        if model in registry.registered:
            registry.unregister(model)


def told() -> list[tuple[str, dict]]:
    events = Event.objects.order_by("pk")
    return [(event.event_type, json.loads(bytes(event.body))["data"]) for event in events]


@pytest.fixture
def books(db):
    @register(Book)
    class BookWebhooks(ModelWebhooks):
        created, updated, deleted = "book.created", "book.updated", "book.deleted"
        fields = ["title", "author", "price"]

    make_endpoint()


def test_created_updated_and_deleted_are_told_with_the_fields(books):
    author = Author.objects.create(name="Ann")
    book = Book.objects.create(title="One", author=author, price="2.50")
    book.title = "Two"
    book.save()
    book.delete()

    assert told() == [
        ("book.created", {"title": "One", "author": author.pk, "price": "2.50"}),
        ("book.updated", {"title": "Two", "author": author.pk, "price": "2.50"}),
        ("book.deleted", {"title": "Two", "author": author.pk, "price": "2.50"}),
    ]


@pytest.mark.parametrize(
    ("price", "sent"), [("5.5", "5.50"), (5, "5.00"), (1.1, "1.10"), ("12.00", "12.00")]
)
def test_a_field_is_sent_as_it_is_stored_however_it_was_set(books, price, sent):
    Book.objects.create(title=7, price=price)

    [(_, data)] = told()
    assert (data["price"], data["title"]) == (sent, "7")


def test_an_expression_is_sent_as_what_it_came_to(books):
    book = Book.objects.create(title="One", price="2.00")
    book.price = F("price") + 1
    book.save()

    assert told()[-1] == ("book.updated", {"title": "One", "author": None, "price": "3.00"})


def test_a_tenant_hears_of_its_own_rows(db):
    @register(Book)
    class BookWebhooks(ModelWebhooks):
        created = "book.created"
        fields = ["title"]

        def tenant(self, instance):
            return instance.title

    acme = make_endpoint("https://acme.example/", tenant="acme")
    Book.objects.create(title="acme")
    Book.objects.create(title="globex")

    assert [event.deliveries.get().endpoint for event in Event.objects.all()] == [acme]


def test_the_event_keeps_what_it_is_about(books):
    book = Book.objects.create(title="One")

    assert Event.objects.get().source == f"library.book:{book.pk}"


def test_a_cascade_is_told(books):
    author = Author.objects.create(name="Ann")
    Book.objects.create(title="One", author=author)

    author.delete()

    assert told()[-1][0] == "book.deleted"


def test_an_event_type_of_none_is_silence(db):
    @register(Book)
    class BookWebhooks(ModelWebhooks):
        deleted = "book.deleted"
        fields = ["title"]

    make_endpoint()
    book = Book.objects.create(title="One")
    book.save()

    assert told() == []


def test_a_payload_method_says_what_it_likes(db):
    @register(Book, Author)
    class Webhooks(ModelWebhooks):
        created = "thing.created"

        def payload(self, instance):
            return {"model": self.model.__name__, "text": str(instance.pk)}

    make_endpoint()
    book = Book.objects.create(title="One")

    assert told() == [("thing.created", {"model": "Book", "text": str(book.pk)})]


def test_a_fixture_being_loaded_tells_nothing(books, tmp_path):
    fixture = tmp_path / "books.json"
    fixture.write_text(json.dumps([{"model": "library.book", "pk": 1, "fields": {"title": "One"}}]))

    call_command("loaddata", str(fixture), stdout=io.StringIO())

    assert Book.objects.count() == 1
    assert told() == []


def test_without_a_subscriber_nothing_is_written(db, django_assert_num_queries):
    @register(Book)
    class BookWebhooks(ModelWebhooks):
        created = "book.created"
        fields = ["title"]

    with django_assert_num_queries(2):
        Book.objects.create(title="One")

    assert told() == []


def test_a_model_is_registered_once(books):
    with pytest.raises(registry.AlreadyRegistered, match="Book"):
        register(Book)(registry.registered[Book].__class__)


WRONG = {
    "no fields": ({"created": "book.created"}, "fields"),
    "no event type": ({"fields": ["title"]}, "names no event type"),
    "not an event type": ({"created": "not valid!", "fields": ["title"]}, "not valid!"),
    "a number": ({"created": 5, "fields": ["title"]}, "event_type must be a text"),
    "a text for fields": ({"created": "book.created", "fields": "title"}, "a list of names"),
    "no column": ({"created": "author.created", "fields": ["book"]}, "has no column"),
}


@pytest.mark.parametrize(("attributes", "said"), WRONG.values(), ids=WRONG)
def test_a_class_that_could_not_tell_is_refused_when_it_is_registered(attributes, said):
    model = Author if "author" in str(attributes) else Book

    with pytest.raises(ImproperlyConfigured, match=said):
        register(model)(type("Wrong", (ModelWebhooks,), attributes))
    assert model not in registry.registered


@pytest.mark.parametrize(
    ("models", "webhooks"), [([], ModelWebhooks), ([int], ModelWebhooks), ([Book], object)]
)
def test_only_models_and_subclasses_are_registered(models, webhooks):
    with pytest.raises(ImproperlyConfigured):
        register(*models)(webhooks)


def test_a_field_that_does_not_exist_is_refused():
    class Mistyped(ModelWebhooks):
        created = "book.created"
        fields = ["titel"]

    with pytest.raises(FieldDoesNotExist, match="titel"):
        register(Book)(Mistyped)


def test_an_unregistered_model_is_silent(books):
    registry.unregister(Book)
    Book.objects.create(title="One").delete()

    assert told() == []
