"""An egress proxy, if the operator names one: everything goes through it."""

import base64
import contextlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator

import pytest
import trustme

from webhook_delivery.outcomes import Fault
from webhook_delivery.transport import TLS, Transport

pytestmark = pytest.mark.everywhere_once


class Proxy:
    """Connects for others, and keeps what they asked for."""

    def __init__(
        self, answer: bytes = b"HTTP/1.1 200 Connected\r\n\r\n", *, after: float = 0
    ) -> None:
        self.heads: list[str] = []
        self._after = after
        self._answer = answer
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += client.recv(4096)
            self.heads.append(head.decode())
            threading.Event().wait(self._after)
            client.sendall(self._answer)
            port = int(head.split()[1].rpartition(b":")[2])
            with socket.create_connection(("127.0.0.1", port)) as server:
                _join(client, server)


def _join(one: socket.socket, other: socket.socket) -> None:
    ways = {one: other, other: one}
    while True:
        for ready in select.select(ways, [], [])[0]:
            data = ready.recv(65536)
            if not data:
                return
            ways[ready].sendall(data)


@pytest.fixture
def proxy(settings) -> Iterator[Proxy]:
    with contextlib.closing(Proxy()) as running:
        url = f"http://us:s%40fe@127.0.0.1:{running.port}"
        settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "EGRESS_PROXY": url}
        yield running


@pytest.fixture
def post():
    with contextlib.closing(Transport()) as transport:
        yield lambda url, **more: transport.post(1, url, b"{}", {}, timeout=2, **more)


def test_the_proxy_is_asked_to_connect_and_resolves_the_name(proxy, receiver, post):
    port = receiver.url("").rpartition(":")[2]

    assert post(f"http://only-the-proxy-knows.example:{port}/hook").delivered
    [head] = proxy.heads
    assert head.startswith(f"CONNECT only-the-proxy-knows.example:{port} HTTP/1.1\r\n")
    assert f"Proxy-Authorization: Basic {base64.b64encode(b'us:s@fe').decode()}\r\n" in head
    assert receiver.received[0].path == "/hook"
    assert "proxy-authorization" not in {name.lower() for name in receiver.received[0].headers}


def test_the_proxy_s_own_name_is_the_operator_s(proxy, receiver, post, settings):
    """It may stand in /etc/hosts, or in a search domain of the machine, as those of sidecars do."""
    settings.WEBHOOK_DELIVERY = {
        **settings.WEBHOOK_DELIVERY,
        "ALLOWED_NETWORKS": (),
        "EGRESS_PROXY": f"http://us:s%40fe@localhost:{proxy.port}",
    }
    port = receiver.url("").rpartition(":")[2]

    assert post(f"http://only-the-proxy-knows.example:{port}/hook").delivered


def test_tls_is_spoken_with_the_receiver_and_not_with_the_proxy(proxy, post):
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("receiver.example").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_answer_once, args=(listening, context), daemon=True).start()
        url = f"https://receiver.example:{listening.getsockname()[1]}/"

        assert post(url, tls=TLS(ca_bundle=ca.cert_pem.bytes().decode())).delivered


def _answer_once(listening: socket.socket, context: ssl.SSLContext) -> None:
    connection, _ = listening.accept()
    with context.wrap_socket(connection, server_side=True) as secure:
        while not secure.recv(65536).endswith(b"{}"):
            pass
        secure.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")


@pytest.mark.parametrize("status", [403, 407, 502])
def test_a_proxy_that_refuses_is_named(settings, post, status):
    with contextlib.closing(Proxy(b"HTTP/1.1 %d No\r\n\r\n" % status)) as refusing:
        url = f"http://127.0.0.1:{refusing.port}"
        settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "EGRESS_PROXY": url}

        outcome = post("http://receiver.example/")

    assert (outcome.fault, outcome.detail) == (Fault.PROXY, f"the proxy answered {status}")


def test_a_slow_proxy_and_a_receiver_that_hangs_share_one_timeout(settings, post):
    with (
        socket.create_server(("127.0.0.1", 0)) as hanging,
        contextlib.closing(Proxy(after=1.5)) as slow,
    ):
        url = f"http://127.0.0.1:{slow.port}"
        settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "EGRESS_PROXY": url}
        began = time.monotonic()

        outcome = post(f"https://127.0.0.1:{hanging.getsockname()[1]}/")

    assert outcome.fault is Fault.TIMEOUT
    assert time.monotonic() - began < 2.5


def test_a_proxy_that_is_away_is_no_reason_to_go_without(settings, receiver, post):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "EGRESS_PROXY": url}

    assert post(receiver.url()).fault is Fault.PROXY
    assert receiver.received == []
