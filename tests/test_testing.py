"""What users test with: it catches what is published, and everything but the socket is real."""

from __future__ import annotations

import io
import threading
from datetime import timedelta
from decimal import Decimal
from urllib.parse import urlsplit

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import DateTimeField
from django.test import TestCase, TransactionTestCase
from django.utils import timezone
from django_q.models import OrmQ

from example_project.shop.models import Order
from tests.conftest import SECRET
from webhook_delivery import (
    InvalidSignature,
    NewEvent,
    conf,
    doorbell,
    publish,
    publish_many,
    tasks,
)
from webhook_delivery.models import (
    Delivery,
    Doorbell,
    Endpoint,
    EndpointStat,
    Event,
    RollUp,
    Walk,
)
from webhook_delivery.outcomes import Verdict
from webhook_delivery.signing import generate_secret
from webhook_delivery.testing import (
    Fault,
    Receiver,
    Reply,
    Request,
    Webhooks,
    WebhooksMixin,
    loopback_permitted,
)
from webhook_delivery.testing.passing import MOMENTS
from webhook_delivery.testing.receiver import Received

State = Delivery.State


@pytest.fixture
def webhooks(webhooks):
    """These tests say whatever they like by the names of the shop's events."""
    webhooks.validate = False
    return webhooks


def order(number: int = 7) -> Order:
    return Order.objects.create(number=number, total="19.90")


def test_a_saved_order_tells_the_world(webhooks):
    order()

    webhooks.assert_sent("order.created", data__number=7)
    webhooks.assert_not_sent("order.deleted")
    [delivery] = webhooks.drain()
    assert delivery.state == State.DELIVERED
    [request] = webhooks.requests
    assert request.json()["data"]["number"] == 7
    assert request.webhook_id == delivery.event.webhook_id
    request.verify()


class InATestCase(WebhooksMixin, TestCase):
    def setUp(self) -> None:
        publish("set.up", {"by": "a setUp that calls nothing above it"})

    def test_a_saved_order_tells_the_world(self) -> None:
        order()

        event = self.assert_webhook_sent("order.created", data__number=7)
        assert event.data["total"] == "19.90"
        self.assert_webhook_sent("set.up")
        self.assert_webhook_not_sent("order.deleted")
        assert [each.state for each in self.drain_webhooks()] == [State.DELIVERED] * 2

    async def test_asynchronous_tests_have_it_too(self) -> None:
        await Order.objects.acreate(number=7, total=1)

        assert self.webhooks is not None


class WhatRunsOnCommit(WebhooksMixin, TestCase):
    def test_wakes_nobody(self) -> None:
        with self.captureOnCommitCallbacks(execute=True) as callbacks:
            order()

        assert callbacks
        assert not OrmQ.objects.exists()
        assert [each.state for each in self.drain_webhooks()] == [State.DELIVERED]


class InATransactionTestCase(WebhooksMixin, TransactionTestCase):
    def test_a_saved_order_tells_the_world_and_wakes_nobody(self) -> None:
        order()

        self.assert_webhook_sent("order.created", data__number=7)
        assert not OrmQ.objects.exists()
        assert [each.state for each in self.drain_webhooks()] == [State.DELIVERED]


def test_a_test_can_be_debugged(db):
    ran = []

    class Debugged(WebhooksMixin, TestCase):
        def runTest(self) -> None:  # noqa: N802
            order()
            ran.append(self.assert_webhook_sent("order.created"))

    Debugged("runTest").debug()
    assert ran


@pytest.mark.django_db(transaction=True)
def test_outside_of_transactions_too(webhooks):
    order()

    webhooks.assert_sent("order.created", data__number=7)
    [delivery] = webhooks.drain()
    assert delivery.state == State.DELIVERED
    assert not OrmQ.objects.exists()


def test_what_was_rolled_back_was_not_sent(webhooks):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        order(7)
        1 / 0  # noqa: B018
    order(8)

    webhooks.assert_not_sent("order.created", data__number=7)
    webhooks.assert_sent("order.created", data__number=8)
    assert len(webhooks.drain()) == 1


def test_what_others_published_before_does_not_count(db):
    publish("order.created", {"number": 7})

    with Webhooks() as webhooks:
        webhooks.assert_not_sent()


