"""Which addresses may be connected to: public ones, and networks an operator opened (pure)."""

from __future__ import annotations

from collections.abc import Iterable
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


NEVER = _networks("169.254.0.0/16", "168.63.129.16/32", "fe80::/10", "fd00:ec2::254/128")
"""Cloud metadata services: no setting opens them."""

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


def allowed(address: str, *, opened: Iterable[str] = ()) -> bool:
    """Say whether a literal address may be connected to; `opened` holds the operator's CIDRs."""
    ip = _canonical(address)
    if ip is None or _within(ip, NEVER):
        return False
    return _within(ip, map(ip_network, opened)) or _public(ip)


def _canonical(address: str) -> Address | None:
    """Parse, and see through IPv4 written as IPv6; scoped addresses are nobody's business."""
    if "%" in address:
        return None
    ip = ip_address(address)
    return getattr(ip, "ipv4_mapped", None) or ip


def _public(ip: Address) -> bool:
    if ip.version == 6 and ip not in GLOBAL_UNICAST:
        return False
    return ip.is_global and not ip.is_multicast and not _within(ip, SPECIAL)


def _within(ip: Address, networks: Iterable[Network]) -> bool:
    return any(ip.version == network.version and ip in network for network in networks)
