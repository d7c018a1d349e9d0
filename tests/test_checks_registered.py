"""What a registered model would send, and what would go unheard, is said at start-up."""

from django.core.checks import run_checks

from example_project.shop.models import Order
from tests.library.models import Book, Ticket
from tests.telling import registered


def found(**kwargs) -> dict[str, str]:
    return {m.id: f"{m.msg} {m.hint}" for m in run_checks(tags=["webhook_delivery"], **kwargs)}


def test_a_manager_that_bypasses_the_events_is_warned_of():
    with registered(Book, created="book.created", fields=["title"]):
        said = found()["webhook_delivery.W012"]

    assert "library.Book" in said and "WebhookQuerySet.as_manager()" in said


def test_a_manager_that_tells_is_fine():
    with registered(Ticket, created="ticket.created", fields=["title"]):
        assert "webhook_delivery.W012" not in found()


def test_a_secret_that_is_named_is_warned_of():
    with registered(Ticket, created="ticket.created", fields=["title", "api_token"]):
        said = found()["webhook_delivery.W013"]

    assert "sends api_token" in said


def test_what_is_made_by_hand_is_not_looked_into():
    with registered(
        Ticket, created="ticket.created", fields=["api_token"], payload=lambda self, ticket: {}
    ):
        assert "webhook_delivery.W013" not in found()


def test_before_deployment_each_model_says_what_it_sends():
    said = {
        message.obj: f"{message.msg} {message.hint}"
        for message in run_checks(tags=["webhook_delivery"], include_deployment_checks=True)
        if message.id == "webhook_delivery.I002"
    }

    assert said[Order].startswith("shop.Order sends number, status, total; as order.created, ")
    assert "webhook_delivery.I002" not in found()


def test_what_a_method_makes_is_said_to_be_made_by_it():
    with registered(Ticket, created="ticket.created", payload=lambda self, ticket: {}):
        said = [
            f"{message.msg} {message.hint}"
            for message in run_checks(tags=["webhook_delivery"], include_deployment_checks=True)
            if message.obj is Ticket
        ]

    assert said == [
        "library.Ticket sends what its `payload()` or serializer makes; as ticket.created. "
        "Look at what it makes of a row."
    ]
