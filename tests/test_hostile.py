"""Whatever receivers do, each attempt at them ends in time, small, and with the right outcome."""

from __future__ import annotations

import contextlib
import math
import re
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hostile import laboratory as laboratories
from tests.hostile import misbehaviours, tls
from tests.hostile.acts import Act, Wire
from tests.hostile.misbehaviours import PLAIN, TLS
from tests.hostile.stage import Scene, Stage
from webhook_delivery.outcomes import (
    Outcome,
    Policy,
    Verdict,
    decide,
    fault_of,
    parse_retry_after,
)
from webhook_delivery.transport import Transport

pytestmark = pytest.mark.everywhere_once

laboratory = laboratories.laboratory


@pytest.mark.parametrize("over", [PLAIN, TLS])
@pytest.mark.parametrize("section", misbehaviours.SECTIONS)
def test_attempts_end_as_they_must_in_time_and_small(laboratory, section, over):
    assert laboratory.complaints(section, over=over) == {}


@pytest.mark.parametrize("section", tls.SECTIONS)
def test_attempts_over_tls_end_as_they_must_and_never_without_it(laboratory, section):
    assert laboratory.complaints(section, over=TLS) == {}


# ── What is on the wire


class Scribe:
    """Writes down every request, by the connection that it came on, and answers them all alike."""

    def __init__(self, answer: bytes) -> None:
        self.heard: list[tuple[int, bytes]] = []
        self._answer = answer
        self._connections = iter(range(1000))
        self._writing = threading.Lock()

    def __call__(self, wire: Wire) -> None:
        with self._writing:
            connection = next(self._connections)
        while request := wire.hear():
            with self._writing:
                self.heard.append((connection, request))
            wire.play(self._answer)


@pytest.fixture
def play() -> Iterator[Callable[[Act], str]]:
    """Play an act; returns its URL, with the host and the port."""
    with contextlib.ExitStack() as stack:

        def play(act: Act) -> str:
            stage = stack.enter_context(Stage({"": Scene(act)}))
            return f"http://127.0.0.1:{stage.ports['']}"

        yield play


@pytest.fixture
def transport(play) -> Iterator[Transport]:
    """Closes its connections before the stage is closed, which waits for that."""
    with contextlib.closing(Transport()) as opened:
        yield opened


NO_BODY = b"Content-Length: 0\r\n"
CHATTY = NO_BODY + b"".join(
    name + b"\r\n"
    for name in (
        b"Set-Cookie: session=secret; Path=/; Domain=127.0.0.1",
        b"Set-Cookie2: session=secret",
        b'WWW-Authenticate: Basic realm="x"',
        b'Proxy-Authenticate: Basic realm="x"',
        b'Authentication-Info: nextnonce="x"',
        b"Location: /elsewhere",
        b'Alt-Svc: h2="127.0.0.1:9"',
        b"Upgrade: h2c",
        b"Accept-CH: Device-Memory",
        b"Strict-Transport-Security: max-age=9999",
        b"Refresh: 0; url=/elsewhere",
    )
)


def test_the_bytes_on_the_wire_are_these_and_no_others(play, transport):
    scribe = Scribe(b"HTTP/1.1 204 No Content\r\n\r\n")
    url = play(scribe)

    transport.post(1, f"{url}/a?b=c", b"\0\xff", {"x-test": "1"}, timeout=2)

    [(_, request)] = scribe.heard
    head, _, body = request.partition(b"\r\n\r\n")
    first, *headers = head.split(b"\r\n")
    assert first == b"POST /a?b=c HTTP/1.1"
    assert sorted(header.lower() for header in headers) == [
        b"accept-encoding: identity",
        b"content-length: 2",
        b"host: " + url.removeprefix("http://").encode(),
        b"x-test: 1",
    ]
    assert body == b"\0\xff"


@pytest.mark.parametrize("status", [200, 302, 401, 407, 421, 425, 426, 503])
def test_nothing_that_a_receiver_says_changes_the_next_request(play, transport, status):
    scribe = Scribe(b"HTTP/1.1 %d Odd\r\n" % status + CHATTY + b"\r\n")
    url = play(scribe)

    for _ in range(3):
        transport.post(1, f"{url}/", b"{}", {"x-test": "1"}, timeout=2)

    assert len({request for _, request in scribe.heard}) == 1
    assert len(scribe.heard) == 3


