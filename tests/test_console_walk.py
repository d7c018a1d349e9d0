"""
An operator's way through an outage, in a browser, with a real receiver and a real engine.

From the overview to what fails, and why; a redelivery that pauses itself while the receiver is
broken, and ends once it is mended. Once by clicks, once by keys, and once by who may only look.
"""

import pytest
from django.contrib.auth.models import Group, User

from tests import processes
from tests.browser import fixtures
from tests.conftest import make_endpoint
from webhook_delivery import roles
from webhook_delivery.composing import NewEvent
from webhook_delivery.models import Attempt, Delivery, Endpoint, RedeliveryBatch
from webhook_delivery.publishing import publish_many
from webhook_delivery.testing.receiver import Reply

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.everywhere_once]

driver, server, window = fixtures.driver, fixtures.server, fixtures.window

LETTERS = 6
"""Fewer, with three more, than make the breaker wait."""
WHY = b'{"error": "the ledger is being migrated"}'
BROKEN = Reply(503, body=WHY)
OVERVIEW = "/admin/webhook_delivery/overview/"


@pytest.fixture
def endpoint(receiver) -> Endpoint:
    made = make_endpoint(receiver.url("/acme"), name="acme-prod", retry_schedule=[])
    make_endpoint(receiver.url("/globex"), name="globex")
    return made


@pytest.fixture
def outage(receiver, endpoint, send_due) -> Endpoint:
    """Its receiver has refused so many, and goes on to refuse."""
    receiver.replies(*[BROKEN] * 1000, path="/acme")
    publish_many(NewEvent("invoice.paid", {"invoice": n}) for n in range(LETTERS))
    send_due()
    assert Delivery.objects.dead().count() == LETTERS
    return endpoint


def person(role: str) -> User:
    roles.ensure_groups(using="default")
    user = User.objects.create_user(role, password="a long walk", is_staff=True)
    user.groups.add(Group.objects.get(name=f"Webhook {role}"))
    return user


def mend(receiver) -> None:
    receiver.follow("/acme=200")


def all_are_delivered() -> bool:
    return Delivery.objects.delivered().count() == 2 * LETTERS


def test_by_clicks(window, receiver, outage):
    window.sign_in(person("operator"))
    with processes.drain_loop():
        window.go(OVERVIEW)
        window.until_it_says("Needs attention", "acme-prod: HTTP 503")

        window.click("acme-prod: HTTP 503", within=".webhook-groups")
        window.until_it_says(f"{LETTERS} dead letters")
        window.click("invoice.paid", within="#result_list")
        window.until_it_says("The receiver failed while it handled the request", WHY.decode())

        window.go(OVERVIEW)
        window.click("Redeliver…", within=".webhook-groups")
        window.fill("Deliveries a second", "10")
        window.fill("Send so many first, and stop if all of them fail", "3")
        window.fill("Reason", "after deploy 4.2")
        window.click(f"Send {LETTERS} deliveries")
        window.until_it_says("started", "paused itself", "3 of the last 3 failed")

        mend(receiver)
        window.click("Resume")
        window.until_it_says("goes on")
        window.until_it_says("done")
    assert_it_went_as_it_should(receiver, outage)


def test_by_keys_alone(window, receiver, outage):
    person("operator")
    with processes.drain_loop():
        window.go(OVERVIEW)
        window.type_into("Username", "operator")
        window.type_into("Password", "a long walk")
        window.enter("Log in")

        window.enter("acme-prod: HTTP 503")
        window.enter("invoice.paid")
        window.until_it_says("The receiver failed while it handled the request", WHY.decode())
        window.enter("Overview")
        window.enter("Redeliver…")
        window.type_into("Deliveries a second", "10")
        window.type_into("Send so many first, and stop if all of them fail", "3")
        window.type_into("Reason", "after deploy 4.2")
        window.enter(f"Send {LETTERS} deliveries")
        window.until_it_says("paused itself", "3 of the last 3 failed")

        mend(receiver)
        window.enter("Resume")
        window.until_it_says("done")
    assert_it_went_as_it_should(receiver, outage)


def assert_it_went_as_it_should(receiver, outage: Endpoint) -> None:
    """Three were tried in vain; then all, and each arrived; who and why are kept."""
    batch = RedeliveryBatch.objects.get()
    sent_again = Attempt.objects.filter(delivery__endpoint=outage, trigger="once")
    assert (batch.state, batch.by_name, batch.reason) == ("done", "operator", "after deploy 4.2")
    assert (batch.rate_per_second, batch.canary) == (10, 3)
    assert sent_again.filter(status=503).count() == 3
    assert sent_again.filter(status=200).count() == LETTERS - 3
    assert Delivery.objects.dead().count() == 3


LOOKED_AT = ["overview", "failuregroup", "deadletter", "delivery", "endpoint", "redeliverybatch"]
BUTTONS = 'form[method="post" i]:not(#logout-form) :is([type="submit"], button:not([type]))'


def test_who_may_only_look_sees_the_same_and_no_button(window, outage):
    window.sign_in(person("viewer"))
    for name in LOOKED_AT:
        window.go(f"/admin/webhook_delivery/{name}/")
        assert window.all(BUTTONS) == [], name
        assert window.all("select[name=action]") == [], name

    window.go(OVERVIEW)
    window.click("acme-prod: HTTP 503", within=".webhook-groups")
    window.click("invoice.paid", within="#result_list")
    window.until_it_says("The receiver failed while it handled the request")
    assert WHY.decode() not in window.text
    assert "Redeliver…" not in window.text
    assert [each.get_attribute("outerHTML")[:80] for each in window.all(BUTTONS)] == []
