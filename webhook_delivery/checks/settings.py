"""Names, types and values in `WEBHOOK_DELIVERY`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ValidationError
from django.utils.module_loading import import_string

from webhook_delivery import searching
from webhook_delivery.checks.secrets import of_keys
from webhook_delivery.conf import KNOWN, SECRET, Settings, settings
from webhook_delivery.scheduling.oddities import knows_cluster
from webhook_delivery.validation import validate_pattern, validate_schedule

DAYS = {name for name in KNOWN if name.startswith("RETAIN_")}
"""Numbers, or None: for ever."""
LONGEST_DAYS = 36_500


def usable() -> bool:
    """Whether every setting has a type that the rest can be asked about."""
    return isinstance(_configured(), dict) and not list(_types())


def of_settings() -> Iterator[CheckMessage]:
    """What is wrong by its name or type; only if nothing is, what is wrong by its value."""
    if not isinstance(_configured(), dict):
        hint = "Use a dict: WEBHOOK_DELIVERY = {}."
        yield Error("WEBHOOK_DELIVERY is not a dict.", hint=hint, id="webhook_delivery.E008")
        return
    wrong = [*_names(), *_types()] or [*_values()]
    yield from wrong or [*_schedules(), *_networks(), *of_keys()]


def _configured() -> Any:
    return getattr(django_settings, "WEBHOOK_DELIVERY", {})


def _names() -> Iterator[CheckMessage]:
    for name in sorted(set(_configured()) - KNOWN):
        yield Error(
            f"WEBHOOK_DELIVERY has no setting {name!r}.",
            hint=f"It knows {', '.join(sorted(KNOWN))}.",
            id="webhook_delivery.E001",
        )


def _types() -> Iterator[CheckMessage]:
    for name, value in _configured().items():
        if name in KNOWN and not _fits(name, value):
            yield Error(
                f"WEBHOOK_DELIVERY[{name!r}] is {_shown(name, value)}.",
                hint=f"It should look like its default, {vars(Settings)[name]!r}.",
                id="webhook_delivery.E002",
            )


def _shown(name: str, value: Any) -> str:
    """A key or a password is not printed, however wrongly it was set."""
    return f"of type {type(value).__name__}" if name in SECRET else repr(value)


def _fits(name: str, value: Any) -> bool:
    if name in DAYS and value is None:
        return True
    match 0 if name in DAYS else vars(Settings)[name]:
        case bool():
            return isinstance(value, bool)
        case int() | float():
            return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
        case tuple():
            return isinstance(value, list | tuple)
        case dict():
            return isinstance(value, dict)
    return value is None or isinstance(value, str)


Rules = dict[str, tuple[object, str]]
"""By setting: whether its value is fine, and what it must be."""


def _values() -> Iterator[CheckMessage]:
    """Numbers and names that have the right type and still cannot work."""
    for name, (fine, wanted) in rules().items():
        if not fine:
            yield Error(
                f"WEBHOOK_DELIVERY[{name!r}] cannot be {_shown(name, getattr(settings, name))}.",
                hint=f"It must be {wanted}.",
                id="webhook_delivery.E009",
            )


def rules() -> Rules:
    """What values must be besides their types; a setting that is not here may have any."""
    sending = _of_drains() | _of_policies() | _of_the_wire() | _of_searching()
    return sending | _of_the_console() | _of_metrics() | _of_retention()


def _of_drains() -> Rules:
    fewest = int(settings.CONCURRENCY)
    return {
        "CONCURRENCY": (settings.CONCURRENCY in range(1, 1025), "a whole number, 1 to 1024"),
        "MAX_THREADS": (
            settings.MAX_THREADS in range(fewest, 4097),
            "a whole number, CONCURRENCY to 4096",
        ),
        "MAX_IN_FLIGHT": (settings.MAX_IN_FLIGHT in range(1, 32768), "a whole number, 1 to 32767"),
        "CLUSTER": (knows_cluster(settings.CLUSTER), "in Q_CLUSTER['ALT_CLUSTERS']"),
    }


def _of_policies() -> Rules:
    return {
        "BREAKER_FAILURES": (settings.BREAKER_FAILURES >= 1, "1 or more"),
        "BREAKER_SECONDS": (
            0 < settings.BREAKER_SECONDS <= settings.BREAKER_MAX_SECONDS,
            "more than 0, and at most BREAKER_MAX_SECONDS",
        ),
        "TIMEOUT_SECONDS": (
            0 < settings.TIMEOUT_SECONDS <= settings.MAX_TIMEOUT_SECONDS,
            "more than 0, and at most MAX_TIMEOUT_SECONDS",
        ),
        "WARN_AFTER_SECONDS": (
            not settings.DISABLE_AFTER_SECONDS
            or settings.WARN_AFTER_SECONDS < settings.DISABLE_AFTER_SECONDS,
            "less than DISABLE_AFTER_SECONDS; 0 warns of nothing",
        ),
        "RETRY_JITTER": (settings.RETRY_JITTER <= 1, "a share, 0 to 1"),
        "RETRY_SCHEDULES": (
            not any(_refusal(validate_pattern, name) for name in settings.RETRY_SCHEDULES),
            "schedules by pattern: order.created, order.*, or *",
        ),
    }


def _of_the_wire() -> Rules:
    prefix, source = settings.HEADER_PREFIX or "", settings.CLOUDEVENTS_SOURCE or ""
    return {
        "VALIDATE_EVENTS": (
            settings.VALIDATE_EVENTS in (None, "schema", "catalogue"),
            '"schema", "catalogue" or None',
        ),
        "MAX_PAYLOAD_BYTES": (settings.MAX_PAYLOAD_BYTES >= 1, "1 or more"),
        "ALLOWED_PORTS": (
            all(isinstance(port, int) for port in settings.ALLOWED_PORTS),
            "whole numbers",
        ),
        "EGRESS_PROXY": (_is_proxy(settings.EGRESS_PROXY), "http://host:port, or None"),
        "HEADER_PREFIX": (
            re.fullmatch("[a-z][a-z0-9-]{0,30}-", prefix),
            "lower-case letters, digits and -, with - at its end",
        ),
        "OPERATIONAL_TENANT": (
            settings.OPERATIONAL_TENANT is None or 0 < len(settings.OPERATIONAL_TENANT) <= 100,
            "the name of a tenant of its own, or None",
        ),
        "CLOUDEVENTS_SOURCE": (
            re.fullmatch("[!-~]{1,200}", source),
            "a URI, or its beginning: /shop",
        ),
    }


def _of_searching() -> Rules:
    wanted = (
        f'at most {searching.MOST} names of letters, digits, "_" and "-" (50 characters), '
        'each with a dotted path: {"order_id": "data.order.id"}'
    )
    return {"SEARCH_KEYS": (searching.fine(settings.SEARCH_KEYS), wanted)}


def _of_the_console() -> Rules:
    fine = settings.CONSOLE_TENANTS is None or _names_a_function(settings.CONSOLE_TENANTS)
    return {"CONSOLE_TENANTS": (fine, "the dotted path of a function, or None")}


def _of_metrics() -> Rules:
    """A token must fit into a header; and what is told by endpoint is kept for each of them."""
    token = settings.METRICS_TOKEN
    return {
        "METRICS_TOKEN": (
            token is None or re.fullmatch("[!-~]{16,}", token),
            "at least 16 visible ASCII characters, without blanks",
        ),
        "METRICS_ENDPOINTS": (
            settings.METRICS_ENDPOINTS in range(501),
            "a whole number, 0 to 500",
        ),
    }


def _of_retention() -> Rules:
    """Half an hour is for tests; a century is longer than a database counts back."""
    given = {name: getattr(settings, name) for name in sorted(DAYS)}
    wanted = "at most 36500, or None: for ever"
    return {name: (days is None or days <= LONGEST_DAYS, wanted) for name, days in given.items()}


def _is_proxy(url: str | None) -> bool:
    if url is None:
        return True
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _names_a_function(path: str) -> bool:
    try:
        return callable(import_string(path))
    except ImportError:
        return False


def _refusal(parse: Callable[[Any], object], value: Any) -> Exception | None:
    """What a parser has against a value; None if it takes it."""
    try:
        parse(value)
    except (ValidationError, ValueError, TypeError) as error:
        return error
    return None


def _schedules() -> Iterator[CheckMessage]:
    for schedule in [settings.RETRY_SCHEDULE, *settings.RETRY_SCHEDULES.values()]:
        if _refusal(lambda waits: validate_schedule(list(waits)), schedule):
            yield Error(
                f"{schedule!r} is no retry schedule.",
                hint="Use a list of seconds, each between 0 and 604 800.",
                id="webhook_delivery.E003",
            )


def _networks() -> Iterator[CheckMessage]:
    for network in settings.ALLOWED_NETWORKS:
        if error := _refusal(ip_network, str(network)):
            yield Error(
                f"ALLOWED_NETWORKS: {error}.",
                hint="Use CIDRs such as 10.1.0.0/16.",
                id="webhook_delivery.E004",
            )
