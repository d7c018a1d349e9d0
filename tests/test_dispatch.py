"""What goes over the wire: the headers, the bytes, and what the receiver says to them."""

import json
from datetime import timedelta

import pytest
import time_machine
from django.core.exceptions import ValidationError
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from tests.conftest import SECRET, make_due, make_endpoint
from webhook_delivery import keys, publish, verify
from webhook_delivery.models import Attempt, Delivery, Endpoint, Event
from webhook_delivery.testing.receiver import Reply

pytestmark = pytest.mark.django_db(transaction=True)


def values(received, name: str) -> list[str]:
    return [value for key, value in received.headers.items() if key.lower() == name]


# ── Headers


def test_an_endpoints_own_headers_go_with_each_request(receiver, endpoint, send_due):
    endpoint.set_headers({"Authorization": "Bearer t0ken", "X-Tenant": "acme"})
    publish("order.created", {})
    send_due()

    [got] = receiver.received
    assert values(got, "authorization") == ["Bearer t0ken"]
    assert values(got, "x-tenant") == ["acme"]


def test_their_values_are_sealed_at_rest(endpoint):
    endpoint.set_headers({"Authorization": "Bearer t0ken"})

    stored = Endpoint.objects.get()
    assert b"t0ken" not in bytes(stored.sealed_headers)
    assert "t0ken" in keys.unseal(stored.sealed_headers, owner=endpoint.pk)
    assert bytes(endpoint.set_headers({}).sealed_headers) == b""


def test_headers_that_are_ours_are_refused_with_their_name(endpoint):
    for name in ("webhook-signature", "Host", "Content-Length", "Traceparent"):
        with pytest.raises(ValidationError, match=name):
            endpoint.set_headers({name: "x"})
    assert bytes(Endpoint.objects.get().sealed_headers) == b""


def test_what_was_smuggled_into_the_database_stays_there(receiver, endpoint, send_due):
    smuggled = {
        "Webhook-Signature": "v1,forged",
        "webhook-id": "forged",
        "Content-Length": "1",
        "Transfer-Encoding": "chunked",
        "Host": "internal",
        "X-Broken": "a\r\nX-Injected: b",
        "X Y": "1",
        "X-Fine": "1",
    }
    sealed = keys.seal(json.dumps(smuggled), owner=endpoint.pk)
    Endpoint.objects.update(sealed_headers=sealed)
    publish("order.created", {})
    send_due()

    [got] = receiver.received
    assert got.verified
    assert values(got, "x-fine") == ["1"]
    assert (
        not values(got, "x-injected") + values(got, "x-broken") + values(got, "transfer-encoding")
    )
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature", "content-length", "host"):
        assert len(values(got, name)) == 1
        assert "forged" not in values(got, name)[0]


def test_what_a_receiver_echoes_is_not_shown(receiver, send_due):
    token, page = "t0ken-" + "x" * 30, b"You sent "
    endpoint = make_endpoint(receiver.url(f"/{token}?key=abcdef"))
    endpoint.set_headers({"Authorization": "Bearer s3cret"})
    echoed = page + f"Authorization: Bearer s3cret to /{token}?key=abcdef".encode()
    receiver.replies(Reply(500, {}, echoed), path=f"/{token}?key=abcdef")
    publish("order.created", {})
    send_due()

    kept = bytes(Attempt.objects.get().excerpt)
    assert kept.startswith(page)
    assert not any(secret in kept for secret in (b"s3cret", token.encode(), b"abcdef"))


@pytest.mark.parametrize(
    ("target", "echoed"),
    [
        ("/hook?a=1&code=abcdef==", "code: abcdef=="),
        ("/hook?code=ab%2Bcd%2Fef", "code: ab+cd/ef"),
        ("/hook?code=ab+cd+ef", "code: ab cd ef"),
        ("/hook?abcdef", "code: abcdef"),
        ("/" + "x" * 20 + "%3D%3D", "code: " + "x" * 20 + "=="),
        ("?code=abcdef", "code: abcdef"),
    ],
    ids=["padded", "escaped", "of a form", "without a name", "in the path", "without a path"],
)
def test_what_a_receiver_echoes_in_its_own_spelling_is_not_shown(
    receiver, send_due, target, echoed
):
    make_endpoint(receiver.url(target))
    receiver.replies(Reply(500, {}, echoed.encode()), path=f"/{target.removeprefix('/')}")
    publish("order.created", {})
    send_due()

    assert bytes(Attempt.objects.get().excerpt) == b"code: ***"


def test_retries_say_which_attempt_they_are_and_when_the_first_was(receiver, endpoint, send_due):
    receiver.replies(503, 503, 200)
    publish("order.created", {})
    for _ in range(3):
        send_due()
        make_due()

    first = Attempt.objects.get(number=1).started_at
    said = [
        (values(r, "webhook-attempt"), values(r, "webhook-first-attempted-at"))
        for r in receiver.received
    ]
    assert [attempt for attempt, _ in said] == [["1"], ["2"], ["3"]]
    assert {when for _, [when] in said} == {str(int(first.timestamp()))}


