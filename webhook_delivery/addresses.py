"""Which addresses may be connected to: public ones, and networks an operator opened (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def _networks(*cidrs: str) -> tuple[Network, ...]:
    return tuple(ip_network(cidr) for cidr in cidrs)


NEVER = _networks(
    "169.254.0.0/16",
    "168.63.129.16/32",
    "100.100.100.200/32",
    "192.0.0.192/32",
    "fe80::/10",
    "fd00:ec2::/32",
    "fd20:ce::254/128",
)
"""Cloud metadata services (AWS, Azure, Alibaba, Oracle, Google): no setting opens them."""

SPECIAL = _networks(
    "100.64.0.0/10",
    "192.0.0.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.175.48.0/24",
    "2001::/23",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
)
"""Special-purpose blocks of the IANA registries that `is_global` calls public in some Python."""

GLOBAL_UNICAST = ip_network("2000::/3")
"""The only IPv6 space that IANA has given out; translation prefixes lie outside it."""

NAT64 = ip_network("64:ff9b::/96")
"""RFC 6052: the last four bytes are the IPv4 address that is meant."""

TRANSLATED = (NAT64, *_networks("::/96", "::ffff:0:0:0/96"))
"""Others whose last four bytes may be taken for one: RFC 4291 §2.5.5.1, RFC 2765."""

SIX_TO_FOUR = ip_network("2002::/16")


def allowed(address: str, *, opened: Iterable[str] = ()) -> bool:
    """
    Say whether a literal address may be connected to; `opened` holds the operator's CIDRs.

    An IPv4 address inside an IPv6 one is judged, too: whoever opens 64:ff9b::/96, for hosts that
    have IPv6 only, has opened public IPv4 by it, and neither private networks nor metadata.
    """
    return _allowed(address, tuple(opened))


@lru_cache(maxsize=1024)
def _allowed(address: str, opened: tuple[str, ...]) -> bool:
    ip = _canonical(address)
    networks = tuple(ip_network(cidr) for cidr in opened)
    if ip is None or any(_within(each, NEVER) for each in (ip, *_embedded(ip))):
        return False
    if ip in NAT64:
        return _within(ip, networks) and all(_open(v4, networks) for v4 in _embedded(ip))
    return _open(ip, networks)


def _open(ip: Address, networks: Iterable[Network]) -> bool:
    return _within(ip, networks) or _public(ip)


def _canonical(address: str) -> Address | None:
    """Parse, and see through IPv4 written as IPv6; scoped addresses are nobody's business."""
    if "%" in address:
        return None
    ip = ip_address(address)
    return getattr(ip, "ipv4_mapped", None) or ip


def _embedded(ip: Address) -> tuple[IPv4Address, ...]:
    """The IPv4 address that a translator on the way would make of it, if any."""
    if isinstance(ip, IPv4Address):
        return ()
    if ip in SIX_TO_FOUR:
        return (IPv4Address(ip.packed[2:6]),)
    return (IPv4Address(ip.packed[-4:]),) if _within(ip, TRANSLATED) else ()


def _public(ip: Address) -> bool:
    if ip.version == 6 and ip not in GLOBAL_UNICAST:
        return False
    return ip.is_global and not ip.is_multicast and not _within(ip, SPECIAL)


def _within(ip: Address, networks: Iterable[Network]) -> bool:
    return any(ip.version == network.version and ip in network for network in networks)
