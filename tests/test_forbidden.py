"""No packet goes to a forbidden address, on any way to the wire; and a peer refuses no more."""

import itertools
import socket
from collections.abc import Iterator

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st
from requests import PreparedRequest, RequestException
from requests_hardened.ip_filter import InvalidIPAddress, filter_host
from urllib3.util import parse_url

from tests.conftest import make_endpoint
from webhook_delivery import lifecycle, publish
from webhook_delivery.addresses import allowed
from webhook_delivery.models import Attempt, Delivery, Endpoint
from webhook_delivery.outcomes import Fault
from webhook_delivery.publishing import attempt_now, publish_test
from webhook_delivery.transport import Transport
from webhook_delivery.validation import validate_url

# ── Spellings of what must not be reached

METADATA, LOOPBACK, PRIVATE = (169, 254, 169, 254), (127, 0, 0, 1), (10, 0, 0, 1)
OTHERS = [(0, 0, 0, 0), (192, 168, 0, 1), (172, 16, 0, 1), (100, 64, 0, 1), (224, 0, 0, 1)]


def spellings(octets: tuple[int, ...]) -> Iterator[str]:
    """As many ways to write an IPv4 address as resolvers and IPv6 know."""
    a, b, c, d = octets
    number = int.from_bytes(bytes(octets))
    dotted = ".".join(map(str, octets))
    yield from (dotted, f"{dotted}.", str(number), hex(number), f"0{number:o}")
    yield from (".".join(f"0x{n:x}" for n in octets), ".".join(f"0{n:o}" for n in octets))
    yield from (
        f"{a}.{(b << 16) + (c << 8) + d}",
        f"{a}.{b}.{(c << 8) + d}",
        f"0x{a:x}.{b}.{c}.{d}",
    )
    yield from (f"[::ffff:{dotted}]", f"[::ffff:{number >> 16:x}:{number & 0xFFFF:x}]")
    yield from (f"[64:ff9b::{dotted}]", f"[2002:{number >> 16:x}:{number & 0xFFFF:x}::]")
    yield from (f"[::{dotted}]", f"[::ffff:0:{dotted}]", f"[0:0:0:0:0:ffff:{dotted}]")
    yield "".join(f"%{ord(c):02x}" for c in dotted)


FORBIDDEN = [
    *itertools.chain.from_iterable(map(spellings, [METADATA, LOOPBACK, PRIVATE, *OTHERS])),
    "localhost", "LOCALHOST", "localhost.", "a.localhost", "[::1]", "[::]", "[fe80::1]",
    "[fe80::1%25eth0]", "[fc00::1]", "[fec0::1]", "[ff02::1]", "[100::1]", "[5f00::1]", "[3fff::1]",
    "[2001::1]", "[2001:db8::1]", "[64:ff9b:1::1]", "[4000::1]", "[1::1]", "①②⑦.⓪.⓪.①",
    "127。0。0。1", "ⓛocalhost", "metadata", "169.254.169.254.", "0", "127.1",
    "168.63.129.16", "[fd00:ec2::254]",
]  # fmt: skip


@pytest.fixture
def no_packets(settings, monkeypatch) -> list[object]:
    """The defaults, and a record of every connection that anybody tries to make."""
    settings.WEBHOOK_DELIVERY = {"ALLOW_HTTP": True, "TIMEOUT_SECONDS": 1}
    tried: list[object] = []

    def record(self: socket.socket, address: object) -> None:
        tried.append(address)
        raise ConnectionRefusedError

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, record)
    return tried


def test_there_are_more_than_a_hundred():
    assert len(set(FORBIDDEN)) > 150


@pytest.mark.everywhere_once
@pytest.mark.parametrize("host", FORBIDDEN)
def test_they_are_refused_at_save_and_at_send(no_packets, host):
    url = f"http://{host}/"
    with pytest.raises(ValidationError):
        Endpoint(name="x", url=url).full_clean()
    transport = Transport()
    assert transport.post(1, url, b"{}", {}, timeout=1).fault in (
        Fault.BLOCKED,
        Fault.DNS,
        Fault.CONFIG,
    )
    transport.close()
    assert no_packets == []