# What is looked for


BODY = {
    "number": 7,
    "total": Decimal("19.90"),
    "lines": [{"sku": "A7"}, {"sku": "B9"}],
    "note": None,
    "exact": 1,
}


@pytest.mark.parametrize(
    "lookups",
    [
        {"data": {**BODY, "total": "19.90"}},
        {"type": "order.created"},
        {"data__number": 7, "data__lines__1__sku": "B9"},
        {"data__number__in": {6, 7}},
        {"data__number__gt": 6, "data__number__lt": 8},
        {"data__number__gte": 7, "data__number__lte": 7},
        {"data__number__exact": 7, "data__exact": 1},
        {"data__total": "19.90"},
        {"data__total": Decimal("19.9")},
        {"data__total__gte": Decimal("9")},
        {"data__lines__contains": {"sku": "A7"}},
        {"data__lines__0__sku__startswith": "A", "data__lines__0__sku__endswith": "7"},
        {"data__lines__0__sku__regex": "^[A-Z]7$"},
        {"data__lines__0__sku__contains": "7"},
        {"data__note": None, "data__note__isnull": True, "data__nothing__isnull": True},
        {"data__number__isnull": False},
        {"tenant": ""},
    ],
    ids=str,
)
def test_a_body_is_looked_into(webhooks, lookups):
    publish("order.created", BODY)

    assert webhooks.assert_sent("order.created", **lookups).data["number"] == 7


@pytest.mark.parametrize(
    ("lookups", "difference"),
    [
        ({"data__number": 8}, "data__number: found 7, expected 8"),
        ({"data__number": "7"}, "data__number: found 7, expected '7'"),
        ({"data__number__gt": "six"}, "data__number__gt: found 7, expected 'six'"),
        ({"data__nothing": None}, "data__nothing: found nothing, expected None"),
        ({"data__nothing__in": [1]}, "data__nothing__in: found nothing, expected [1]"),
        ({"data__lines__2__sku": "C"}, "data__lines__2__sku: found nothing, expected 'C'"),
        ({"data__number__startswith": "7"}, "data__number__startswith: found 7, expected '7'"),
        ({"data__note__isnull": False}, "data__note__isnull: found None, expected False"),
        ({"data__lines__total": 7}, "data__lines__total: found nothing, expected 7"),
        ({"data__note": Decimal(1)}, "data__note: found None, expected Decimal('1')"),
        ({"tenant": "acme"}, "tenant: found '', expected 'acme'"),
    ],
    ids=str,
)
def test_the_nearest_miss_is_shown(webhooks, lookups, difference):
    publish("order.created", {"other": "thing", "lines": 1})
    publish("order.created", BODY)

    with pytest.raises(AssertionError) as failed:
        webhooks.assert_sent("order.created", **lookups, data__number__in=[7])
    assert difference in str(failed.value)
    assert "Nearest: order.created" in str(failed.value)
    assert '"sku":"A7"' in str(failed.value)


def test_ids_and_dates_are_looked_for_as_they_are_written(webhooks):
    now = timezone.now()
    event = publish("order.created", {"at": now})
    publish("order.paid", {"id": event.pk})

    webhooks.assert_sent("order.created", data__at=now, data__at__lte=now + timedelta(days=1))
    webhooks.assert_sent("order.paid", data__id=event.pk)


def test_a_whole_message_says_what_there_was(webhooks):
    publish("order.created", {"number": 7}, tenant="acme")

    with pytest.raises(AssertionError) as failed:
        webhooks.assert_sent("order.create", tenant="acme")
    message = str(failed.value)
    assert message.startswith(
        "order.create with tenant='acme' was published never; expected: at least once.\n\n"
        "Did you mean order.created?\n\n"
        "Published since the test began:\n"
        '  order.created tenant=\'acme\' {"type":"order.created",'
    )


def test_a_message_without_anything_says_so(webhooks):
    with pytest.raises(AssertionError, match="Nothing was published since the test began"):
        webhooks.assert_sent("order.created")


def test_a_message_is_no_longer_than_one_can_read(webhooks):
    publish_many(NewEvent("order.paid", {"note": "x" * 500}) for _ in range(30))

    with pytest.raises(AssertionError) as failed:
        webhooks.assert_sent("invoice.sent")
    assert "… and 10 more" in str(failed.value)
    assert max(map(len, str(failed.value).splitlines())) < 200


