"""How receivers misbehave with TLS, and how an attempt at each of them must end."""

from __future__ import annotations

from tests.hostile.acts import (
    Act,
    answers,
    beneath_tls,
    closes,
    drip,
    endless,
    hangs,
    leaves,
    resets,
    unasked,
)
from tests.hostile.misbehaviours import DONE, OK, TLS, Misbehaviour

RECORD = b"\x17\x03\x03\x40\x00"
"""The head of a record with 16 KB of data."""
HANDSHAKE = b"\x16\x03\x03\x3f\xff"
CHANGE_CIPHER = b"\x14\x03\x03\x00\x01\x01"
ALERT = b"\x15\x03\x03\x00\x02\x02\x28"


def it(act: Act, ends: str | tuple[str, ...], context: str = "good") -> Misbehaviour:
    return Misbehaviour(act, ends, over=(TLS,), context=context)


def speaks(*parts: bytes | Act) -> Act:
    """Say it in the clear, whatever the client says."""
    return unasked(*parts, leaves)


CERTIFICATES = {
    name: it(answers(DONE), "tls", name)
    for name in (
        "for another name",
        "expired",
        "not yet valid",
        "self-signed",
        "of an unknown authority",
        "of old TLS only",
        "if the client has one",
    )
}

HANDSHAKES = {
    "HTTP": it(speaks(b"HTTP/1.1 200 OK\r\n\r\n"), "tls", ""),
    "SSH": it(speaks(b"SSH-2.0-OpenSSH_9.2\r\n"), "tls", ""),
    "an alert": it(speaks(ALERT), "tls", ""),
    "not a word": it(unasked(hangs), "timeout", ""),
    "byte by byte": it(unasked(drip(HANDSHAKE + bytes(9999))), "timeout", ""),
    "ciphers changed, for ever": it(unasked(endless(CHANGE_CIPHER * 100)), "tls", ""),
    "an end": it(unasked(closes), ("tls", "reset"), ""),
    "a reset": it(unasked(resets), ("tls", "reset"), ""),
    "tickets without end": it(answers(DONE), "timeout", "with tickets without end"),
}

RECORDS = {
    "byte by byte": it(answers(beneath_tls(drip(RECORD + bytes(9999)))), "timeout"),
    "byte by byte, after a 200": it(
        answers(OK, b"\r\n", beneath_tls(drip(RECORD + bytes(9999)))), "200 delivered"
    ),
    "not its own": it(answers(beneath_tls(RECORD + bytes(0x4000))), "tls"),
    "not its own, after a 200": it(
        answers(OK, beneath_tls(RECORD + bytes(0x4000))), "200 delivered"
    ),
    "in the clear": it(answers(beneath_tls(DONE)), "tls"),
    "in the clear, for ever": it(answers(beneath_tls(endless(DONE * 100))), "tls"),
}

SECTIONS = {"certificates": CERTIFICATES, "handshakes": HANDSHAKES, "records": RECORDS}
