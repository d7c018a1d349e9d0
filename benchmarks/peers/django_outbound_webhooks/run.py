"""Runs django-outbound-webhooks: `drain` sends a backlog, `isolation` works under a steady load."""

from __future__ import annotations

import math
import os
import time
from contextlib import AbstractContextManager
from typing import Any

from staging.load import isolated, watch
from staging.processes import running
from staging.scripts import order, perform

ENVELOPE_BYTES = 175
DRAINING = {"relays": 4, "batch": 50}
ISOLATING = {"relays": 16, "batch": 1}
LEASE_MARGIN_SECONDS = 2


def drain(url: str, count: int, body_bytes: int) -> dict[str, Any]:
    from django.db import transaction

    register([url])
    with transaction.atomic():
        for _ in range(count):
            publish(body_bytes)
    settings = chosen(DRAINING)
    started = time.time()
    with relays(settings):
        watch(successes, count, every=0.2)
    first, last = recorded()
    return {
        "sent": successes(),
        "seconds": last - first,
        "startup_seconds": first - started,
        "notes": states(),
        "settings": described(settings),
    }


def isolation(
    healthy: list[str], hanging: list[str], rate: float, seconds: float, timeout: float
) -> dict[str, Any]:
    register([*healthy, *hanging])
    settings = chosen(ISOLATING) | {"timeout": timeout, "lease": one_request(timeout)}
    with relays(settings):
        publish(1024)
        watch(successes, len(healthy))
        found = isolated(lambda: publish(1024), healthy, rate, seconds)
    return found | {"notes": states(), "settings": described(settings)}


def one_request(timeout: float) -> int:
    """The shortest lease it permits: after a timeout the relay goes on, the row waits."""
    return math.ceil(timeout + LEASE_MARGIN_SECONDS + 1)


def chosen(usual: dict[str, Any]) -> dict[str, Any]:
    """The usual settings, or others to be tried: PEERS_RELAYS="8 50"."""
    if tried := os.environ.get("PEERS_RELAYS"):
        relays, batch = tried.split()
        return {"relays": int(relays), "batch": int(batch)}
    return usual


def described(settings: dict[str, Any]) -> str:
    bounds = (
        f", timeout {settings['timeout']:g} s, lease {settings['lease']} s"
        if "timeout" in settings
        else ""
    )
    return (
        f"{settings['relays']} processes of deliver_events, "
        f"batches of {settings['batch']}{bounds}; "
        f"PostgreSQL with kept connections, woken by NOTIFY; private addresses allowed"
    )


def relays(settings: dict[str, Any]) -> AbstractContextManager[list[Any]]:
    os.environ["PEERS_TIMEOUT"] = str(settings.get("timeout", 10))
    os.environ["PEERS_LEASE"] = str(settings.get("lease", 60))
    command = ["-m", "django", "deliver_events", "--batch-size", str(settings["batch"])]
    return running(*[command] * settings["relays"])


def register(urls: list[str]) -> None:
    from django_outbound_webhooks import register_endpoint

    for number, url in enumerate(urls):
        register_endpoint(
            name=f"endpoint {number}",
            url=url,
            secret="whsec_YmVuY2htYXJrLWJlbmNobWFyay1iZW5jaG1hcms=",
            event_names=["shop.OrderPlaced"],
        )


def publish(body_bytes: int) -> None:
    from shop.models import place

    place(**order(body_bytes, ENVELOPE_BYTES))


def successes() -> int:
    from django_domain_events.models import DeliveryRecord

    return DeliveryRecord.objects.filter(status="succeeded").count()


def recorded() -> tuple[float, float]:
    """When the first and the last success were recorded."""
    from django.db.models import Max, Min
    from django_domain_events.models import DeliveryRecord

    moments = DeliveryRecord.objects.aggregate(first=Min("succeeded_at"), last=Max("succeeded_at"))
    return moments["first"].timestamp(), moments["last"].timestamp()


def states() -> str:
    """How many deliveries have come to what."""
    from django.db.models import Count
    from django_domain_events.models import DeliveryRecord

    rows = DeliveryRecord.objects.values_list("status").annotate(Count("pk")).order_by("status")
    return ", ".join(f"{number} {state}" for state, number in rows)


if __name__ == "__main__":
    perform("django_outbound_webhooks", {"drain": drain, "isolation": isolation})
