"""A connection in TLS is cut when its attempt's time is up, whatever OpenSSL is doing."""

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from webhook_delivery.transport import TLS, Transport
from webhook_delivery.transport.watching import Watch

pytestmark = pytest.mark.everywhere_once

TIMEOUT = 0.6


def test_tickets_without_end_end_in_time():
    """They are no data, so that one read goes on for as long as they come."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.hostile.tickets"],
        cwd=Path(__file__).parent.parent,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        told = json.loads(server.stdout.readline())
        url, tls = f"https://127.0.0.1:{told['port']}/", TLS(ca_bundle=told["roots"])
        with contextlib.closing(Transport()) as transport:
            began = time.monotonic()
            outcome = transport.post(1, url, b"{}", {}, timeout=TIMEOUT, tls=tls)
            took = time.monotonic() - began
        server.kill()

    assert not outcome.delivered
    assert took < TIMEOUT + 1  # the server goes on for as long as anybody reads


def test_what_is_over_in_time_is_left_alone():
    one, other = socket.socketpair()
    with one, other, contextlib.closing(Watch()) as watch:
        with watch.over(one, time.monotonic() + 60):
            pass
        with watch.over(other, time.monotonic() - 1):
            assert one.recv(1) == b""  # the other end was cut
        assert one.getpeername() is not None


def test_its_thread_ends_with_it():
    before = threading.active_count()
    watch = Watch()
    one, other = socket.socketpair()
    with one, other, watch.over(one, time.monotonic() + 60):
        assert threading.active_count() == before + 1
        patrol = next(t for t in threading.enumerate() if t.name == "webhook-watch")
    watch.close()
    patrol.join(5)

    assert not patrol.is_alive()
