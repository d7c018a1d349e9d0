"""What a person may enter for an endpoint: URL, headers, subscriptions, retry schedule."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import Certificate, load_pem_x509_certificates
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from webhook_delivery import headers, hostnames
from webhook_delivery.addresses import allowed
from webhook_delivery.conf import settings
from webhook_delivery.pacing import FASTEST, SLOWEST
from webhook_delivery.texts import is_storable

LONGEST_URL = 2048
LONGEST_TYPE = 200
EVENT_TYPE = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
PRINTABLE_ASCII = re.compile(r"[\x21-\x7e]+")
DEFAULT_PORTS = {"http": 80, "https": 443}


def validate_url(url: str) -> None:
    """Raise ValidationError for a URL that nothing is sent to; asked at save and at each send."""
    rules = settings.ALLOW_HTTP, tuple(settings.ALLOWED_PORTS), tuple(settings.ALLOWED_NETWORKS)
    if problem := _problem_of(url, *rules):
        message, params = problem
        raise ValidationError(message, params=params)


@lru_cache(maxsize=1024)
def _problem_of(
    url: str, http: bool, ports: tuple[int, ...], networks: tuple[str, ...]
) -> tuple[Any, Any] | None:
    """
    What is wrong with the URL by these rules; asked for each attempt, worked out once.

    Its words, not the error itself: each time that one is raised, it holds on to more frames.
    """
    try:
        _validate_text_of(url)
        parts = _split(url)
        _validate_scheme(parts, http)
        _validate_authority(parts, ports)
        _validate_host(parts.hostname or "", networks)
    except ValidationError as error:
        return error.message, error.params
    return None


def _validate_text_of(url: str) -> None:
    if len(url) > LONGEST_URL or not PRINTABLE_ASCII.fullmatch(url):
        raise ValidationError(
            _("Use at most %(longest)s characters of printable ASCII, without blanks."),
            params={"longest": LONGEST_URL},
        )


def validate_schedule(schedule: Any) -> None:
    """Raise ValidationError unless it is a list of at most 100 waits of 0 to 604 800 seconds."""
    numbers = isinstance(schedule, list) and all(
        isinstance(wait, int | float) and not isinstance(wait, bool) and 0 <= wait <= 604_800
        for wait in schedule
    )
    if not numbers or len(schedule) > 100:
        raise ValidationError(_("Use a list of seconds, each between 0 and 604 800: [5, 60, 600]."))


def validate_rate(rate: Any) -> None:
    """Raise ValidationError unless it is None, or one in an hour to 100 000 in a second."""
    if rate is None:
        return
    number = isinstance(rate, int | float) and not isinstance(rate, bool)
    if not number or not SLOWEST <= rate <= FASTEST:
        raise ValidationError(_("Use between 0.0003 (one an hour) and 100 000 a second."))


def validate_event_type(event_type: Any) -> None:
    """Raise ValidationError unless it is dotted words: `order.created`."""
    validate_text("event_type", event_type, longest=LONGEST_TYPE)
    if not EVENT_TYPE.fullmatch(event_type):
        raise ValidationError(
            _("Use words of letters, digits, “_” and “-”, joined by dots: order.created.")
        )


def validate_text(name: str, value: Any, *, longest: int, shortest: int = 0) -> None:
    """Raise ValidationError for what some database would refuse to store."""
    fits = isinstance(value, str) and shortest <= len(value) <= longest
    if not fits or not is_storable(value):
        raise ValidationError(
            _("%(name)s must be a text of %(shortest)s to %(longest)s characters, without NUL."),
            params={"name": name, "shortest": shortest, "longest": longest},
        )


def validate_content_type(content_type: Any) -> None:
    """Raise ValidationError for what cannot be sent as a header."""
    validate_text("content_type", content_type, longest=100, shortest=1)
    if not headers.VALUE.fullmatch(content_type):
        raise ValidationError(_("content_type must be printable ASCII."))


def validate_headers(wanted: Any) -> None:
    """Raise ValidationError for headers, a dict of texts, that would not be sent."""
    if found := headers.flaw_of(wanted, prefix=settings.HEADER_PREFIX):
        flaw, name = found
        raise ValidationError(_FLAWS[flaw], params={"name": name})


_FLAWS = {
    headers.Flaw.NOT_A_MAPPING: _("Use names and values."),
    headers.Flaw.TOO_MANY: _("Use at most 20 headers."),
    headers.Flaw.TOO_LARGE: _("Use at most 8 KB of headers."),
    headers.Flaw.NAME: _("%(name)s is no name for a header."),
    headers.Flaw.VALUE: _("The value of %(name)s must be 1 to 1024 characters of printable ASCII."),
    headers.Flaw.RESERVED: _("%(name)s is written by the sender, and nobody else."),
    headers.Flaw.TWICE: _("%(name)s is there twice."),
}


@sensitive_variables()
def validate_certificates(pem: str) -> None:
    """Raise ValidationError unless it holds certificates in PEM, and no key, which is not shown."""
    private = "PRIVATE KEY" in pem or not pem.isascii()
    if pem and (private or not _certificates(pem)):
        raise ValidationError(_("Use certificates in PEM: -----BEGIN CERTIFICATE----- …"))


@sensitive_variables()
def validate_client_certificate(pem: str) -> None:
    """Raise ValidationError unless it is a certificate in PEM and its private key, unencrypted."""
    if not pem:
        return
    if not _belong_together(_certificates(pem), _private_key(pem)):
        raise ValidationError(
            _("Use a certificate in PEM, its chain, and its private key without a password.")
        )


@sensitive_variables()
def _belong_together(certificates: list[Certificate], key: PrivateKeyTypes | None) -> bool:
    try:
        return bool(key and certificates and key.public_key() == certificates[0].public_key())
    except UnsupportedAlgorithm:
        return False


@sensitive_variables()
def _certificates(pem: str) -> list[Certificate]:
    try:
        return load_pem_x509_certificates(pem.encode())
    except ValueError:
        return []


@sensitive_variables()
def _private_key(pem: str) -> PrivateKeyTypes | None:
    try:
        return load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None


def validate_timeout(seconds: float) -> None:
    """Raise ValidationError for a timeout that would not be kept."""
    if not 0 < seconds <= settings.MAX_TIMEOUT_SECONDS:
        raise ValidationError(
            _("Use more than 0 and at most %(longest)s seconds (MAX_TIMEOUT_SECONDS)."),
            params={"longest": settings.MAX_TIMEOUT_SECONDS},
        )


def validate_pattern(pattern: Any) -> None:
    """Raise ValidationError unless it is an event type, `order.*`, or `*`."""
    if pattern != "*":
        try:
            text = isinstance(pattern, str)
            validate_event_type(pattern.removesuffix(".*") if text else pattern)
        except ValidationError:
            raise ValidationError(
                _("Use an event type (order.created), all below a word (order.*), or *.")
            ) from None


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it raises for a port that is none
    except ValueError as error:
        raise ValidationError(_("This is not a URL: %(error)s"), params={"error": error}) from error
    if "#" in url:
        raise ValidationError(_("Leave out the fragment, from # on."))
    return parts


def _validate_scheme(parts: SplitResult, http: bool) -> None:
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValidationError(_("Use a complete https:// address."))
    if parts.scheme == "http" and not http:
        raise ValidationError(_("Use https://, or set ALLOW_HTTP to permit plain http://."))


def _validate_authority(parts: SplitResult, ports: tuple[int, ...]) -> None:
    if "@" in parts.netloc or "\\" in parts.netloc:
        raise ValidationError(_("Leave out user names and passwords."))
    port = DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
    if port == 0 or (ports and port not in ports):
        raise ValidationError(_("Port %(port)s is not among ALLOWED_PORTS."), params={"port": port})


def _validate_host(host: str, networks: tuple[str, ...]) -> None:
    """What a name leads to is checked when it is resolved, at every attempt; the rest, now."""
    if hostnames.is_address(host):
        if not allowed(host, opened=networks):
            raise ValidationError(
                _("This address is not public; ALLOWED_NETWORKS can open private ones.")
            )
    elif hostnames.is_number(host):
        raise ValidationError(_("Write an IPv4 address as four decimal numbers: 192.0.2.1."))
    elif not hostnames.is_name(host):
        raise ValidationError(_("This is not a host name: %(host)s"), params={"host": host})
    elif hostnames.is_local(host) and not networks:
        raise ValidationError(
            _("%(host)s is no public name; ALLOWED_NETWORKS can open private networks."),
            params={"host": host},
        )
