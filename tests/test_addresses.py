"""Which addresses may be connected to."""

import pytest

from webhook_delivery.addresses import allowed

REFUSED = [
    "0.0.0.0", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "168.63.129.16",
    "169.254.169.254", "172.16.0.1", "192.0.0.9", "192.0.2.1", "192.31.196.1", "192.88.99.1",
    "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1",
    "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:a9fe:a9fe",
    "::ffff:0:127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "1::1", "2001::1",
    "2001:db8::1", "2002:7f00:1::", "3fff::1", "4000::1", "5f00::1", "fc00::1", "fd00:ec2::254",
    "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
]  # fmt: skip


@pytest.mark.parametrize("address", REFUSED)
def test_what_is_not_public_is_refused(address):
    assert not allowed(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "::ffff:8.8.8.8", "2606:4700:4700::1111", "2a00:1450::1"]
)
def test_what_is_public_is_allowed(address):
    assert allowed(address)


def test_an_operator_can_open_a_network():
    assert allowed("10.1.2.3", opened=["10.1.0.0/16"])
    assert not allowed("10.2.2.3", opened=["10.1.0.0/16"])
    assert allowed("fd12::1", opened=["fd12::/16"])


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254", "168.63.129.16"])
def test_metadata_services_stay_shut(address):
    assert not allowed(address, opened=["0.0.0.0/0", "::/0"])
