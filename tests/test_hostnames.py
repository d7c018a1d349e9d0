"""What may stand for a host in a URL, and the one form in which a URL is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook_delivery import hostnames

pytestmark = pytest.mark.everywhere_once


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://BÜCHER.example:8443/", "https://xn--bcher-kva.example:8443/"),
        ("https://127。0。0。1/", "https://127.0.0.1/"),
        (
            "https://receiver.example/straße?ort=Köln",
            "https://receiver.example/stra%C3%9Fe?ort=K%C3%B6ln",
        ),
        ("https://receiver.example/a%20b/ü", "https://receiver.example/a%20b/%C3%BC"),
        ("https://receiver.example/a%20b", "https://receiver.example/a%20b"),
    ],
)
def test_a_url_is_kept_in_ascii_and_encoded_once(url, kept):
    assert hostnames.normal(url) == kept
    assert hostnames.normal(kept) == kept


@pytest.mark.parametrize(
    "url",
    ["https://①②⑦.⓪.⓪.①/", "https://ⓛocalhost/", "https://ü..example/", "https://[ü/"],
)
def test_what_is_no_name_is_left_as_it_is(url):
    """Compatibility forms are what turns letters nobody checked into an address (UTS 46)."""
    assert hostnames.normal(url) == url


@given(st.text())
def test_nothing_makes_it_raise(text):
    kept = hostnames.normal(f"https://{text}/")
    assert hostnames.normal(kept) == kept
    hostnames.is_name(text)
    hostnames.is_number(text)
    hostnames.is_local(text)
    hostnames.is_address(text)


@pytest.mark.parametrize(
    "host",
    ["a.example", "a.example.", "x" * 63 + ".example", "xn--bcher-kva.example", "a_b.example"],
)
def test_these_are_names(host):
    assert hostnames.is_name(host)


@pytest.mark.parametrize(
    "host",
    [
        "", ".", "a..b", ".example", "x" * 64 + ".example", ".".join(["x" * 62] * 4) + ".ab",
        "-a.example", "a-.example", "xn--.example", "xn--a.example", "%31%32%37.0.0.1", "a b",
        "a\tb", "a\0b", "bücher.example", "a:b", "a/b", "a?b", "[::1", "v1.x]",
    ],
)  # fmt: skip
def test_these_are_none(host):
    assert not hostnames.is_name(host)


NUMBERS = ["127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "0",
           "1.2.3", "127.0.0.1.", "a.1", "a.0x"]  # fmt: skip


@pytest.mark.parametrize("host", NUMBERS)
def test_numbers_that_resolvers_take_for_addresses(host):
    assert hostnames.is_number(host) or hostnames.is_address(host)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "localhost.", "a.localhost", "metadata", "receiver"]
)
def test_names_that_mean_something_here_only(host):
    assert hostnames.is_local(host)
    assert not hostnames.is_local(f"{host.rstrip('.')}.example")