def test_the_timestamp_is_the_attempts_whatever_the_workers_clock_says(
    receiver, endpoint, send_due
):
    publish("order.created", {})
    before = Event.objects.get().created_at
    with time_machine.travel(before + timedelta(days=400), tick=True):
        send_due()

    [got] = receiver.received
    assert abs(int(values(got, "webhook-timestamp")[0]) - before.timestamp()) < 30


def test_another_prefix_names_them_all(receiver, endpoint, send_due, settings):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "HEADER_PREFIX": "acme-"}
    publish("order.created", {})
    receiver.secrets.clear()  # the library looks for the standard's names
    send_due()

    [got] = receiver.received
    ours = {name.lower() for name in got.headers if name.lower().startswith(("acme-", "webhook-"))}
    assert ours == {
        "acme-id", "acme-timestamp", "acme-signature", "acme-attempt", "acme-first-attempted-at",
    }  # fmt: skip
    renamed = {n.lower().replace("acme-", "webhook-"): v for n, v in got.headers.items()}
    assert Webhook(SECRET).verify(got.body.decode(), renamed)["type"] == "order.created"


# ── CloudEvents


def test_an_endpoint_may_wish_for_cloudevents(receiver, send_due):
    for style in Endpoint.Format.values:
        make_endpoint(receiver.url(f"/{style}"), format=style)
    event = publish("order.created", {"number": 7})
    send_due()

    got = {each.path.strip("/"): each for each in receiver.received}
    assert all(each.verified for each in got.values())
    assert got["standard"].body == bytes(event.body)
    told = json.loads(got["structured"].body)
    assert values(got["structured"], "content-type") == ["application/cloudevents+json"]
    assert (told["id"], told["type"], told["data"]) == (
        event.webhook_id,
        "order.created",
        {"number": 7},
    )
    assert values(got["binary"], "ce-id") == [event.webhook_id]
    assert values(got["binary"], "content-type") == ["application/json"]
    assert got["binary"].body == b'{"number":7}'


@pytest.mark.parametrize("style", Endpoint.Format.values)
def test_each_attempt_sends_the_same_bytes_though_the_format_is_changed(receiver, send_due, style):
    endpoint = make_endpoint(receiver.url(), format=style)
    receiver.replies(503, 503, 200)
    publish("order.created", {"number": 7})
    for other in Endpoint.Format.values:
        send_due()
        Endpoint.objects.filter(pk=endpoint.pk).update(format=other)
        make_due()

    assert Delivery.objects.get().state == "delivered"
    assert len({each.body for each in receiver.received}) == 1
    assert len({each.headers["content-type"] for each in receiver.received}) == 1


# ── Bytes

LEAVES = st.none() | st.booleans() | st.integers() | st.text()
JSON = st.recursive(
    LEAVES | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
OCTETS = "application/octet-stream"
PAYLOADS = st.tuples(JSON, st.just("application/json")) | st.tuples(
    st.binary(max_size=300), st.just(OCTETS)
)


@hypothesis_settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(PAYLOADS, min_size=5, max_size=8))
def test_the_bytes_stored_are_signed_and_received_on_every_retry(
    receiver, endpoint, send_due, payloads
):
    receiver.received.clear()
    receiver.replies(*[503] * len(payloads))
    ids = {publish("order.created", payload, content_type=t).pk for payload, t in payloads}
    send_due()
    make_due()
    send_due()

    stored = {event.webhook_id: bytes(event.body) for event in Event.objects.filter(pk__in=ids)}
    got = [each for each in receiver.received if each.webhook_id in stored]
    assert len(got) == 2 * len(payloads)
    assert all(each.body == stored[each.webhook_id] for each in got)
    for each in got:
        verify(each.body, each.headers, SECRET)  # the library of others verifies text only


# ── What the receiver says


@pytest.mark.parametrize("said", ["disable", " Disable "])
@pytest.mark.parametrize(("status", "state"), [(500, "dead"), (404, "dead"), (200, "delivered")])
def test_a_receiver_may_ask_to_be_switched_off(receiver, endpoint, send_due, said, status, state):
    receiver.replies(Reply(status, {"webhook-delivery": said}))
    publish("order.created", {})
    send_due()
    publish("order.paid", {})
    send_due()

    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.state_reason) == ("off", "webhook-delivery: disable")
    assert Delivery.objects.get().state == state
    assert len(receiver.received) == 1


def test_a_receiver_may_ask_for_an_event_no_more(receiver, endpoint, send_due):
    receiver.replies(Reply(503, {"Webhook-Delivery": "abort-message"}), 200)
    publish("order.created", {})
    send_due()
    publish("order.paid", {})
    make_due()
    send_due()

    found = dict(Delivery.objects.values_list("event__event_type", "state"))
    assert found == {"order.created": "dead", "order.paid": "delivered"}
    assert Delivery.objects.get(state="dead").reason == "aborted"
    assert Endpoint.objects.get().state == "on"


@pytest.mark.parametrize("said", ["", "nonsense", "disable;x", "abort"])
def test_anything_else_it_says_is_not_heard(receiver, endpoint, send_due, said):
    receiver.replies(Reply(503, {"webhook-delivery": said}))
    publish("order.created", {})
    send_due()

    assert Delivery.objects.get().state == "pending"
    assert Endpoint.objects.get().state == "on"
