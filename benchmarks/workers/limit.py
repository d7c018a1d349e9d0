"""The limit: threads that send and do nothing else, through one adapter or a session each."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from webhook_delivery.management.heap import frozen

THREADS = 32
TIMEOUT = 5
HEADERS = {
    "content-type": "application/json",
    "user-agent": "django-webhook-delivery/0.0.0",
    "accept-encoding": "identity",
    "webhook-attempt": "1",
    "webhook-id": "evt_019aa5f1c0de7a1b8c2d3e4f5a6b7c8d",
    "webhook-timestamp": "1764000000",
    "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
}
"""What each of our requests carries; the values are constant, for nothing is signed here."""

Send = Callable[[str], int]


class Adapter(HTTPAdapter):
    """The adapter of `requests`, with one TLS context: it would load the roots per connection."""

    def __init__(self, bundle: str, *, pools: int) -> None:
        self._tls = ssl.create_default_context(cafile=bundle)
        super().__init__(pool_connections=pools, pool_maxsize=THREADS)

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {"ssl_context": self._tls} if host["scheme"] == "https" else {}

    def cert_verify(self, conn: Any, *args: Any) -> None:
        """The context verifies."""


def prepare(
    *, urls: list[str], count: int, body_bytes: int, how: str, verify: str
) -> Callable[[], Mapping[str, Any]]:
    """
    Send so many, round the URLs.

    how: "adapter", one that all threads share, or "session", one for each thread.
    verify: the bundle of certificates to trust.
    """
    body = b"x" * body_bytes
    make = {"adapter": _through_an_adapter, "session": _through_a_session}[how]
    turns = iter(islice(_cycle(urls), count))
    lock = threading.Lock()

    def send_all() -> Mapping[str, Any]:
        shared = Adapter(verify, pools=len(urls))
        with frozen(), ThreadPoolExecutor(THREADS) as pool:
            tasks = [
                pool.submit(_take_turns, turns, lock, make(shared, body, verify))
                for _ in range(THREADS)
            ]
            sent = sum(task.result() for task in tasks)
        return {"sent": sent}

    return send_all


def _cycle(urls: list[str]) -> Iterator[str]:
    while True:
        yield from urls


def _take_turns(turns: Iterator[str], lock: threading.Lock, send: Send) -> int:
    sent = 0
    while True:
        with lock:
            url = next(turns, None)
        if url is None:
            return sent
        sent += send(url) == 204


def _through_an_adapter(adapter: Adapter, body: bytes, verify: str) -> Send:
    def send(url: str) -> int:
        request = requests.Request("POST", url, data=body, headers=HEADERS).prepare()
        answer = adapter.send(request, stream=True, timeout=TIMEOUT, verify=True, proxies={})
        _ = answer.content
        return answer.status_code

    return send


def _through_a_session(adapter: Adapter, body: bytes, verify: str) -> Send:
    session = requests.Session()

    def send(url: str) -> int:
        answer = session.post(url, data=body, headers=HEADERS, timeout=TIMEOUT, verify=verify)
        return answer.status_code

    return send
