"""Two databases: where routers and `using=` send events, and what commits with what."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connections, transaction

from tests.conftest import SECRET
from tests.library.models import Book
from tests.test_admin import client_of, url
from webhook_delivery import (
    ModelWebhooks,
    NewEvent,
    endpoints,
    publish,
    publish_many,
    register,
    registry,
    tasks,
)
from webhook_delivery.models import ConsoleAction, Delivery, Doorbell, Endpoint, Event, Secret
from webhook_delivery.verification import verify

HOME, ELSEWHERE = "default", "events"
ROUTED = {"webhook_delivery", "library"}

pytestmark = pytest.mark.django_db(transaction=True, databases=[HOME, ELSEWHERE])


class Elsewhere:
    """Sends our tables, and the library's, to the second database; both have all of them."""

    def db_for_read(self, model, **hints) -> str:
        return ELSEWHERE if model._meta.app_label in ROUTED else HOME

    db_for_write = db_for_read


class EventsOnly(Elsewhere):
    """Leaves the library where it was."""

    def db_for_read(self, model, **hints) -> str:
        return ELSEWHERE if model._meta.app_label == "webhook_delivery" else HOME

    db_for_write = db_for_read


class Apart(EventsOnly):
    """And lets our tables be in the second database only."""

    def allow_migrate(self, db, app_label, **hints) -> bool | None:
        return db == ELSEWHERE if app_label == "webhook_delivery" else None


class Astray(Elsewhere):
    """Sends events to where they cannot be."""

    def allow_migrate(self, db, app_label, **hints) -> bool | None:
        return db == HOME if app_label == "webhook_delivery" else None


@pytest.fixture(scope="module", autouse=True)
def second(tmp_path_factory, django_db_setup, django_db_blocker) -> Iterator[None]:
    """A second database, in a file of SQLite, whatever the first one is."""
    file = tmp_path_factory.mktemp("second") / "events.sqlite3"
    described = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(file),
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20},
    }
    whole = connections.configure_settings({"default": described})["default"]
    django_settings.DATABASES[ELSEWHERE] = connections.settings[ELSEWHERE] = whole
    with django_db_blocker.unblock():
        call_command("migrate", database=ELSEWHERE, run_syncdb=True, verbosity=0)
        yield
        connections[ELSEWHERE].close()
    del connections[ELSEWHERE]
    django_settings.DATABASES.pop(ELSEWHERE)
    connections.settings.pop(ELSEWHERE, None)


@pytest.fixture(autouse=True)
def routed(settings) -> None:
    settings.DATABASE_ROUTERS = [Elsewhere()]


@pytest.fixture
def books() -> Iterator[None]:
    @register(Book)
    class BookWebhooks(ModelWebhooks):
        created = "book.created"
        fields = ["title"]

    yield
    registry.unregister(Book)


def listening(using: str, at: str = "https://x.example/") -> Endpoint:
    endpoint = Endpoint.objects.using(using).create(name=using, url=at).subscribe("*")
    Secret.keep(endpoint, SECRET)
    return endpoint


def written(using: str) -> tuple[int, int]:
    return Event.objects.using(using).count(), Delivery.objects.using(using).count()


class Stop(Exception):
    pass


def test_without_using_events_are_written_where_the_router_says():
    listening(HOME)
    listening(ELSEWHERE)

    event = publish("order.paid")
    publish_many([NewEvent("order.paid")])

    assert event._state.db == ELSEWHERE
    assert (written(HOME), written(ELSEWHERE)) == ((0, 0), (2, 2))
    assert Doorbell.objects.using(ELSEWHERE).get().ringing
    assert not Doorbell.objects.using(HOME).get().ringing


def test_with_using_they_are_written_there():
    there, _ = listening(HOME), listening(ELSEWHERE)

    publish("order.paid", using=HOME, idempotency_key="7")
    publish("order.paid", using=HOME, idempotency_key="7")
    publish("order.paid", using=HOME, endpoints=[there])
    publish_many([NewEvent("order.paid")], using=HOME)

    assert (written(HOME), written(ELSEWHERE)) == ((3, 3), (0, 0))


