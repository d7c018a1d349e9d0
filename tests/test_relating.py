"""From a row of the project's own to what was told of it, and to whom."""

import pytest
from django.template import Context, Template

from tests.conftest import make_endpoint
from tests.library.models import Author, Place, Restaurant
from tests.owing import statements
from tests.telling import registered
from webhook_delivery import TellsWebhooks, deliveries_of, publish
from webhook_delivery.models import Delivery, Event

pytestmark = pytest.mark.django_db(transaction=True)


class Writer(TellsWebhooks, Author):
    """An author who can be asked."""

    class Meta:
        proxy = True
        app_label = "library"


@pytest.fixture
def ann(endpoint) -> Writer:
    return Writer.objects.create(name="Ann")


def test_a_row_leads_to_its_events_and_their_deliveries(ann):
    told = [publish("author.praised", source=ann), publish("author.blamed", source=ann)]
    publish("author.praised", source=Writer.objects.create(name="Bob"))

    assert [*ann.webhook_events.order_by("pk")] == told
    assert [*ann.webhook_events.of_type("author.blamed")] == told[1:]
    assert [each.event for each in ann.webhook_deliveries.order_by("pk")] == told
    assert ann.webhook_deliveries.pending().count() == 2


def test_a_proxy_and_what_it_stands_for_are_one(ann):
    event = publish("author.praised", source=Author.objects.get())

    assert [*ann.webhook_events] == [event]


def test_of_a_row_that_was_never_saved_nothing_was_told(endpoint):
    publish("author.praised")

    assert [*Writer().webhook_events] == [*Writer().webhook_deliveries] == []


def test_a_list_of_deliveries_costs_one_statement(ann):
    publish("author.praised", source=ann)

    with statements() as said:
        [told] = [(each.event.event_type, each.endpoint.name) for each in ann.webhook_deliveries]

    assert told == ("author.praised", ann.webhook_deliveries.get().endpoint.name)
    assert len(said) == 1


def test_the_deliveries_of_many_rows_cost_one_statement(ann):
    rows = [ann, *(Writer.objects.create(name=name) for name in "BCDEF")]
    for row in rows[:5]:
        publish("author.praised", source=row)
    publish("author.blamed", source=ann)

    with statements() as said:
        found = deliveries_of(rows)
        types = [each.event.event_type for each in found[ann.pk]]
        assert [each.endpoint.name for each in found[rows[1].pk]]

    assert len(said) == 1
    assert types == ["author.praised", "author.blamed"]
    assert [len(found[row.pk]) for row in rows] == [2, 1, 1, 1, 1, 0]
    assert deliveries_of([]) == {}


def test_a_template_asks_for_them(ann):
    publish("author.praised", source=ann)
    text = (
        "{% load webhook_delivery %}"
        "{% for each in author|webhook_deliveries %}"
        "{{ each.event.event_type }}: {{ each.get_state_display }}{% endfor %}"
    )

    assert Template(text).render(Context({"author": ann})) == "author.praised: pending"
    assert Template(text).render(Context({"author": Author()})) == ""


def test_the_console_finds_what_is_about_a_row(ann, admin_client):
    publish("author.praised", source=ann)
    publish("author.blamed")

    for page in ("event", "delivery"):
        shown = admin_client.get(
            f"/admin/webhook_delivery/{page}/", {"q": f"library.author:{ann.pk}"}
        ).content.decode()
        assert "author.praised" in shown
        assert "author.blamed" not in shown
    assert Delivery.objects.count() == 2


def test_a_row_that_inherits_a_table_is_found_by_what_its_parent_told(db):
    with registered(Place, created="place.created", fields=["name"]):
        make_endpoint()
        restaurant = Restaurant.objects.create(name="Roma")

    assert [event.event_type for event in Event.objects.about(restaurant)] == ["place.created"]
    [delivery] = deliveries_of([restaurant])[restaurant.pk]
    assert delivery.event.source == f"library.place:{restaurant.pk}"
