"""Anything becomes the exact bytes, once, or is refused in the caller's face."""

import json
import tracemalloc
import uuid
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.utils.translation import gettext_lazy

from webhook_delivery.payloads import PayloadNotSerializable, body_of

pytestmark = pytest.mark.everywhere_once

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
        (10**400, 10**400),
        (Decimal("NaN"), "NaN"),
        (None, None),
        pytest.param((number for number in (1, 2)), [1, 2], id="a generator"),
    ],
    ids=repr,
)
def test_what_djangos_encoder_writes_is_sent(value, written):
    assert json.loads(body_of("a", value, at=AT))["data"] == written


def recursive() -> list:
    loop: list = []
    loop.append(loop)
    return loop


def deep(levels: int) -> list:
    payload: list = []
    for _ in range(levels):
        payload = [payload]
    return payload


@pytest.mark.parametrize(
    "payload",
    [
        float("nan"), float("inf"), -float("inf"), 1e400, {1, 2}, object(), Permission(name="x"),
        {(1, 2): 3}, {"a": b"x"}, 10**5000, deep(100_000),
    ],
    ids=[
        "nan", "infinity", "-infinity", "1e400", "set", "object", "model", "tuple key", "bytes",
        "more digits than Python writes", "too deep",
    ],
)  # fmt: skip
def test_what_is_no_json_is_refused(payload):
    with pytest.raises(PayloadNotSerializable):
        body_of("a", payload, at=AT)


def test_a_payload_that_contains_itself_is_refused():
    with pytest.raises(PayloadNotSerializable):
        body_of("a", recursive(), at=AT)


def test_keys_that_are_written_alike_stay_as_they_are():
    """Both are sent; which one counts is the receiver's affair (RFC 8259 §4)."""
    assert body_of("a", {True: 1, "true": 2}, at=AT).endswith(b'"data":{"true":1,"true":2}}')


@pytest.mark.parametrize("payload", [b"x" * 50_000_000, "x" * 50_000_000], ids=["bytes", "text"])
def test_a_payload_that_is_far_too_large_is_not_copied_more_than_it_must(payload):
    tracemalloc.start()
    with pytest.raises(PayloadNotSerializable, match="MAX_PAYLOAD_BYTES"):
        body_of("a", payload, at=AT)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 2.3 * 50_000_000  # from 3.13 on, Python writes JSON into a buffer with room


def test_a_payload_that_is_too_large_is_refused_with_the_setting_to_change(settings):
    settings.WEBHOOK_DELIVERY = {"MAX_PAYLOAD_BYTES": 100}

    body_of("a", b"x" * 100, at=AT)
    with pytest.raises(PayloadNotSerializable, match="MAX_PAYLOAD_BYTES"):
        body_of("a", b"x" * 101, at=AT)