def test_how_often_is_counted(webhooks):
    publish("order.created", {"number": 7})
    publish("order.created", {"number": 8})

    webhooks.assert_sent("order.created", times=2)
    webhooks.assert_sent("order.created", times=1, data__number=8)
    with pytest.raises(AssertionError, match="published 2 times; expected: exactly 1"):
        webhooks.assert_sent("order.created", times=1)
    with pytest.raises(AssertionError, match="published once; expected: never"):
        webhooks.assert_not_sent("order.*", data__number=8)
    assert [each.data["number"] for each in webhooks.published("order.*")] == [7, 8]


def test_a_body_that_is_no_json_is_found_by_its_type(webhooks):
    publish("file.written", b"\x00\xff", content_type="application/octet-stream")

    assert webhooks.assert_sent("file.*").body == b"\x00\xff"
    with pytest.raises(AssertionError, match="found nothing"):
        webhooks.assert_sent("file.written", data__number=7)


# Who hears


def test_every_tenant_is_heard_without_an_endpoint(webhooks):
    publish("order.created", {"number": 7}, tenant="acme")
    publish("order.created", {"number": 8}, tenant="umbrella")
    publish_many([NewEvent("order.paid", tenant=tenant) for tenant in ("acme", "", "third")])

    webhooks.assert_sent("order.created", tenant="umbrella", data__number=8)
    with pytest.raises(AssertionError):
        webhooks.assert_sent("order.created", tenant="acme", data__number=8)
    assert len(webhooks.drain()) == 5
    assert Endpoint.objects.count() == 1


def test_an_endpoint_of_the_tests_own_is_the_only_one_that_hears(webhooks):
    acme = webhooks.endpoint("order.*", tenant="acme")
    publish("order.created", {"number": 7}, tenant="acme")
    publish("order.paid", {"number": 8})

    webhooks.assert_sent("order.created", to=acme, times=1, data__number=7)
    webhooks.assert_not_sent(to=acme, data__number=8)
    with pytest.raises(AssertionError, match=f"to: found .*, expected {acme.pk}"):
        webhooks.assert_sent("order.paid", to=acme)
    assert [each.endpoint == acme for each in webhooks.drain()] == [True, False]
    assert [each.url == acme.url for each in webhooks.requests] == [True, False]


def test_nothing_is_there_unless_it_is_needed(webhooks):
    assert not Endpoint.objects.exists()
    webhooks.endpoint("order.*", url="https://acme.example/hook", name="acme", ordered=True)

    order()

    assert [each.name for each in Endpoint.objects.all()] == ["acme"]
    [delivery] = webhooks.drain()
    assert delivery.endpoint.ordered


def test_where_only_another_port_is_open_it_is_used(webhooks, settings):
    settings.WEBHOOK_DELIVERY = {"ALLOWED_PORTS": [8443]}
    order()

    [delivery] = webhooks.drain()
    assert delivery.state == State.DELIVERED
    assert webhooks.requests[0].headers["host"] == "webhooks.example:8443"


# What is answered


def test_replies_are_given_in_turn(webhooks):
    order()
    webhooks.replies(503, Fault.DNS, ConnectionRefusedError, TimeoutError("slow"), 200)

    [delivery] = webhooks.drain(until="ended")

    assert delivery.state == State.DELIVERED
    found = [(each.status, each.fault) for each in delivery.attempts.all()]
    assert found == [
        (503, "http_5xx"),
        (None, "dns"),
        (None, "refused"),
        (None, "timeout"),
        (200, ""),
    ]
    assert [request.headers["webhook-attempt"] for request in webhooks.requests] == [*"12345"]


def test_a_receiver_that_never_recovers_ends_in_a_dead_letter(webhooks):
    order()
    webhooks.otherwise(500)

    [delivery] = webhooks.drain(until="ended")

    assert delivery.state == State.DEAD
    assert delivery.attempts_made == 10


