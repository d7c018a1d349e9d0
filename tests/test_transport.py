"""What a receiver does becomes an outcome: over real sockets, plain and TLS."""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

import certifi
import pytest
import trustme

from webhook_delivery.outcomes import Fault, Outcome
from webhook_delivery.testing.receiver import SILENCE, Reply
from webhook_delivery.transport import EXCERPT_BYTES, Transport
from webhook_delivery.transport import connections as wire
from webhook_delivery.transport.tls import context_for

pytestmark = pytest.mark.everywhere_once


@pytest.fixture
def transport() -> Iterator[Transport]:
    opened = Transport()
    yield opened
    opened.close()


@pytest.fixture
def post(transport) -> Callable[..., Outcome]:
    def post(url: str, *, body: bytes = b"{}", endpoint: int = 1, timeout: float = 2) -> Outcome:
        return transport.post(endpoint, url, body, {"x-test": "1"}, timeout=timeout)

    return post


def read_request(connection: socket.socket) -> None:
    """All of it: a server that closes with something unread resets the connection."""
    got = b""
    while not got.endswith(b"{}"):
        part = connection.recv(65536)
        if not part:
            raise ConnectionError("the client has gone")
        got += part


@contextlib.contextmanager
def raw_server(serve: Callable[[socket.socket], None], context: ssl.SSLContext | None = None):
    """A server that does with each connection whatever `serve` says."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        closing = threading.Event()

        def accept() -> None:
            while not closing.is_set():
                try:
                    connection, _ = listening.accept()
                except TimeoutError:
                    continue
                connection.settimeout(2)
                with connection, contextlib.suppress(OSError):
                    wrap = context.wrap_socket if context else lambda plain, **_: plain
                    with wrap(connection, server_side=True) as wrapped:
                        read_request(wrapped)
                        serve(wrapped)

        thread = threading.Thread(target=accept)
        thread.start()
        scheme = "https" if context else "http"
        try:
            yield f"{scheme}://localhost:{listening.getsockname()[1]}/"
        finally:
            closing.set()
            thread.join()


def says(*parts: bytes, pause: float = 0.0) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)

    return serve


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (200, None),
        (204, None),
        (302, "redirect"),
        (404, "http_4xx"),
        (410, "gone"),
        (503, "http_5xx"),
    ],
)
def test_the_status_decides(receiver, post, status, fault):
    receiver.replies(Reply(status, {"Location": receiver.url("/elsewhere")}))

    outcome = post(receiver.url())

    assert (outcome.status, outcome.fault) == (status, fault)
    assert [got.path for got in receiver.received] == ["/"]


def test_the_bytes_and_headers_arrive_as_given_and_nothing_is_added(
    receiver, post, monkeypatch, tmp_path
):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")

    post(receiver.url(), body=b"\x00\xff")

    [got] = receiver.received
    assert got.body == b"\x00\xff"
    assert set(got.headers) == {"host", "x-test", "content-length", "accept-encoding"}


def test_no_cookie_is_ever_sent_back(receiver, post):
    receiver.replies(Reply(200, {"Set-Cookie": "a=1"}))

    post(receiver.url())
    post(receiver.url())

    assert "cookie" not in receiver.received[1].headers


def test_the_start_of_the_answer_is_kept(receiver, post):
    receiver.replies(Reply(200, body=b"x" * 100_000), Reply(503, body=b"short"))

    assert post(receiver.url()).excerpt == b"x" * EXCERPT_BYTES
    assert post(receiver.url()).excerpt == b"short"


def test_retry_after_is_heard(receiver, post):
    receiver.replies(Reply(429, {"Retry-After": "120"}))

    assert post(receiver.url()).retry_after == 120


def test_connections_are_reused_within_an_endpoint_and_never_across(receiver, post):
    for endpoint in (1, 1, 2):
        post(receiver.url(), endpoint=endpoint)

    first, second, other = (got.port for got in receiver.received)
    assert first == second != other


@pytest.mark.parametrize("interim", [b"102 Processing", b"103 Early Hints"])
def test_an_interim_answer_is_not_the_answer_nor_the_next_ones(post, interim):
    """Or the final answer would lie in the connection, and be taken for the next request's."""

    def serve(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 " + interim + b"\r\n\r\n")
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        read_request(connection)
        connection.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")

    with raw_server(serve) as url:
        assert [post(url).status, post(url).status] == [200, 503]


def test_a_connection_that_switches_protocols_is_not_used_again(post):
    switching = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
    with raw_server(says(switching, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as url:
        assert [post(url).status, post(url).status] == [101, 101]


@pytest.mark.parametrize("status", [204, 304])
def test_a_connection_whose_headers_broke_off_is_not_used_again(post, status):
    """What is left of them would be taken for the next request's answer."""

    def serve(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 %d \r\na: b\r\n" % status)
        with contextlib.suppress(ConnectionError):
            read_request(connection)
            connection.sendall(b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with raw_server(serve) as url:
        assert [post(url, timeout=0.2).status for _ in range(2)] == [status] * 2


def test_an_idle_connection_that_the_receiver_closed_is_replaced(post):
    """The receiver takes a second request on each connection, and hangs up without a word."""

    def serve(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            read_request(connection)

    with raw_server(serve) as url:
        assert [post(url).status for _ in range(5)] == [204] * 5


def test_a_request_that_was_answered_in_part_is_not_made_again(post):
    asked = []

    def serve(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        read_request(connection)
        asked.append(connection)
        connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")

    with raw_server(serve) as url:
        assert [post(url).status, post(url).fault] == [204, Fault.RESET]

    assert len(asked) == 1


def test_a_receiver_that_resets_a_fresh_connection_is_asked_once(post):
    asked = []

    with raw_server(asked.append) as url:
        assert post(url).fault is Fault.RESET

    assert len(asked) == 1


def test_connections_used_longest_ago_make_room(settings, receiver, post, transport):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "MAX_THREADS": 4}

    for endpoint in (1, 2, 3, 4, 1, 5):
        assert post(receiver.url(), endpoint=endpoint).delivered

    assert {endpoint for endpoint, *_ in transport._idle._idle} == {1, 3, 4, 5}


def test_no_more_are_kept_than_there_may_be_threads(settings, receiver, post):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "MAX_THREADS": 2}
    receiver.thinks = 0.3

    for _ in range(2):
        posting = [threading.Thread(target=post, args=[receiver.url()]) for _ in range(4)]
        for thread in posting:
            thread.start()
        for thread in posting:
            thread.join()

    assert len({got.port for got in receiver.received}) == 4 + 2


def test_what_is_kept_too_long_is_closed_when_the_next_is_kept(receiver, post, transport):
    post(receiver.url(), endpoint=1)
    [kept] = [connection for kept in transport._idle._idle.values() for _, connection in kept]
    transport._idle._idle = {
        owner: [(since - 5, each) for since, each in kept]
        for owner, kept in transport._idle._idle.items()
    }

    post(receiver.url(), endpoint=2)

    assert kept.sock is None


def test_too_many_open_files_are_the_workers_fault(post, monkeypatch):
    def exhausted(*args):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(wire.PunctualSocket, "connect", exhausted)

    assert post("http://127.0.0.1:1/").fault is Fault.EXHAUSTED


def test_a_black_hole_leaves_time_for_the_next_address(receiver, monkeypatch, post):
    port = int(receiver.url("").rpartition(":")[2])
    connect = wire.PunctualSocket.connect

    def swallowed(self, address):
        if address[0] == "127.0.0.2":
            time.sleep(self.gettimeout())
            raise TimeoutError
        connect(self, address)

    answer = [(socket.AF_INET, 1, 6, "", (ip, port)) for ip in ("127.0.0.2", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: answer)
    monkeypatch.setattr(wire.PunctualSocket, "connect", swallowed)

    assert post("http://two.example/", timeout=0.6).delivered


def test_a_silent_receiver_is_a_timeout_in_time(receiver, post):
    receiver.replies(SILENCE)
    began = time.monotonic()

    assert post(receiver.url(), timeout=0.3).fault is Fault.TIMEOUT
    assert time.monotonic() - began < 2  # the receiver keeps silent for a minute


DRIPS = {
    "status": [b"H", b"T", b"T", b"P"] * 10,
    "continue": [b"HTTP/1.1 100 Continue\r\n\r\n"] * 40,
}


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("drip", DRIPS.values(), ids=DRIPS)
def test_a_dripping_receiver_ends_in_time(post, drip, tls, authority):
    context = authority if tls else None
    with raw_server(says(*drip, pause=0.1), context) as url:
        began = time.monotonic()

        assert post(url, timeout=0.5).fault is Fault.TIMEOUT
        assert time.monotonic() - began < 2  # the receiver drips for four seconds


@pytest.mark.parametrize(
    "headers",
    [
        [b"a: b\r\n"] * 40,
        [b"a: b\r\n" * 200 + b"\r\n"],
        [b"a: " + b"b" * 70_000 + b"\r\n\r\n"],
        [b"a: b\r\n"],
    ],
    ids=["dripping", "many", "long", "broken off"],
)
def test_the_status_decides_though_the_headers_cannot_be_read(post, headers):
    with raw_server(says(b"HTTP/1.1 200 OK\r\n", *headers, pause=0.1)) as url:
        assert post(url, timeout=0.5).delivered
    with raw_server(says(b"HTTP/1.1 503 Busy\r\n", *headers, pause=0.1)) as url:
        assert post(url, timeout=0.5).fault is Fault.SERVER_ERROR


def test_an_answer_that_never_comes_to_the_point_is_too_large(post):
    with raw_server(says(b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000)) as url:
        assert post(url).fault is Fault.TOO_LARGE


def test_a_success_stays_one_though_its_body_drips_or_breaks(post):
    with raw_server(says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab")) as url:
        broken = post(url)
    drip = [b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", *[b"x"] * 20]
    with raw_server(says(*drip, pause=0.1)) as url:
        dripping = post(url, timeout=0.5)

    assert broken.delivered
    assert dripping.delivered
    assert broken.excerpt == b"ab"


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ([b""], Fault.RESET),
        ([b"SSH-2.0-OpenSSH_9.2\r\n"], Fault.PROTOCOL),
        ([b"HTTP/1.1 2OO OK\r\n\r\n"], Fault.PROTOCOL),
        ([b"HTTP/1.1 103 Early Hints\r\n\r\n"], Fault.RESET),
        ([b"HTTP/1.1 101 Switching Protocols\r\n\r\n"], Fault.PROTOCOL),
    ],
    ids=["nothing", "ssh", "letters", "only hints", "switching"],
)
def test_nonsense_is_a_failure_with_a_name(post, answer, fault):
    with raw_server(says(*answer)) as url:
        assert post(url).fault is fault


def test_a_reset_has_its_name(post):
    def reset(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with raw_server(reset) as url:
        assert post(url).fault is Fault.RESET


def test_nobody_listening_is_refused(post):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    assert post(f"http://127.0.0.1:{port}/").fault is Fault.REFUSED


def test_a_name_that_does_not_exist_is_dns(post):
    assert post("http://does-not-exist.invalid/").fault is Fault.DNS


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "[::1]"])
def test_a_private_address_is_blocked_without_a_packet(settings, monkeypatch, post, host):
    settings.WEBHOOK_DELIVERY = {"ALLOWED_NETWORKS": []}
    monkeypatch.setattr(wire.PunctualSocket, "connect", lambda *a: pytest.fail("a packet was sent"))

    assert post(f"http://{host}:80/").fault is Fault.BLOCKED


def test_one_forbidden_address_blocks_the_whole_answer(settings, monkeypatch, post):
    answer = [(socket.AF_INET, 1, 6, "", (ip, 80)) for ip in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: answer)

    assert post("http://mixed.example/").fault is Fault.BLOCKED


def test_a_dead_address_falls_back_to_the_next(receiver, monkeypatch, post):
    port = int(receiver.url("").rpartition(":")[2])
    answer = [
        (socket.AF_INET, 1, 6, "", address) for address in (("127.0.0.2", 1), ("127.0.0.1", port))
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: answer)

    assert post("http://two.example/").delivered


@pytest.mark.parametrize("url", ["nonsense", "http://", "http://a b/"])
def test_an_address_that_is_none_is_an_outcome_too(post, url):
    assert post(url).fault is Fault.CONFIG


def test_the_detail_holds_no_path_or_query(receiver, post):
    receiver.replies(SILENCE, path="/token?secret=1")

    outcome = post(receiver.url("/token?secret=1"), timeout=0.1)

    assert "secret" not in outcome.detail + repr(outcome)


# ── TLS


@pytest.fixture
def authority(monkeypatch) -> Iterator[ssl.SSLContext]:
    """A server context whose authority our side trusts."""
    ca = trustme.CA()
    with ca.cert_pem.tempfile() as roots:
        monkeypatch.setattr(certifi, "where", lambda: roots)
        context_for.cache_clear()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("localhost").configure_cert(context)
        yield context
    context_for.cache_clear()


def test_a_certificate_of_a_trusted_authority_is_accepted(post, authority):
    with raw_server(says(b"HTTP/1.1 204 No Content\r\n\r\n"), authority) as url:
        assert post(url).status == 204


def test_a_certificate_for_another_name_is_refused(post, authority):
    with raw_server(says(b"HTTP/1.1 204 No Content\r\n\r\n"), authority) as url:
        assert post(url.replace("localhost", "127.0.0.1")).fault is Fault.TLS


def test_a_certificate_of_an_unknown_authority_is_refused(post):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)

    with raw_server(says(b"HTTP/1.1 204 No Content\r\n\r\n"), context) as url:
        assert post(url).fault is Fault.TLS


def test_plain_http_where_tls_is_spoken_is_no_delivery(post):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        assert post(f"https://localhost:{listening.getsockname()[1]}/").fault is Fault.TLS
        thread.join()
