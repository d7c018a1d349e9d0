"""The example's past: rows and logs agree, fates of all kinds, the same story each time."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from example_project.past import HABITS
from webhook_delivery import verification
from webhook_delivery.models import Attempt, Delivery, Endpoint, EndpointStat, Event

pytestmark = [pytest.mark.django_db, pytest.mark.nightly_on_servers]


@pytest.fixture(autouse=True)
def of_a_shop_in_production(settings) -> None:
    """Which retries for days."""
    settings.WEBHOOK_DELIVERY = {}


def seed(**options: int) -> str:
    out = io.StringIO()
    call_command("seed", stdout=out, **{"deliveries": 1_500, "days": 4, **options})
    return out.getvalue()


def story() -> list[tuple]:
    rows = Delivery.objects.order_by("pk")
    return list(rows.values_list("event_type", "endpoint__name", "state", "attempts_made"))


def test_a_past_has_every_fate_and_its_log_agrees_with_its_rows():
    said = seed()

    states = set(Delivery.objects.values_list("state", flat=True))
    assert states == {"delivered", "dead", "pending", "held"}
    assert Delivery.objects.count() == Event.objects.count() == 1_500
    assert list(verification.verify(using="default")) == []
    assert "1,500 deliveries to 8 endpoints" in said


def test_attempts_of_the_past_are_counted_by_the_hour():
    seed()

    counted = [each.delivered + each.failed for each in EndpointStat.objects.all()]
    assert sum(counted) == Attempt.objects.count()


def test_events_have_the_ids_of_their_time():
    seed()

    by_id = Event.objects.order_by("pk").values_list("created_at", flat=True)
    assert list(by_id) == sorted(by_id)


def test_the_same_seed_tells_the_same_story():
    seed(seed=3)
    first = story()
    Delivery.objects.all().delete()
    Endpoint.objects.all().delete()

    seed(seed=3)
    assert story() == first


def test_a_second_past_is_refused():
    seed(deliveries=10)

    with pytest.raises(CommandError, match="There is a past already"):
        seed(deliveries=10)
    assert Endpoint.objects.count() == len(HABITS)


def test_the_console_shows_it(admin_client: Client):
    seed()

    page = admin_client.get(reverse("admin:webhook_delivery_overview_changelist"))
    assert page.status_code == 200
    assert "partner-north" in page.content.decode()
