"""Which addresses may be connected to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook_delivery.addresses import allowed

pytestmark = pytest.mark.everywhere_once

REFUSED = {
    "loopback": ["127.0.0.1", "127.255.255.255", "::1"],
    "unspecified": ["0.0.0.0", "0.1.2.3", "::"],
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fd12::1"],
    "carriers": ["100.64.0.1", "100.127.255.255"],
    "metadata": ["169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192",
                 "fd00:ec2::254", "fd20:ce::254"],
    "link-local": ["169.254.0.1", "fe80::1", "fe80::1%eth0"],
    "protocols": ["192.0.0.9", "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.175.48.1"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
    "benchmarks": ["198.18.0.1", "198.19.255.255", "2001:2::1"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1"],
    "reserved": ["240.0.0.1", "255.255.255.255"],
    "mapped": ["::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:a9fe:a9fe", "::ffff:10.0.0.1"],
    "compatible": ["::127.0.0.1", "::2", "::a00:1", "::8.8.8.8"],
    "translated": ["::ffff:0:127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::808:808", "64:ff9b:1::1"],
    "tunnelled": ["2001::1", "2001:0:7f00:1::", "2002:7f00:1::", "2002:808:808::"],
    "overlays": ["2001:10::1", "2001:20::1", "5f00::1", "100::1", "100:0:0:1::1"],
    "site-local": ["fec0::1"],
    "not given out": ["1::1", "4000::1", "e000::1"],
    "anycast": ["2620:4f:8000::1"],
}  # fmt: skip
"""Inputs 1 to 7 of the list in docs/security.md."""
METADATA = [*REFUSED["metadata"], "169.254.170.2"]


@pytest.mark.parametrize("addresses", REFUSED.values(), ids=REFUSED)
def test_what_is_not_public_is_refused(addresses):
    assert [address for address in addresses if allowed(address)] == []


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "::ffff:8.8.8.8", "2606:4700:4700::1111", "2a00:1450::1"]
)
def test_what_is_public_is_allowed(address):
    assert allowed(address)


def test_an_operator_can_open_a_network():
    assert allowed("10.1.2.3", opened=["10.1.0.0/16"])
    assert allowed("::ffff:10.1.2.3", opened=["10.1.0.0/16"])
    assert not allowed("10.2.2.3", opened=["10.1.0.0/16"])
    assert allowed("fd12::1", opened=["fd12::/16"])


@pytest.mark.parametrize("address", METADATA)
def test_metadata_services_stay_shut(address):
    everything = ["0.0.0.0/0", "::/0"]
    assert not allowed(address, opened=everything)
    if "." in address:
        assert not allowed(f"::ffff:{address}", opened=everything)
        assert not allowed(f"64:ff9b::{address}", opened=everything)
        assert not allowed(f"::{address}", opened=everything)
        assert not allowed(f"::ffff:0:{address}", opened=everything)


def test_a_tunnel_to_metadata_stays_shut():
    assert not allowed("2002:a9fe:a9fe::1", opened=["::/0"])
    assert allowed("2002:808:808::1", opened=["2002::/16"])


def test_hosts_with_ipv6_only_reach_public_ipv4_through_the_translator():
    opened = ["64:ff9b::/96"]
    assert allowed("64:ff9b::8.8.8.8", opened=opened)
    assert not allowed("64:ff9b::10.1.2.3", opened=opened)
    assert allowed("64:ff9b::10.1.2.3", opened=[*opened, "10.1.0.0/16"])
    assert not allowed("64:ff9b::10.1.2.3", opened=["10.1.0.0/16"])


@given(st.ip_addresses())
def test_nothing_special_is_public(address):
    """What Python calls special, by the IANA registries, is never connected to."""
    address = getattr(address, "ipv4_mapped", None) or address
    if allowed(str(address)):
        assert address.is_global
        assert not address.is_multicast
        assert not address.is_reserved
