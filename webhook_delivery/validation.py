"""What a person may enter for an endpoint: URL, subscriptions, retry schedule ."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from webhook_delivery.addresses import allowed
from webhook_delivery.conf import settings

LONGEST_URL = 2048
LONGEST_TYPE = 200
EVENT_TYPE = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
PRINTABLE_ASCII = re.compile(r"[\x21-\x7e]+")
DEFAULT_PORTS = {"http": 80, "https": 443}


def validate_url(url: str) -> None:
    """Raise ValidationError for a URL that nothing is sent to; asked at save and at each send."""
    rules = settings.ALLOW_HTTP, tuple(settings.ALLOWED_PORTS), tuple(settings.ALLOWED_NETWORKS)
    if problem := _problem_of(url, *rules):
        raise problem


@lru_cache(maxsize=1024)
def _problem_of(
    url: str, http: bool, ports: tuple[int, ...], networks: tuple[str, ...]
) -> ValidationError | None:
    """What is wrong with the URL by these rules; asked for each attempt, worked out once."""
    try:
        _validate_text_of(url)
        parts = _split(url)
        _validate_scheme(parts, http)
        _validate_authority(parts, ports)
        _validate_literal(parts.hostname or "", networks)
    except ValidationError as error:
        return error
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
    """Raise ValidationError unless it is between one in an hour and 100 000 in a second."""
    number = isinstance(rate, int | float) and not isinstance(rate, bool)
    if not number or not 1 / 3600 <= rate <= 100_000:
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
    fits = isinstance(value, str) and shortest <= len(value) <= longest and "\0" not in value
    if not fits:
        raise ValidationError(
            _("%(name)s must be a text of %(shortest)s to %(longest)s characters, without NUL."),
            params={"name": name, "shortest": shortest, "longest": longest},
        )


def validate_content_type(content_type: Any) -> None:
    """Raise ValidationError for what cannot be sent as a header."""
    validate_text("content_type", content_type, longest=100, shortest=1)
    if not HEADER_VALUE.fullmatch(content_type):
        raise ValidationError(_("content_type must be printable ASCII."))


def validate_timeout(seconds: float) -> None:
    """Raise ValidationError for a timeout that would not be kept."""
    if not 0 < seconds <= settings.MAX_TIMEOUT_SECONDS:
        raise ValidationError(
            _("Use more than 0 and at most %(longest)s seconds (MAX_TIMEOUT_SECONDS)."),
            params={"longest": settings.MAX_TIMEOUT_SECONDS},
        )


def validate_pattern(pattern: str) -> None:
    """Raise ValidationError unless it is an event type, `order.*`, or `*`."""
    if pattern != "*":
        try:
            validate_event_type(pattern.removesuffix(".*"))
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
    return parts


def _validate_scheme(parts: SplitResult, http: bool) -> None:
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValidationError(_("Use a complete https:// address."))
    if parts.scheme == "http" and not http:
        raise ValidationError(_("Use https://, or set ALLOW_HTTP to permit plain http://."))


def _validate_authority(parts: SplitResult, ports: tuple[int, ...]) -> None:
    if "@" in parts.netloc or "\\" in parts.netloc or parts.fragment:
        raise ValidationError(_("Leave out user names, passwords and fragments."))
    port = DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
    if ports and port not in ports:
        raise ValidationError(_("Port %(port)s is not among ALLOWED_PORTS."), params={"port": port})


def _validate_literal(host: str, networks: tuple[str, ...]) -> None:
    """Names are checked when they are resolved, at every attempt; literals can be checked now."""
    try:
        fine = allowed(host, opened=networks)
    except ValueError:
        return
    if not fine:
        raise ValidationError(
            _("This address is not public; ALLOWED_NETWORKS can open private ones.")
        )
