"""Anything becomes the exact bytes, once, or is refused in the caller's face."""

import json
import uuid
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.utils.translation import gettext_lazy

from webhook_delivery.payloads import PayloadNotSerializable, body_of

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def test_a_payload_travels_in_the_standard_envelope():
    body = body_of("order.created", {"number": 7}, at=AT)

    assert body == (
        b'{"type":"order.created","timestamp":"2026-11-21T12:00:00Z","data":{"number":7}}'
    )


def test_bytes_are_sent_as_they_are():
    assert body_of("order.created", b"\x00\xff", at=AT) == b"\x00\xff"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Decimal("2.50"), "2.50"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
        (gettext_lazy("order"), "order"),
        ("\x00 \ud800 😀", "\x00 \ud800 😀"),
        (2**53 + 1, 2**53 + 1),
        (None, None),
    ],
    ids=repr,
)
def test_what_djangos_encoder_writes_is_sent(value, written):
    assert json.loads(body_of("a", value, at=AT))["data"] == written


def recursive() -> list:
    loop: list = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    "payload",
    [float("nan"), float("inf"), {1, 2}, object(), {(1, 2): 3}, {"a": b"x"}],
    ids=["nan", "infinity", "set", "object", "tuple key", "bytes"],
)
def test_what_is_no_json_is_refused(payload):
    with pytest.raises(PayloadNotSerializable):
        body_of("a", payload, at=AT)


def test_a_payload_that_contains_itself_is_refused():
    with pytest.raises(PayloadNotSerializable):
        body_of("a", recursive(), at=AT)


def test_a_payload_that_is_too_large_is_refused_with_the_setting_to_change(settings):
    settings.WEBHOOK_DELIVERY = {"MAX_PAYLOAD_BYTES": 100}

    body_of("a", b"x" * 100, at=AT)
    with pytest.raises(PayloadNotSerializable, match="MAX_PAYLOAD_BYTES"):
        body_of("a", b"x" * 101, at=AT)
