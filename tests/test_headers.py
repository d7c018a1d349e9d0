"""Which headers an endpoint may ask for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook_delivery.headers import Flaw, flaw_of, masked, sendable

pytestmark = pytest.mark.everywhere_once


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer token"},
        {"X-Forwarded-For": "192.0.2.1", "Metadata": "true", "X-aws-ec2-metadata-token": "t"},
        {f"x-{n}": "y" for n in range(20)},
        {"x" * 64: "y" * 1024},
    ],
)
def test_these_may_be_asked_for(headers):
    """Those that steer metadata services matter only where addresses are not checked."""
    assert flaw_of(headers) is None
    assert sendable(headers) == headers


@pytest.mark.parametrize(
    "value",
    [
        "", " x", "x ", "x\r\ny: z", "x\n", "x\0", "x\x7f", "x\x0b", "\tx", "x\ty", "ü", "字",
        "x" * 70_000, 7, None, b"x",
    ],
)  # fmt: skip
def test_values_that_http_does_not_know_are_refused(value):
    assert flaw_of({"X-Token": value}) == (Flaw.VALUE, "'X-Token'")
    assert sendable({"X-Token": value, "X-Other": "1"}) == {"X-Other": "1"}


@pytest.mark.parametrize(
    "name", ["", "x y", "x:y", ":path", "x" * 500, "ü", "x\r\n", "x\0", 7, None]
)
def test_names_that_are_none_are_refused(name):
    assert flaw_of({name: "1"})[0] in (Flaw.NAME, Flaw.RESERVED)
    assert sendable({name: "1"}) == {}


@pytest.mark.parametrize(
    "name",
    [
        "Host", "content-length", "Content-Type", "Content-Encoding", "TRANSFER-ENCODING",
        "Connection", "Keep-Alive", "TE", "Trailer", "Upgrade", "Expect", "Proxy-Authorization",
        "Proxy-Connection", "Cookie", "Accept-Encoding", "Date", "User-Agent", "Via",
        "webhook-signature", "Webhook-Id", "WEBHOOK-TIMESTAMP", "webhook-attempt", "svix-id",
        "ce-id", "Webhook_Signature", "Transfer_Encoding", "webhook_id",
    ],
)  # fmt: skip
def test_those_that_only_we_write_are_refused_in_any_case(name):
    for spelling in (name, name.lower(), name.upper()):
        assert flaw_of({spelling: "1"}) == (Flaw.RESERVED, repr(spelling))
        assert sendable({spelling: "1"}) == {}


def test_the_prefix_of_ours_is_ours():
    assert flaw_of({"Acme-Anything": "1"}, prefix="acme-") == (Flaw.RESERVED, "'Acme-Anything'")
    assert flaw_of({"Acme-Anything": "1"}) is None


@pytest.mark.parametrize(
    ("headers", "flaw"),
    [
        ([("X-A", "1")], Flaw.NOT_A_MAPPING),
        ("X-A: 1", Flaw.NOT_A_MAPPING),
        ({f"x-{n}": "y" for n in range(21)}, Flaw.TOO_MANY),
        ({f"x-{n}": "y" * 1024 for n in range(9)}, Flaw.TOO_LARGE),
        ({"X-A": "1", "x-a": "2"}, Flaw.TWICE),
    ],
)
def test_they_are_judged_together(headers, flaw):
    assert flaw_of(headers)[0] is flaw


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (b"no such token: t0ken-1", b"no such token: ***"),
        (b"Bearer t0ken-1", b"***"),
        (b"cut off: Bearer t0k", b"cut off: ***"),
        (b"cut off: Bea", b"cut off: Bea"),
        (b"nothing of ours", b"nothing of ours"),
        (b"\xff t0ken-1", b"\xff ***"),
    ],
)
def test_what_a_receiver_echoes_is_hidden(said, kept):
    assert masked(said, ["Bearer t0ken-1", "t0ken-1", "no", ""]) == kept


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.none())))
def test_what_is_sendable_has_no_flaw_of_its_own(headers):
    flaw = flaw_of(sendable(headers))
    assert flaw is None or flaw[0] in (Flaw.TOO_MANY, Flaw.TOO_LARGE, Flaw.TWICE)
