"""What works and should not go live so: for `check --deploy`."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from django.conf import settings as django_settings
from django.core import checks
from django.core.checks import CheckMessage
from django.db import connections, router
from django.urls import URLPattern, URLResolver, get_resolver

from webhook_delivery.conf import settings
from webhook_delivery.models import Delivery
from webhook_delivery.scheduling.oddities import several_clusters

LOOPBACK = tuple(map(ip_network, ("127.0.0.0/8", "::1/128")))
WIDE = {4: 8, 6: 32}
"""The longest prefix of a network, by version, that is more than one organisation's part of it."""
METRICS = "webhook_delivery.metrics.views"


def of_deployment() -> Iterator[CheckMessage]:
    yield from _keys()
    yield from _wire()
    yield from _networks()
    yield from _sqlite()
    yield from _metrics()


def _keys() -> Iterator[CheckMessage]:
    if not settings.SECRET_KEYS:
        yield checks.Warning(
            "Signing secrets are sealed with a key derived from SECRET_KEY.",
            hint="Set SECRET_KEYS and run `manage.py webhooks rotate-keys`, so that a new "
            "SECRET_KEY does not make them unreadable.",
            id="webhook_delivery.W001",
        )


def _wire() -> Iterator[CheckMessage]:
    if settings.ALLOW_HTTP:
        yield checks.Warning(
            "ALLOW_HTTP is on: bodies and headers of endpoints may travel in the clear.",
            hint="Leave it out; receivers in your own network can have certificates of your own "
            "authority, which an endpoint may name.",
            id="webhook_delivery.W030",
        )
    if not settings.ALLOWED_PORTS and not settings.EGRESS_PROXY:
        yield checks.Warning(
            "ALLOWED_PORTS is empty: who may add endpoints can reach any port of any public host.",
            hint="Leave it out, or name the ports: (80, 443, 8443).",
            id="webhook_delivery.W031",
        )


def _networks() -> Iterator[CheckMessage]:
    wide = [str(network) for network in settings.ALLOWED_NETWORKS if _is_wide(str(network))]
    if wide:
        yield checks.Warning(
            f"ALLOWED_NETWORKS opens {', '.join(wide)}: the host itself, or all of a network.",
            hint="Name the subnets that receivers live in, such as 10.1.7.0/24; who may add "
            "endpoints can reach whatever is in them.",
            id="webhook_delivery.W032",
        )


def _is_wide(text: str) -> bool:
    network = ip_network(text)
    itself = any(network.version == own.version and network.overlaps(own) for own in LOOPBACK)
    return itself or network.prefixlen <= WIDE[network.version]


def _sqlite() -> Iterator[CheckMessage]:
    alias = router.db_for_write(Delivery)
    if connections[alias].vendor == "sqlite" and several_clusters():
        yield checks.Warning(
            f"Several clusters are to share the SQLite database {alias!r}, which lives on one host "
            "and lets one of them write at a time.",
            hint="Use PostgreSQL or MariaDB, or one cluster with django-q2's ORM broker.",
            id="webhook_delivery.W033",
        )


def _metrics() -> Iterator[CheckMessage]:
    routed = getattr(django_settings, "ROOT_URLCONF", None)
    if routed and not settings.METRICS_TOKEN and _is_mounted(get_resolver()):
        yield checks.Warning(
            "The page of metrics is mounted, and there is no METRICS_TOKEN: Prometheus is refused.",
            hint="Set METRICS_TOKEN to 16 random characters or more, and show them as a bearer "
            "token.",
            id="webhook_delivery.W034",
        )


def _is_mounted(resolver: URLResolver) -> bool:
    return any(
        _is_mounted(each) if isinstance(each, URLResolver) else _is_the_page(each)
        for each in resolver.url_patterns
    )


def _is_the_page(pattern: URLPattern) -> bool:
    return getattr(pattern.callback, "__module__", "") == METRICS