def test_only_the_transaction_of_the_same_database_undoes_it():
    listening(ELSEWHERE)

    with pytest.raises(Stop), transaction.atomic(using=HOME):
        publish("order.paid")
        raise Stop
    with pytest.raises(Stop), transaction.atomic(using=ELSEWHERE):
        publish("order.left")
        raise Stop

    assert Event.objects.get().event_type == "order.paid"


def test_a_models_change_and_its_event_commit_together_in_the_models_database(books):
    listening(HOME)
    listening(ELSEWHERE)

    Book.objects.create(title="routed")
    Book.objects.using(HOME).create(title="here")
    with pytest.raises(Stop), transaction.atomic(using=ELSEWHERE):
        Book.objects.create(title="undone")
        raise Stop

    for using in (HOME, ELSEWHERE):
        assert Book.objects.using(using).count() == 1
        assert written(using) == (1, 1)


def test_what_is_routed_is_delivered_and_its_log_adds_up(books, receiver):
    listening(ELSEWHERE, receiver.url())

    Book.objects.create(title="routed")
    tasks.drain()

    assert Delivery.objects.get().state == "delivered"
    assert len(receiver.received) == 1
    assert list(verify(using=ELSEWHERE)) == []


def test_an_attempt_inline_is_made_from_the_database_that_was_named(receiver):
    listening(HOME, receiver.url())

    publish("order.paid", using=HOME, inline=True)

    assert Delivery.objects.using(HOME).get().state == "delivered"


def test_who_acts_lies_in_another_database(receiver):
    """Users are in the first, and are still named by what they did in the second."""
    ada = User.objects.create_superuser("ada", password="x")
    endpoint = listening(ELSEWHERE, receiver.url())
    receiver.replies(400)
    publish("order.paid")
    tasks.drain()

    assert Delivery.objects.dead().redeliver(by=ada, reason="mended").count == 1
    endpoints.pause(endpoint.pk, using=ELSEWHERE, by=ada)

    assert {action.by for action in ConsoleAction.objects.all()} == {ada}
    page = client_of(ada).get(url("delivery"))
    assert (page.status_code, len(page.context["cl"].result_list)) == (200, 1)


def test_a_user_who_acted_can_go():
    ada = User.objects.create_superuser("ada", password="x")
    endpoint = listening(ELSEWHERE)
    endpoints.pause(endpoint.pk, using=ELSEWHERE, by=ada)

    ada.delete()

    action = ConsoleAction.objects.get()
    assert (action.by_name, User.objects.filter(pk=action.by_id).exists()) == ("ada", False)


# ── what the checks say


def complaints() -> dict[str, str]:
    found = run_checks(tags=["webhook_delivery"])
    return {each.id: each.msg for each in found if each.id[-4:] in ("E013", "W014")}


def test_models_beside_their_events_are_fine(books):
    """The shop's own models are not routed: of those it warns, and not of the library's."""
    assert "library.Book" not in complaints()["webhook_delivery.W014"]


def test_without_a_second_database_all_is_fine(books, settings):
    settings.DATABASE_ROUTERS = []

    assert complaints() == {}


def test_a_model_whose_events_nobody_delivers_is_warned_about(books, settings):
    settings.DATABASE_ROUTERS = [EventsOnly()]

    said = complaints()

    assert list(said) == ["webhook_delivery.W014"]
    assert "library.Book" in said["webhook_delivery.W014"]
    assert "'default'" in said["webhook_delivery.W014"]


def test_a_model_where_there_are_no_tables_for_events_is_refused(books, settings):
    settings.DATABASE_ROUTERS = [Apart()]

    said = complaints()

    assert list(said) == ["webhook_delivery.E013"]
    assert "library.Book" in said["webhook_delivery.E013"]


def test_events_that_are_routed_to_where_there_are_no_tables_are_refused(settings):
    settings.DATABASE_ROUTERS = [Astray()]

    assert "What is published" in complaints()["webhook_delivery.E013"]
