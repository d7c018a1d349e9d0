"""Two databases: where routers and `using=` send events, and what commits with what."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connections, transaction
from django.db.models import F
from django.utils import timezone
from rest_framework.test import APIClient

from tests.conftest import SECRET
from tests.library.models import Book, Ticket
from tests.shell import in_json
from tests.telling import registered
from tests.test_admin import FORM, client_of, url
from tests.test_api_acts import API, post
from tests.test_relating import Writer
from webhook_delivery import (
    ModelWebhooks,
    NewEvent,
    batches,
    deliveries_of,
    endpoints,
    loop,
    probing,
    publish,
    publish_many,
    pump,
    redelivery,
    register,
    registry,
    rotation,
    tasks,
)
from webhook_delivery.drain import drain
from webhook_delivery.models import (
    ConsoleAction,
    Delivery,
    Doorbell,
    Endpoint,
    Event,
    Notice,
    RedeliveryBatch,
    Secret,
    Subscription,
)
from webhook_delivery.selecting import selection_of
from webhook_delivery.testing import Webhooks
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


class Behind(Elsewhere):
    """Reads from a second database that has heard of nothing yet, as a replica that lags behind."""

    def db_for_write(self, model, **hints) -> str:
        return HOME


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


def listening(using: str, at: str = "https://x.example/", **fields) -> Endpoint:
    endpoint = Endpoint.objects.using(using).create(name=using, url=at, **fields)
    Secret.keep(endpoint, SECRET, using=using)
    return endpoint.subscribe("*", using=using)


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


SOME = 7_000_007
"""No sequence will have come so far."""

OPERATIONS = {
    "bulk_create": lambda: Ticket.objects.bulk_create([Ticket(title="new")]),
    "bulk_update": lambda: Ticket.objects.bulk_update([Ticket(pk=SOME, title="new")], ["title"]),
    "update": lambda: Ticket.objects.update(title="new"),
    "delete": lambda: Ticket.objects.all().delete(),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_who_hears_of_many_is_asked_where_they_are_written(settings, operation):
    """A replica may lag behind, and know of no endpoint yet."""
    settings.DATABASE_ROUTERS = [Behind()]
    listening(HOME)
    Ticket.objects.using(HOME).silently().bulk_create([Ticket(pk=SOME, title="old")])
    Ticket.objects.using(ELSEWHERE).silently().bulk_create([Ticket(pk=SOME, title="old")])
    names = {"created": "ticket.created", "updated": "ticket.updated", "deleted": "ticket.deleted"}

    with registered(Ticket, **names, fields=["title"]):
        operation()

    assert written(HOME) == (1, 1)


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


def test_a_row_leads_to_what_was_told_of_it_in_its_own_database(settings):
    settings.DATABASE_ROUTERS = []
    listening(ELSEWHERE)
    ann = Writer.objects.using(ELSEWHERE).create(name="Ann")
    event = publish("author.praised", source=ann, using=ELSEWHERE)
    Delivery.objects.using(ELSEWHERE).update(state="dead", due_at=None)

    assert [*ann.webhook_events] == [event]
    [told] = ann.webhook_deliveries
    assert deliveries_of([ann]) == {ann.pk: [told]}
    assert (told.event, told._state.db) == (event, ELSEWHERE)
    assert ann.webhook_deliveries.dead().redeliver().count == 1


def test_what_a_row_leads_to_is_redelivered_where_it_is_written(settings):
    settings.DATABASE_ROUTERS = [Behind()]
    listening(HOME)
    for using in (HOME, ELSEWHERE):
        Writer.objects.using(using).create(pk=7, name="Ann")
    publish("author.praised", source="library.author:7")
    Delivery.objects.using(HOME).update(state="dead", due_at=None)

    assert Writer.objects.get().webhook_deliveries.dead().redeliver().count == 1


def test_the_shell_forwards_within_the_database_that_it_is_told():
    event = publish("order.paid", using=HOME)
    to = listening(HOME)
    verb = ["webhooks", "forward", event.webhook_id, str(to.pk), "--database", HOME]

    call_command(*verb, "--dry-run")
    assert written(HOME) == (1, 0)
    call_command(*verb)

    assert (written(HOME), written(ELSEWHERE)) == ((1, 1), (0, 0))
    assert ConsoleAction.objects.using(HOME).get().verb == "forward"


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


# ── what is done in a database that the router does not name


@pytest.fixture
def named_otherwise(settings) -> None:
    settings.DATABASE_ROUTERS = [EventsOnly()]


def test_who_has_had_enough_is_off_and_written_to_there(named_otherwise, receiver):
    listening(HOME, receiver.url(), contact="ops@acme.example")
    receiver.replies(410)
    publish("order.paid", using=HOME)

    loop.once(using=HOME, seconds=10)

    assert Delivery.objects.using(HOME).get().state == "dead"
    assert Endpoint.objects.using(HOME).get().state == "off"
    assert Notice.objects.using(HOME).get().kind == "disabled"
    assert not Notice.objects.using(ELSEWHERE).exists()


def dying(using: str) -> None:
    """Two dead letters."""
    listening(using)
    publish_many([NewEvent("order.paid")] * 2, using=using)
    ended = {"state": "dead", "due_at": None, "ended_at": timezone.now()}
    Delivery.objects.using(using).update(**ended)


def due_again() -> None:
    RedeliveryBatch.objects.using(HOME).update(due_at=F("due_at") - timedelta(seconds=30))


def test_a_redelivery_of_many_goes_on_there_and_another_of_its_number_is_not_touched(
    named_otherwise,
):
    dying(HOME)
    dying(ELSEWHERE)
    other = batches.start(selection_of(), using=ELSEWHERE)
    batch = batches.start(selection_of(), using=HOME)
    RedeliveryBatch.objects.using(ELSEWHERE).filter(pk=other.pk).update(id=batch.pk)

    pump.feed(using=HOME)

    batch.refresh_from_db(using=HOME)
    other = RedeliveryBatch.objects.using(ELSEWHERE).get()
    assert (batch.pk, batch.state, batch.sent) == (other.pk, "done", 2)
    assert (other.state, other.sent) == ("running", 0)


def test_a_redelivery_of_many_waits_and_stops_there(named_otherwise):
    dying(HOME)
    batch = batches.start(selection_of(), canary=1, using=HOME)

    for _ in ("the first is sent", "it is waited for"):
        pump.feed(using=HOME)
        due_again()
    waiting = Delivery.objects.using(HOME).pending()
    waiting.update(state="dead", due_at=None, attempts_made=F("attempts_made") + 1)
    pump.feed(using=HOME)

    batch.refresh_from_db(using=HOME)
    assert (batch.state, batch.sent) == ("guarded", 1)


def test_what_was_missed_is_made_there(named_otherwise):
    publish("order.paid", using=HOME)
    since = timezone.now() - timedelta(hours=1)
    batch = batches.start_missed(listening(HOME).pk, since, using=HOME)

    pump.feed(using=HOME)

    batch.refresh_from_db(using=HOME)
    assert (batch.state, batch.sent) == ("done", 1)
    assert written(HOME) == (1, 1)


def signing_in(using: str) -> list[tuple[str, bool]]:
    """The live secrets, the newest first, and whether each will end."""
    live = Secret.objects.using(using).live()
    return [(each.reveal(), each.valid_until is not None) for each in live]


def test_a_secret_is_rotated_there_and_those_of_another_endpoint_are_not_touched(named_otherwise):
    number = listening(HOME).pk
    listening(ELSEWHERE, pk=number)

    new = rotation.rotate(number, using=HOME)

    assert signing_in(HOME) == [(new, False), (SECRET, True)]
    assert signing_in(ELSEWHERE) == [(SECRET, False)]


def test_the_shell_sends_a_test_from_there(named_otherwise, receiver):
    endpoint = listening(HOME, receiver.url())

    told = in_json("send-test", endpoint.pk, "--database", HOME)

    assert (told["state"], told["endpoint"], len(told["log"])) == ("delivered", HOME, 1)


def test_a_test_that_a_worker_took_first_is_waited_for_there(
    named_otherwise, receiver, monkeypatch
):
    endpoint = listening(HOME, receiver.url())

    def work() -> None:
        drain(using=HOME, seconds=5)
        connections[HOME].close()

    taken = threading.Timer(0.2, work)
    monkeypatch.setattr(probing, "attempt_now", lambda event, **options: taken.start())

    assert probing.probe(endpoint, using=HOME).arrived


def test_the_catcher_of_tests_knows_to_whom_it_went_there(named_otherwise):
    with Webhooks(using=HOME, validate=False) as webhooks:
        endpoint = webhooks.endpoint("order.*")
        publish("order.paid", using=HOME)

        webhooks.assert_sent("order.paid", to=endpoint)


def heard(using: str) -> list[str]:
    rows = Subscription.objects.using(using).order_by("pk")
    return list(rows.values_list("pattern", flat=True))


def test_what_is_said_to_an_endpoint_is_kept_there(named_otherwise):
    listening(ELSEWHERE, pk=listening(HOME).pk)

    there = Endpoint.objects.using(HOME).get().subscribe("order.*")
    Secret.keep(there.set_headers({"X-Team": "blue"}), SECRET)

    here = Endpoint.objects.using(ELSEWHERE).get()
    assert (heard(HOME), heard(ELSEWHERE)) == (["*", "order.*"], ["*"])
    assert (there.kept_headers, here.kept_headers) == ({"X-Team": "blue"}, {})
    assert (len(signing_in(HOME)), len(signing_in(ELSEWHERE))) == (2, 1)


# ── what is done where a replica is read


@pytest.fixture
def replicated(settings) -> None:
    settings.DATABASE_ROUTERS = [Behind()]


def test_the_secret_before_is_known_though_the_replica_has_not_heard_of_it(replicated):
    endpoint = listening(HOME)

    new = rotation.rotate(endpoint.pk, using=HOME)
    with transaction.atomic(using=HOME):
        newest = rotation.newest(endpoint.pk, using=HOME)

    assert signing_in(HOME) == [(new, False), (SECRET, True)]
    assert Secret.objects.using(HOME).get(pk=newest).reveal() == new


@pytest.fixture
def lagging(settings) -> int:
    """The number of an endpoint that hears of orders; the replica knows what it was before."""
    number = listening(HOME).pk
    Subscription.objects.using(HOME).update(pattern="order.*")
    listening(ELSEWHERE, pk=number)
    settings.DATABASE_ROUTERS = [Behind()]
    return number


def test_the_console_shows_what_signs_and_not_what_the_replica_knows_of(lagging):
    root = client_of(User.objects.create_superuser("root"))

    rotated = root.post(url("endpoint", "rotate_now", lagging)).content.decode()
    revealed = root.post(url("endpoint", "reveal_show", lagging)).content.decode()
    listed = root.get(url("endpoint", "secrets", lagging)).context["secrets"]

    [(new, _), (old, _)] = signing_in(HOME)
    assert (new in rotated, old in rotated) == (True, False)
    assert (new in revealed, old in revealed) == (True, True)
    assert [each.text for each in listed] == [new, old]
    asked = root.get(url("endpoint", "rotate", lagging)).context["form"].initial
    assert asked["newest"] == Secret.objects.using(HOME).latest("pk").pk


def test_the_console_shows_the_secret_of_an_endpoint_that_the_replica_has_not_heard_of(replicated):
    root = client_of(User.objects.create_superuser("root"))

    said = root.post(url("endpoint", "add"), FORM).content.decode()

    [(secret, _)] = signing_in(HOME)
    assert secret in said


def test_the_console_says_that_a_test_is_queued_and_keeps_which(lagging):
    root = client_of(User.objects.create_superuser("root"))

    answer = root.post(url("endpoint", "test", lagging))

    assert answer.status_code == 302
    sent = Delivery.objects.using(HOME).get()
    assert ConsoleAction.objects.using(HOME).get().deliveries == [sent.pk]


@pytest.fixture
def api() -> APIClient:
    client = APIClient()
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture(params=["", "7f3c"])
def key(request) -> str:
    """With an Idempotency-Key, and without."""
    return request.param


def test_the_api_answers_with_an_endpoint_that_the_replica_has_not_heard_of(replicated, api, key):
    body = {"url": "https://example.com/hooks", "subscriptions": ["order.*"]}

    answer = post(api, "endpoints/", body, key=key)

    assert answer.status_code == 201
    assert [(answer.json()["secret"], False)] == signing_in(HOME)
    assert answer.json()["subscriptions"] == heard(HOME) == ["order.*"]


def test_the_api_answers_with_a_test_that_the_replica_has_not_heard_of(lagging, api, key):
    answer = post(api, f"endpoints/{lagging}/test/", key=key)

    sent = Delivery.objects.using(HOME).get()
    assert (answer.status_code, answer.json()["id"]) == (202, sent.pk)
    assert ConsoleAction.objects.using(HOME).get().deliveries == [sent.pk]


def test_the_api_answers_with_what_an_endpoint_hears_of_since_it_was_changed(lagging, api):
    changes = {"subscriptions": ["invoice.*"], "headers": {"X-Team": "blue"}}

    told = api.patch(f"{API}endpoints/{lagging}/", changes, format="json").json()

    assert (told["subscriptions"], told["header_names"]) == (["invoice.*"], ["X-Team"])
    assert (heard(HOME), heard(ELSEWHERE)) == (["invoice.*"], ["*"])


def test_the_api_forwards_to_an_endpoint_that_the_replica_has_not_heard_of(replicated, api, key):
    event = publish("order.paid")
    to = listening(HOME)

    answer = post(api, f"events/{event.webhook_id}/forward/", {"endpoint": to.pk}, key=key)

    assert (answer.status_code, answer.json()["endpoint_name"]) == (201, HOME)


def test_what_is_said_to_an_endpoint_that_was_read_is_not_said_to_the_replica(lagging):
    endpoint = Endpoint.objects.get().subscribe("invoice.*")
    Secret.keep(endpoint.set_headers({"X-Team": "blue"}), SECRET)

    here, there = (Endpoint.objects.using(each).get() for each in (HOME, ELSEWHERE))
    assert (heard(HOME), heard(ELSEWHERE)) == (["order.*", "invoice.*"], ["*"])
    assert (here.kept_headers, there.kept_headers) == ({"X-Team": "blue"}, {})
    assert (len(signing_in(HOME)), len(signing_in(ELSEWHERE))) == (2, 1)


def test_what_is_due_can_be_chosen_from_a_replica(lagging):
    publish("order.paid")
    later = {"due_at": timezone.now() + timedelta(hours=1), "attempts_made": 1}
    Delivery.objects.using(HOME).update(**later)

    assert redelivery.retry_now(Delivery.objects.waiting()).count == 1


@pytest.mark.parametrize("which", ["failed", "ahead"])
def test_of_a_redelivery_of_many_can_be_chosen_from_a_replica(settings, which):
    settings.DATABASE_ROUTERS = []
    dying(HOME)
    batch = batches.start(selection_of(), using=HOME)
    batches.start(selection_of(), using=ELSEWHERE)
    ahead = {"id": batch.pk, "cursor": 0, "cutoff": batch.cutoff}
    RedeliveryBatch.objects.using(ELSEWHERE).update(**ahead)
    pump.feed(using=HOME)
    again = {"state": "dead", "due_at": None, "ended_at": batch.created_at}
    Delivery.objects.using(HOME).update(**again, attempts_made=F("attempts_made") + 1)
    settings.DATABASE_ROUTERS = [Behind()]

    assert Delivery.objects.of_batch(batch, which).redeliver().count == 2


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