def test_replies_can_be_for_one_endpoint(webhooks):
    acme, other = webhooks.endpoint(), webhooks.endpoint()
    webhooks.replies(410, to=acme).replies(500).otherwise(503, to=other.url)
    publish("order.created")

    states = {each.endpoint: each for each in webhooks.drain()}

    assert states[acme].state == State.DEAD
    assert states[other].last_status == 503
    acme.refresh_from_db()
    assert acme.state == Endpoint.State.OFF


def test_a_whole_reply_is_heeded(webhooks):
    order()
    webhooks.replies(Reply(429, {"Retry-After": "3600"}, b"slowly"))

    [delivery] = webhooks.drain()

    [attempt] = delivery.attempts.all()
    assert attempt.verdict == Verdict.RETRY
    assert bytes(attempt.excerpt) == b"slowly"
    assert (attempt.next_due_at - attempt.started_at).total_seconds() >= 3600
    webhooks.let_time_pass(3000)
    assert webhooks.drain() == []
    webhooks.let_time_pass(timedelta(seconds=700))
    assert len(webhooks.drain()) == 1


def test_a_function_can_answer_and_sees_the_test_s_own_rows(webhooks):
    seen = []

    def answer(request: Request) -> int:
        seen.append(Order.objects.get(number=request.json()["data"]["number"]))
        return 204

    placed = order()
    webhooks.replies(answer)

    webhooks.drain()
    assert seen == [placed]


def test_a_function_can_fail_as_a_network_does(webhooks):
    def hang_up(request: Request) -> int:
        raise ConnectionResetError

    order()
    webhooks.replies(hang_up, lambda request: Fault.DNS, lambda request: TimeoutError)

    [delivery] = webhooks.drain(until="ended")

    faults = list(delivery.attempts.values_list("fault", flat=True))
    assert faults == ["reset", "dns", "timeout", ""]


def test_what_goes_wrong_in_a_function_fails_the_test(webhooks):
    order()
    webhooks.replies(lambda request: request.json()["data"]["nothing"])

    with pytest.raises(KeyError, match="nothing"):
        webhooks.drain()


def test_an_answer_that_is_none_fails_the_test(webhooks):
    order()
    webhooks.replies("200")

    with pytest.raises(TypeError, match="cannot answer '200'"):
        webhooks.drain()