def refused_by_peer(host: str) -> bool:
    """Whether requests-hardened refuses it, or requests before that."""
    prepared = PreparedRequest()
    try:
        prepared.prepare_url(f"http://{host}/", None)
        filter_host((parse_url(prepared.url).host or "").strip("[]"), 80, allow_loopback=False)
    except (InvalidIPAddress, RequestException, UnicodeError, AssertionError):
        return True
    return False


def refused_by_us(host: str) -> bool:
    try:
        validate_url(f"http://{host}/")
    except ValidationError:
        return True
    transport = Transport()
    try:
        return transport.post(1, f"http://{host}/", b"", {}, timeout=1).fault in (
            Fault.BLOCKED,
            Fault.DNS,
        )
    finally:
        transport.close()


@pytest.mark.everywhere_once
@pytest.mark.parametrize("host", FORBIDDEN)
def test_what_the_peer_refuses_we_refuse(no_packets, host):
    if refused_by_peer(host):
        assert refused_by_us(host)
    assert no_packets == []


@given(st.ip_addresses().map(lambda ip: f"[{ip}]" if ip.version == 6 else str(ip)))
def test_of_any_address_what_the_peer_refuses_we_refuse(host):
    assert not (refused_by_peer(host) and allowed(host.strip("[]")))


# ── Every way to the wire


@pytest.fixture
def forbidden(no_packets, db) -> Endpoint:
    """One that came into the database by another way than a form."""
    return make_endpoint("http://169.254.169.254/latest/meta-data/")


def assert_blocked(packets: list[object]) -> None:
    attempt = Attempt.objects.latest("pk")
    assert (attempt.fault, packets) == (Fault.BLOCKED, [])
    assert "169.254" not in attempt.detail


@pytest.mark.django_db(transaction=True)
def test_a_delivery_is_blocked(forbidden, no_packets, send_due):
    publish("order.created", {})
    send_due()
    assert_blocked(no_packets)


@pytest.mark.django_db(transaction=True)
def test_a_first_attempt_inline_is_blocked(forbidden, no_packets):
    publish("order.created", {}, inline=True)
    assert_blocked(no_packets)


@pytest.mark.django_db(transaction=True)
def test_a_test_event_is_blocked(forbidden, no_packets):
    event = publish_test(forbidden)
    attempt_now(event, using="default", regardless=True)
    assert_blocked(no_packets)


@pytest.mark.django_db(transaction=True)
def test_a_redelivery_is_blocked(forbidden, no_packets, send_due):
    publish("order.created", {})
    lifecycle.claim(1, using="default")
    Delivery.objects.update(state="dead", claim=None, due_at=None)
    assert Delivery.objects.dead().redeliver(reason="after a change").count == 1
    send_due()
    assert_blocked(no_packets)


@pytest.mark.django_db(transaction=True)
def test_a_name_that_leads_there_is_blocked(no_packets, send_due, monkeypatch):
    """As 169.254.169.254.nip.io does: refused at each send, for nobody could know at save."""
    answer = [(socket.AF_INET, 1, 6, "", ("169.254.169.254", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: answer)
    make_endpoint("http://innocent.example/")
    publish("order.created", {})
    send_due()
    assert_blocked(no_packets)


@pytest.mark.django_db
def test_a_form_says_why(admin_client, no_packets):
    page = admin_client.post(
        reverse("admin:webhook_delivery_endpoint_add"),
        {
            "name": "x",
            "url": "http://127.1/",
            "subscriptions-TOTAL_FORMS": 0,
            "subscriptions-INITIAL_FORMS": 0,
        },
    )

    assert "four decimal numbers" in page.content.decode()
    assert not Endpoint.objects.exists()
