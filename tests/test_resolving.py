"""Names are resolved once for each attempt, within its time."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from webhook_delivery.outcomes import Fault
from webhook_delivery.transport import Transport

pytestmark = pytest.mark.everywhere_once


class Resolver:
    """Stands where the machine's resolver is; answers by name, or not before it is let go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, list[tuple[str, int]]] = {}
        self.hanging = threading.Event()
        self.hangs: set[str] = set()

    def __call__(self, host: str, port: int, **kwargs: object) -> list[tuple]:
        self.asked.append(host)
        if host in self.hangs:
            self.hanging.wait(20)
        if host not in self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, 1, 6, "", address) for address in self.answers[host]]


@pytest.fixture
def resolver(monkeypatch) -> Iterator[Resolver]:
    ours = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", ours)
    yield ours
    ours.hanging.set()


@pytest.fixture
def post():
    with contextlib.closing(Transport()) as transport:
        yield lambda url, timeout=2, endpoint=1: transport.post(
            endpoint, url, b"{}", {}, timeout=timeout
        )


def port_of(receiver) -> int:
    return int(receiver.url("").rpartition(":")[2])


def test_a_resolver_that_hangs_ends_with_the_attempt(resolver, post):
    resolver.hangs.add("slow.example")
    began = time.monotonic()

    outcome = post("http://slow.example/", timeout=0.3)

    assert (outcome.fault, outcome.detail) == (Fault.DNS, "name not resolved in time")
    assert time.monotonic() - began < 1  # the resolver hangs for twenty


def test_a_name_that_hangs_holds_up_no_other(resolver, receiver, post):
    resolver.hangs.add("slow.example")
    resolver.answers["fast.example"] = [("127.0.0.1", port_of(receiver))]

    for _ in range(3):
        assert post("http://slow.example/", timeout=0.1).fault is Fault.DNS
    assert post("http://fast.example/").delivered
    assert resolver.asked.count("slow.example") == 1


def test_so_many_names_may_hang_and_no_more(resolver, post, settings):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "MAX_THREADS": 3}
    names = [f"slow{n}.example" for n in range(4)]
    resolver.hangs.update(names)

    outcomes = [post(f"http://{name}/", timeout=0.1) for name in names]

    assert [outcome.fault for outcome in outcomes] == [*[Fault.DNS] * 3, Fault.EXHAUSTED]


def test_all_drains_of_a_process_count_together(resolver, settings):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "MAX_THREADS": 2}
    names = [f"slow{n}.example" for n in range(3)]
    resolver.hangs.update(names)
    faults = []
    for name in names:
        with contextlib.closing(Transport()) as transport:
            outcome = transport.post(1, f"http://{name}/", b"", {}, timeout=0.1)
            faults.append(outcome.fault)

    assert faults == [Fault.DNS, Fault.DNS, Fault.EXHAUSTED]


def test_a_name_with_thousands_of_addresses_is_tried_at_few(resolver, post, monkeypatch):
    tried = []

    def refused(self: socket.socket, address: object) -> None:
        tried.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", refused)
    resolver.answers["many.example"] = [(f"127.0.{n // 250}.{n % 250}", 80) for n in range(4000)]

    assert post("http://many.example/").fault is Fault.REFUSED
    assert len(tried) == 6


def test_each_attempt_asks_once_and_connects_to_what_it_was_told(
    resolver, receiver, post, settings
):
    """A name that changes its mind between the check and the connection is not asked twice."""
    port = port_of(receiver)
    resolver.answers["rebinding.example"] = [("127.0.0.1", port)]
    assert post(f"http://rebinding.example:{port}/").delivered
    assert resolver.asked == ["rebinding.example"]

    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "ALLOWED_NETWORKS": ["10.0.0.0/8"]}
    assert post(f"http://rebinding.example:{port}/", endpoint=2).fault is Fault.BLOCKED
    assert len(resolver.asked) == 2
    assert len(receiver.received) == 1


@pytest.mark.parametrize("order", [("8.8.8.8", "10.0.0.1"), ("10.0.0.1", "8.8.8.8")])
def test_one_private_address_among_public_ones_is_enough(resolver, post, settings, order):
    settings.WEBHOOK_DELIVERY = {}
    resolver.answers["mixed.example."] = [(address, 443) for address in order]

    assert post("https://mixed.example/").fault is Fault.BLOCKED


def test_an_empty_answer_is_none(resolver, post):
    assert post("http://nobody.example/").fault is Fault.DNS


def test_search_domains_are_not_tried(resolver, post, settings):
    settings.WEBHOOK_DELIVERY = {}
    for url in ("https://receiver.example/", "https://receiver.example./", "https://metadata/"):
        post(url)

    assert resolver.asked == ["receiver.example.", "receiver.example.", "metadata."]


def test_the_proxy_is_asked_for_as_it_is_named_also_while_its_name_is_a_receiver_s(
    resolver, post, settings
):
    settings.WEBHOOK_DELIVERY = {}
    post("http://proxy.internal/")
    settings.WEBHOOK_DELIVERY = {"EGRESS_PROXY": "http://proxy.internal:80"}
    post("http://proxy.internal/")

    assert resolver.asked == ["proxy.internal.", "proxy.internal"]


def test_private_names_are_asked_for_as_they_are(resolver, post):
    """Where networks are opened, /etc/hosts and the search domains are the operator's own."""
    post("http://receiver/")

    assert resolver.asked == ["receiver"]


def test_a_connection_that_ends_up_elsewhere_is_not_used(receiver, monkeypatch, post):
    """Something between us and the network may redirect what is connected; we look where to."""
    from webhook_delivery.transport.deadlines import PunctualSocket

    monkeypatch.setattr(PunctualSocket, "getpeername", lambda self: ("10.0.0.1", 80))

    outcome = post(receiver.url())

    assert (outcome.fault, receiver.received) == (Fault.BLOCKED, [])
