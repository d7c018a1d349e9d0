"""What may stand for a host in a URL: names, and addresses written out (pure)."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import quote, urlsplit, urlunsplit

import idna

LONGEST_NAME = 253
"""Characters of a name, without a last dot (RFC 1035 §2.3.4)."""
LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.IGNORECASE)
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
ALLOWED_IN_TARGETS = "!$%&'()*+,/:;=?@[]~"
"""RFC 3986 §3.3 and §3.4; and the per cent sign, of what is encoded already."""


def normal(url: str) -> str:
    """
    Return the URL in ASCII: the host in punycode (RFC 5891), the rest percent-encoded, once.

    What cannot be written so is returned as it is, for `validate_url` to refuse.
    """
    if url.isascii():
        return url
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        netloc = parts.netloc.lower().replace(host, _ascii_of(host))
        path, query = encoded(parts.path), encoded(parts.query)
        return urlunsplit((parts.scheme, netloc, path, query, encoded(parts.fragment)))
    except ValueError:
        return url


def encoded(text: str) -> str:
    return quote(text, safe=ALLOWED_IN_TARGETS)


def is_address(host: str) -> bool:
    """Whether it is an IP address, in the one spelling that everybody reads alike."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_number(host: str) -> bool:
    """
    Whether resolvers take it for an IPv4 address though it is not written like one: `127.1`.

    By its last label, as browsers tell (https://url.spec.whatwg.org/#ends-in-a-number-checker).
    """
    return bool(NUMBER.fullmatch(host.removesuffix(".").rpartition(".")[2]))


def is_name(host: str) -> bool:
    """Whether it is a name in DNS, in punycode where it is not ASCII."""
    name = host.removesuffix(".")
    labels = name.split(".")
    return len(name) <= LONGEST_NAME and all(map(_is_label, labels))


def is_local(host: str) -> bool:
    """Whether only this machine or its network knows what the name means."""
    name = host.removesuffix(".").lower()
    return "." not in name or name.endswith(".localhost")


def _is_label(label: str) -> bool:
    if not LABEL.fullmatch(label):
        return False
    return not label.lower().startswith("xn--") or _is_punycode(label.lower())


def _is_punycode(label: str) -> bool:
    try:
        idna.ulabel(label)
    except idna.IDNAError:
        return False
    return True


def _ascii_of(host: str) -> str:
    """Raises ValueError for what is no internationalised name (IDNA 2008): `①②⑦.⓪.⓪.①`."""
    return host if host.isascii() else idna.encode(host.lower()).decode()


def address_of(url: str) -> str:
    """A URL without path, query and user names, which may be secret; empty if it is none."""
    try:
        parts = urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return ""
    more = "…" if parts.path.strip("/") or parts.query else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}/{more}"


def origin_of(url: str) -> tuple[str, str]:
    """The scheme, and the host with its port: where whatever is sent there goes; empty: nowhere."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    return parts.scheme, parts.netloc.lower()
