"""Old workers beside new ones: columns only come, and what one does not know, one leaves alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import cache

import pytest
from django.apps.registry import Apps
from django.contrib.auth.models import User
from django.db import connection, models
from django.db.migrations import Migration, operations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from django.utils import timezone

from tests.conftest import make_endpoint
from tests.migrating import migrate, of_today_afterwards
from tests.owing import owe
from tests.test_admin import client_of, url
from webhook_delivery import doorbell, endpoints, publish, redelivery, tasks
from webhook_delivery.clock import Now
from webhook_delivery.models import Attempt, Delivery, Doorbell, Endpoint, Event, Transition
from webhook_delivery.probing import probe
from webhook_delivery.recording import GONE
from webhook_delivery.verification import verify

pytestmark = pytest.mark.django_db(transaction=True)

OURS = "webhook_delivery"
BASE = "0010_exact_search_on_mysql"
"""From here on, a worker of the version before goes on working while it is being replaced."""


@cache
def loader() -> MigrationLoader:
    return MigrationLoader(None)


def later() -> Iterator[tuple[Migration, ProjectState]]:
    """Each migration since, with the state of the project before it."""
    names = sorted(name for app, name in loader().disk_migrations if app == OURS and name > BASE)
    for name in names:
        migration = loader().get_migration(OURS, name)
        yield migration, loader().project_state((OURS, name), at_end=False)


def narrowed(before: ProjectState, change: operations.AlterField) -> bool:
    """Whether a column is not what it was, but for what only Python looks at."""
    old = before.models[OURS, change.model_name_lower].fields[change.name_lower]
    same = (old.max_length, old.null) == (change.field.max_length, change.field.null)
    return type(old) is not type(change.field) or not same


def test_columns_come_with_a_default_of_the_databases_and_none_goes():
    wrong = []
    for migration, before in later():
        for change in flat(migration.operations):
            match change:
                case operations.RemoveField() | operations.RenameField():
                    wrong.append((migration.name, change.describe()))
                case operations.DeleteModel() | operations.RenameModel():
                    wrong.append((migration.name, change.describe()))
                case operations.AddField(field=field):
                    free = field.null or field.has_db_default() or field.many_to_many
                    wrong += [] if free else [(migration.name, change.describe())]
                case operations.AlterField() if narrowed(before, change):
                    wrong.append((migration.name, change.describe()))

    assert wrong == []


def flat(given: list[operations.base.Operation]) -> Iterator[operations.base.Operation]:
    for change in given:
        if isinstance(change, operations.SeparateDatabaseAndState):
            yield from flat(change.state_operations)
        else:
            yield change


def as_it_was() -> Apps:
    """The models of a worker that has not been replaced yet."""
    apps: Apps = loader().project_state((OURS, BASE)).apps
    return apps


def old(model: type[models.Model]) -> type[models.Model]:
    return as_it_was().get_model(OURS, model.__name__)


def test_what_a_worker_of_the_version_before_writes_is_sent_and_adds_up(receiver, send_due):
    target = make_endpoint(receiver.url())
    event = old(Event).objects.create(id=Event().pk, event_type="order.paid", body=b"{}")
    old(Delivery).objects.create(
        event_id=event.pk, endpoint_id=target.pk, state="pending", due_at=timezone.now()
    )
    made = old(Endpoint).objects.create(name="made by the old", url=receiver.url("/old"))

    tasks.sweep()
    send_due()

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.event_type) == ("delivered", "order.paid")
    assert list(verify(using="default")) == []
    assert Endpoint.objects.get(pk=made.pk).subscribe("order.*").state == "on"


def test_a_worker_of_the_version_before_reads_and_writes_what_the_new_one_wrote(receiver, send_due):
    make_endpoint(receiver.url())
    publish("order.paid", {"number": 7})
    row = old(Delivery).objects.get()
    row.due_at = timezone.now() - timedelta(seconds=1)
    row.save()

    send_due()

    assert Delivery.objects.get().state == "delivered"


def test_a_cluster_of_the_version_before_is_woken_by_each_commit():
    for _ in range(10):
        assert doorbell.ring(using="default")
        old(Doorbell).objects.update(ringing=False, drained_at=Now())


def test_who_is_switched_off_by_a_worker_of_the_version_before_waits_for_a_person(endpoint):
    old(Endpoint).objects.filter(pk=endpoint.pk).update(state="off", state_reason=GONE)

    probed = probe(endpoint)

    assert (probed.arrived, probed.switched) == (True, None)
    assert Endpoint.objects.get().state == "off"


@pytest.fixture
def before_off_by_itself() -> Iterator[type[models.Model]]:
    """Endpoints as they were; afterwards the database is one of today again."""
    name = "0020_traceparent"
    with of_today_afterwards():
        migrate(name)
        yield loader().project_state((OURS, name)).apps.get_model(OURS, "Endpoint")


def test_who_is_off_by_itself_is_known_by_its_reason_once(before_off_by_itself):
    rows = [
        ("off", GONE), ("off", "webhook-delivery: disable"),
        ("off", "failing since 2026-11-01 10:00 UTC"), ("off", "failing since Monday"),
        ("off", ""), ("paused", GONE), ("on", ""),
    ]  # fmt: skip
    for state, reason in rows:
        before_off_by_itself.objects.create(name=reason, state=state, state_reason=reason)

    migrate("0021_off_by_itself")

    marked = before_off_by_itself.objects.filter(pk__in=Endpoint.objects.off_by_itself())
    assert [(row.state, row.state_reason) for row in marked.order_by("pk")] == rows[:3]


@pytest.fixture
def unknown(receiver) -> Delivery:
    """In a state, for a reason and after a verb of a version to come."""
    target = make_endpoint(receiver.url())
    [delivery, _] = owe(2, target)
    moment = timezone.now() - timedelta(days=400)
    Delivery.objects.filter(pk=delivery.pk).update(
        state="embargoed", due_at=moment, reason="moonlight", trigger="oracle"
    )
    Transition.objects.create(delivery=delivery, after=0, verb="embargo", at=moment)
    Attempt.objects.create(
        delivery=delivery, number=9, trigger="oracle", started_at=moment, verdict="postponed"
    )
    return Delivery.objects.get(pk=delivery.pk)


def test_a_state_that_is_not_known_is_left_alone_by_all_that_runs(unknown, receiver, send_due):
    endpoints.pause(unknown.endpoint_id, using="default")
    endpoints.switch_on(unknown.endpoint_id, using="default")
    tasks.sweep()
    send_due()
    tasks.sweep()
    done = redelivery.redeliver(Delivery.objects.filter(pk=unknown.pk))
    redelivery.discard(Delivery.objects.filter(pk=unknown.pk))
    redelivery.retry_now(Delivery.objects.filter(pk=unknown.pk))

    assert done.count == 0
    now = Delivery.objects.get(pk=unknown.pk)
    assert model_to_columns(now) == model_to_columns(unknown)
    assert len(receiver.received) == 1  # the other


def test_the_console_shows_what_it_does_not_know(unknown):
    client = client_of(User.objects.create_superuser("root"))
    page = client.get(url("delivery", "change", unknown.pk))

    assert page.status_code == 200
    assert "embargoed" in page.content.decode()
    assert client.get(url("delivery", "changelist")).status_code == 200


def test_verify_repairs_nothing_that_it_does_not_know(unknown):
    list(verify(using="default", repair=True))

    assert Delivery.objects.get(pk=unknown.pk).state == "embargoed"


def model_to_columns(row: models.Model) -> dict[str, object]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def test_the_base_is_a_migration_of_ours():
    assert (OURS, BASE) in loader().disk_migrations
    assert connection.vendor in ("sqlite", "postgresql", "mysql")
