"""Events as CloudEvents 1.0, from the bytes that were frozen."""

import base64
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook_delivery.cloudevents import Happened, binary, structured
from webhook_delivery.payloads import body_of

pytestmark = pytest.mark.everywhere_once

AT = datetime(2026, 11, 21, 12, 30, 15, 123456, tzinfo=UTC)


def happened(body: bytes, content_type: str = "application/json", **more) -> Happened:
    facts = {"webhook_id": "evt_1", "event_type": "order.created", "at": AT, "source": "/shop"}
    return Happened(content_type=content_type, body=body, **(facts | more))


def enveloped(payload: object) -> Happened:
    return happened(body_of("order.created", payload, at=AT))


def test_structured_holds_all_attributes_and_the_payload():
    event = enveloped({"number": 7})

    assert json.loads(structured(event)) == {
        "specversion": "1.0",
        "id": "evt_1",
        "source": "/shop",
        "type": "order.created",
        "time": "2026-11-21T12:30:15.123456Z",
        "datacontenttype": "application/json",
        "data": {"number": 7},
    }


def test_binary_says_in_headers_what_structured_says_in_the_body():
    event = happened(b"<order/>", "application/xml", subject="shop.order:7")

    assert binary(event) == {
        "ce-specversion": "1.0",
        "ce-id": "evt_1",
        "ce-source": "/shop",
        "ce-type": "order.created",
        "ce-time": "2026-11-21T12:30:15.123456Z",
        "ce-subject": "shop.order:7",
    }
    assert event.data == b"<order/>"


def test_what_headers_cannot_hold_is_encoded():
    """As in the specification's own example: `Euro € 😀` (HTTP binding §3.1.3.2)."""
    event = happened(b"{}", subject='Euro € 😀 100% "x"')

    assert binary(event)["ce-subject"] == "Euro%20%E2%82%AC%20%F0%9F%98%80%20100%25%20%22x%22"


PAYLOADS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(PAYLOADS)
def test_the_payload_is_in_both_as_it_is_in_the_envelope(payload):
    event = enveloped(payload)
    in_envelope = json.loads(event.body)["data"]

    assert json.loads(structured(event))["data"] == in_envelope
    assert json.loads(event.data) == in_envelope


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"\xff\x00", "application/octet-stream"),
        (b"plain", "text/plain"),
        (b"{broken", "application/json"),
        (b'{"x": NaN}', "application/json"),
        (b"[" * 100_000, "application/json"),
        (b"\xff", "application/vnd.acme+json"),
    ],
)
def test_what_is_no_json_travels_in_base64(body, content_type):
    told = json.loads(structured(happened(body, content_type)))

    assert base64.b64decode(told["data_base64"]) == body
    assert "data" not in told


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/vnd.acme+json; charset=utf-8"]
)
def test_json_given_as_bytes_stays_byte_by_byte(content_type):
    event = happened(b'{ "b":2.50, "a":1, "a":1 }', content_type)

    assert structured(event).endswith(b',"data":{ "b":2.50, "a":1, "a":1 }}')


@pytest.mark.parametrize(
    "body",
    [
        b'{"type":"order.created","timestamp":"2026-11-21T12:30:15Z","data":{"a":1},"extra":1}',
        b'{"type":"order.created","timestamp":"2026-11-21T12:30:15Z","extra":1,"data":{"a":1}}',
        b'{"type":"order.created","timestamp":"2026-11-21T12:30:15Z","data":1,"data":2}',
        b'{"type":"order.created","timestamp":"yesterday","data":{"a":1}}',
        b'{"type":"order.paid","timestamp":"2026-11-21T12:30:15Z","data":{"a":1}}',
    ],
    ids=["a key after", "a key before", "twice", "another time", "another type"],
)
def test_bytes_that_only_look_like_our_envelope_go_whole(body):
    event = happened(body)

    assert event.data == body
    assert structured(event).endswith(b',"data":' + body + b"}")


def test_bytes_that_begin_like_our_envelope_and_are_no_json_go_whole():
    body = b'{"type":"order.created","timestamp":"2026-11-21T12:30:15Z","data":1]'
    event = happened(body)

    assert event.data == body
    assert base64.b64decode(json.loads(structured(event))["data_base64"]) == body


def test_the_time_is_told_in_utc():
    event = happened(b"{}", at=AT.astimezone(timezone(timedelta(hours=5, minutes=30))))

    assert binary(event)["ce-time"] == "2026-11-21T12:30:15.123456Z"