def test_a_mistake_that_nobody_heard_of_fails_the_test_at_its_end(db):
    with pytest.raises(ZeroDivisionError), Webhooks() as webhooks:
        webhooks.replies(lambda request: 1 // 0)
        publish("order.created")
        tasks.drain()
    with pytest.raises(KeyError), Webhooks() as webhooks:
        webhooks.replies(lambda request: 1 // 0)
        publish("order.created")
        tasks.drain()
        raise KeyError


# What stays real


def test_what_goes_through_memory_is_what_goes_over_the_wire(db):
    """One event, twice: through memory, and then over a real socket."""
    with Receiver() as receiver:
        url = receiver.url("/hook?a=b")
    with Webhooks(validate=False) as webhooks:
        endpoint = webhooks.endpoint(url=url)
        endpoint.set_headers({"Authorization": "Bearer t0ken"})
        publish("order.created", {"number": 7})
        [delivery] = webhooks.drain()
        [kept] = webhooks.requests

    with Receiver(port=urlsplit(url).port) as receiver:
        Delivery.objects.all().redeliver()
        tasks.drain()
        [got] = receiver.received

    differ = {"webhook-attempt", "webhook-timestamp", "webhook-signature"}
    assert delivery.state == State.DELIVERED
    assert (kept.body, kept.method, kept.url) == (got.body, "POST", url)
    assert kept.headers.keys() == got.headers.keys()
    for name in kept.headers.keys() - differ:
        assert kept.headers[name] == got.headers[name]


def test_a_receiver_on_a_socket_is_reached_beside_what_goes_through_memory(
    webhooks, webhook_receiver
):
    webhook_receiver.secrets["*"] = SECRET
    webhook_receiver.replies(503, Reply(200, body=b"thanks"), path="/hook")
    webhooks.endpoint("order.*", url=webhook_receiver.url("/hook"))
    publish("order.created", {"number": 7})
    publish("invoice.paid")

    [on_a_socket, in_memory] = webhooks.drain(until="ended")

    assert [each.status for each in webhook_receiver.received] == [503, 200]
    assert all(each.verified for each in webhook_receiver.received)
    assert webhook_receiver.received[0].json()["data"] == {"number": 7}
    assert len(webhooks.requests) == 1
    assert (on_a_socket.state, in_memory.state) == (State.DELIVERED, State.DELIVERED)


def test_a_receiver_s_secret_is_asked_for(webhooks, webhook_receiver):
    webhook_receiver.secrets["*"] = generate_secret()
    webhooks.endpoint(url=webhook_receiver.url())
    publish("order.created")

    webhooks.drain()

    assert [each.verified for each in webhook_receiver.received] == [False]


def test_a_receiver_reads_headers_of_another_name(webhooks, settings, request):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "HEADER_PREFIX": "acme-"}
    receiver = request.getfixturevalue("webhook_receiver")
    receiver.secrets["*"] = webhooks.endpoint(url=receiver.url()).secrets.get().reveal()
    event = publish("order.created")

    webhooks.drain()

    [got] = receiver.received
    assert (got.verified, got.webhook_id) == (True, event.webhook_id)
    assert Received.from_json(got.as_json()) == got


class OnASocket(WebhooksMixin, TestCase):
    validate_webhooks = False

    @loopback_permitted()
    def test_a_receiver_works_in_a_test_case_too(self) -> None:
        with Receiver() as receiver:
            self.webhooks.endpoint(url=receiver.url())
            publish("order.created")
            self.webhooks.drain()

        assert [each.verified for each in receiver.received] == [None]


def test_only_for_such_a_test_this_machine_is_open(settings):
    settings.WEBHOOK_DELIVERY = {"ALLOWED_NETWORKS": ["10.0.0.0/8"], "ALLOWED_PORTS": (443,)}

    with loopback_permitted():
        assert conf.settings.ALLOWED_NETWORKS == ["10.0.0.0/8", "127.0.0.0/8"]
        assert conf.settings.ALLOW_HTTP
    assert not conf.settings.ALLOW_HTTP


def test_a_request_is_verified_with_its_endpoint_s_secrets(webhooks):
    order()
    webhooks.drain()
    [request] = webhooks.requests

    request.verify()
    with pytest.raises(InvalidSignature):
        request.verify(generate_secret())


def test_headers_of_another_name_verify_too(webhooks, settings):
    settings.WEBHOOK_DELIVERY = {"HEADER_PREFIX": "Svix-"}
    order()
    webhooks.drain()

    [request] = webhooks.requests
    request.verify()
    assert request.webhook_id == request.headers["svix-id"]


def test_an_address_that_may_not_be_sent_to_is_not_sent_to(webhooks, settings):
    settings.WEBHOOK_DELIVERY = {"ALLOWED_NETWORKS": []}
    webhooks.endpoint(url="https://10.0.0.1/")
    publish("order.created")

    [delivery] = webhooks.drain()

    assert delivery.reason == Fault.BLOCKED
    assert webhooks.requests == []


def test_nothing_that_sends_reaches_a_socket(webhooks):
    """Neither the task, nor the command, nor first attempts inline, in whichever thread."""
    publish("order.created", {"by": "task"})
    tasks.drain()
    publish("order.created", {"by": "command"})
    call_command("webhooks", "drain", stdout=io.StringIO())

    assert [each.json()["data"]["by"] for each in webhooks.requests] == ["task", "command"]


@pytest.mark.django_db(transaction=True)
def test_what_is_sent_inline_in_a_thread_goes_through_memory(webhooks):
    def elsewhere() -> None:
        publish("order.created", {"number": 7}, inline=True)
        connection.close()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()

    assert len(webhooks.requests) == 1
    assert webhooks.drain() == []


def test_afterwards_everything_is_as_it_was(db):
    from webhook_delivery import drain as draining
    from webhook_delivery import flights, hearing, transport

    ring, first_page = doorbell.ring, hearing.first_page
    with Webhooks():
        assert draining.Transport is not transport.Transport
    assert draining.Transport is transport.Transport
    assert draining.Flights is flights.Flights
    assert (doorbell.ring, hearing.first_page) == (ring, first_page)
    order()
    assert not Event.objects.exists()


# Time


def test_time_passes_for_rows_and_their_log_alike(webhooks):
    webhooks.replies(503, 503, 200)
    order()
    webhooks.drain()

    webhooks.let_time_pass(timedelta(milliseconds=200))
    call_command("webhooks", "verify", stdout=io.StringIO())  # exits with 1 if anything differs
    webhooks.drain(until="ended")
    call_command("webhooks", "verify", stdout=io.StringIO())


def test_time_passes_until_something_falls_due(webhooks):
    webhooks.replies(503)
    order()
    webhooks.drain()

    assert webhooks.drain() == []
    webhooks.let_time_pass()
    [delivery] = webhooks.drain()
    assert delivery.state == State.DELIVERED
    webhooks.let_time_pass()
    assert webhooks.drain() == []


def test_a_pause_ends_when_its_time_has_passed(webhooks):
    endpoint = webhooks.endpoint()
    later = timezone.now() + timedelta(hours=1)
    Endpoint.objects.filter(pk=endpoint.pk).update(state="paused", resume_at=later)
    publish("order.created")

    assert webhooks.drain(until="ended") == []
    webhooks.let_time_pass(timedelta(hours=2))
    [delivery] = webhooks.drain()
    assert delivery.state == State.DELIVERED


def test_an_event_expires_when_its_time_has_passed(webhooks):
    webhooks.replies(503)
    publish("order.created", expires_at=timedelta(hours=1))
    webhooks.drain()

    webhooks.let_time_pass(timedelta(hours=2))
    [delivery] = webhooks.drain()

    assert (delivery.state, delivery.reason) == (State.DEAD, Fault.EXPIRED)
    assert len(webhooks.requests) == 1


def test_who_fails_for_days_is_warned_of_and_switched_off(webhooks):
    endpoint = webhooks.endpoint("order.*")
    webhooks.otherwise(503)
    for number in range(3):
        publish("order.created", {"number": number})
    webhooks.drain()

    for days, state in [(1, "on"), (4, "off")]:
        webhooks.let_time_pass(timedelta(days=days, minutes=1))
        webhooks.drain()
        tasks.sweep()
        endpoint.refresh_from_db()
        assert endpoint.state == state

    assert endpoint.off_by_itself


def test_every_moment_passes_but_those_of_the_machine():
    """Who adds a moment says whether it passes."""
    moments = {
        (model, field.name)
        for model in apps.get_app_config("webhook_delivery").get_models()
        for field in model._meta.concrete_fields
        if isinstance(field, DateTimeField) and not model._meta.proxy
    }
    passing = {(model, name) for model, names in MOMENTS.items() for name in names}

    assert passing <= moments
    assert {model for model, _ in moments - passing} == {Doorbell, EndpointStat, RollUp, Walk}


def test_what_never_ends_is_told(webhooks, monkeypatch):
    from webhook_delivery.testing import webhooks as module

    monkeypatch.setattr(module, "ROUNDS", 3)
    webhooks.otherwise(500)
    order()

    with pytest.raises(AssertionError, match="After 3 waits there is still something"):
        webhooks.drain(until="ended")


def test_a_breaker_that_opened_is_waited_for(webhooks, settings):
    settings.WEBHOOK_DELIVERY = {"BREAKER_FAILURES": 1, "BREAKER_SECONDS": 100}
    webhooks.replies(500)
    publish("order.created", {"number": 1})
    publish("order.created", {"number": 2})

    deliveries = webhooks.drain(until="ended")

    assert {each.state for each in deliveries} == {State.DELIVERED}


def test_they_are_sent_in_the_order_in_which_they_were_published(webhooks):
    for number in range(20):
        publish("order.created", {"number": number})

    webhooks.drain()

    assert [each.json()["data"]["number"] for each in webhooks.requests] == list(range(20))
    assert [each.data["number"] for each in webhooks.events] == list(range(20))


def test_an_unknown_name_is_an_error_as_in_any_module():
    from webhook_delivery import testing

    assert {name: getattr(testing, name) for name in testing.__all__}
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        testing.Nothing  # noqa: B018


def test_what_is_done_in_bulk_is_caught_too(webhooks):
    Order.objects.bulk_create([Order(number=7, total=1), Order(number=8, total=1)])
    Order.objects.update(status="paid")

    webhooks.assert_sent("order.created", times=2)
    webhooks.assert_sent("order.updated", times=2, data__status="paid")