def test_endpoints_at_one_address_share_neither_connection_nor_word(play, transport):
    scribe = Scribe(b"HTTP/1.1 200 OK\r\n" + CHATTY + b"\r\n")
    url = play(scribe)

    def post(endpoint: int) -> None:
        for _ in range(10):
            headers = {"x-endpoint": f"e{endpoint}", "authorization": f"Bearer e{endpoint}"}
            transport.post(endpoint, f"{url}/e{endpoint}", b"{}", headers, timeout=5)

    posting = [threading.Thread(target=post, args=[endpoint]) for endpoint in (1, 2, 3) * 3]
    for thread in posting:
        thread.start()
    for thread in posting:
        thread.join()

    assert len(scribe.heard) == 90
    assert len({request for _, request in scribe.heard}) == 3
    by_connection: dict[int, set[bytes]] = {}
    for connection, request in scribe.heard:
        by_connection.setdefault(connection, set()).update(re.findall(rb"e[123]\b", request))
    assert {len(endpoints) for endpoints in by_connection.values()} == {1}
    assert len(by_connection) < 90  # they are used again


# ── Retry-After

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
POLICY = Policy(schedule=[5, 300, 7200], retry_after_cap=3600)

WORDS = ["Sat,", "21", "Nov", "2026", "12:01:00", "GMT", "-0000", "+9999", "9999", "0", "-5", ""]
DATES = [
    "Sat, 21 Nov 2020 12:00:00 GMT",
    "Sat, 21 Nov 2026 12:10:00 GMT",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Sat, 21 Nov 2026 12:10:00 -0000",
    "Sat, 21 Nov 2026 12:10:00 +9999",
    "Saturday, 21-Nov-26 12:10:00 GMT",
    "Sat Nov 21 12:10:00 2026",
]
NUMBERS = ["0", "-5", "120", "1e3", "٣", "Ù£", "1000000000000", "9" * 18, "9" * 19, "9" * 5000]
raw_headers = st.one_of(
    st.sampled_from([*DATES, *NUMBERS]),
    st.text(st.characters(max_codepoint=255)),  # what headers are decoded as
    st.lists(st.sampled_from(WORDS)).map(" ".join),
    st.text("0123456789 ,:-+GMTSatNovDec", max_size=40),
    st.text("0123456789\t\x0b\x1c\x1f\x85\xa0 ", min_size=1, max_size=4),
    st.integers().map(str),
)


@given(raw_headers, st.sampled_from([429, 503, 408, 500]), st.integers(1, 3))
def test_no_retry_after_hastens_a_retry_or_puts_it_off_beyond_the_cap(header, status, attempt):
    asked = parse_retry_after(header, now=NOW)
    found = Outcome(status, fault_of(status), retry_after=asked)

    decision = decide(found, attempt=attempt, policy=POLICY)

    own = POLICY.schedule[attempt - 1]
    assert decision.verdict is Verdict.RETRY
    assert math.isfinite(decision.delay)
    assert own <= decision.delay <= max(own, POLICY.retry_after_cap)


@pytest.mark.parametrize(
    ("header", "waits"),
    [
        ("0", 5),
        ("-5", 5),
        ("120", 120),
        ("1e3", 5),
        ("٣", 5),
        ("٣".encode().decode("latin-1"), 5),
        (str(10**12), 3600),
        ("9" * 5000, 5),
        ("Sat, 21 Nov 2020 12:00:00 GMT", 5),
        ("Sat, 21 Nov 2026 12:10:00 GMT", 600),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
    ],
)
def test_a_busy_receiver_is_given_what_it_asked_for_within_reason(header, waits):
    asked = parse_retry_after(header, now=NOW)

    decision = decide(Outcome(503, fault_of(503), retry_after=asked), attempt=1, policy=POLICY)

    assert decision.delay == waits
