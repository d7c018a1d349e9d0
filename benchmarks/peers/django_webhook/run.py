"""Runs django-webhook: `drain` sends a backlog in Redis, `isolation` works under a steady load."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from celery_app import app  # before Django is set up: tasks are registered with the current app
from staging.load import isolated, watch
from staging.processes import running
from staging.scripts import order, perform

ENVELOPE_BYTES = 170
DRAINING = {"workers": 2, "pool": "gevent", "concurrency": 20, "prefetch": 64}
ISOLATING = {"workers": 2, "pool": "gevent", "concurrency": 30, "prefetch": 1}


def drain(url: str, count: int, body_bytes: int) -> dict[str, Any]:
    from django.db import transaction

    with broker():
        subscribe([url])
        with transaction.atomic():  # it queues before the commit; no worker runs yet
            for _ in range(count):
                publish(body_bytes)
        started = time.time()
        with workers(chosen(DRAINING)):
            seen = watch(successes, count)
    return {
        "sent": seen.count,
        "seconds": seen.last - seen.first,
        "startup_seconds": seen.first - started,
        "notes": notes(count),
        "settings": described(chosen(DRAINING)),
    }


def isolation(
    healthy: list[str], hanging: list[str], rate: float, seconds: float, timeout: float
) -> dict[str, Any]:
    settings = chosen(ISOLATING) | {"time_limit": timeout}
    with broker():
        subscribe([*healthy, *hanging])
        with workers(settings):
            warm_up(settings["workers"])
            found = isolated(lambda: publish(1024), healthy, rate, seconds)
        left = backlog()
    notes = (
        f"no timeout of its own: Celery's time limit ended {unfinished()} tasks or left them, "
        f"their rows PENDING, not to be tried again; {left} tasks waiting in Redis"
    )
    return found | {"notes": notes, "settings": described(settings)}


def chosen(usual: dict[str, Any]) -> dict[str, Any]:
    """The usual settings, or others to be tried: PEERS_CELERY="1 prefork 8 64"."""
    if tried := os.environ.get("PEERS_CELERY"):
        workers, pool, concurrency, prefetch = tried.split()
        numbers = {"concurrency": int(concurrency), "prefetch": int(prefetch)}
        return {"workers": int(workers), "pool": pool, **numbers}
    return usual


def described(settings: dict[str, Any]) -> str:
    limit = f", time limit {settings['time_limit']:g} s" if "time_limit" in settings else ""
    return (
        f"Celery on Redis, {settings['workers']} workers, "
        f"pool {settings['pool']} × {settings['concurrency']}, "
        f"prefetch multiplier {settings['prefetch']}{limit}, "
        f"no gossip, mingle, heartbeat or results; "
        f"PostgreSQL with kept connections; events stored"
    )


def workers(settings: dict[str, Any]) -> AbstractContextManager[list[Any]]:
    os.environ["PEERS_CELERY_POOL"] = settings["pool"]
    os.environ["PEERS_CELERY_PREFETCH"] = str(settings["prefetch"])
    os.environ["PEERS_CELERY_WORKER"] = "1"
    options = ["--pool", settings["pool"], "--concurrency", str(settings["concurrency"])]
    if "time_limit" in settings:
        options += ["--time-limit", f"{settings['time_limit']:g}"]
    options += ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "ERROR"]
    command = ["-m", "celery", "-A", "celery_app", "worker", *options]
    return running(*([*command, "-n", f"peer{n}@%h"] for n in range(settings["workers"])))


def warm_up(expected: int) -> None:
    """Wait until all workers answer."""
    while len(app.control.ping(timeout=1.0)) < expected:
        pass


@contextmanager
def broker() -> Iterator[None]:
    """Take a Redis database that holds nothing of anybody's, and empty it at the end."""
    with app.connection_for_write() as connection:
        client = connection.default_channel.client
        keys = client.scan_iter()
        if strange := [
            key for key in keys if not key.startswith((b"celery", b"_kombu", b"unacked"))
        ]:
            raise SystemExit(f"Redis database 9 holds {strange[:3]}, which this did not write.")
        client.flushdb()
        try:
            yield
        finally:
            client.flushdb()


def backlog() -> int:
    with app.connection_for_read() as connection:
        client = connection.default_channel.client
        return int(client.llen("celery")) + int(client.hlen("unacked"))


def subscribe(urls: list[str]) -> None:
    from django_webhook.models import (
        Webhook,
        WebhookSecret,
        WebhookTopic,
        populate_topics_from_settings,
    )

    populate_topics_from_settings()
    topic = WebhookTopic.objects.get(name="shop.Order/create")
    for url in urls:
        webhook = Webhook.objects.create(url=url)
        webhook.topics.add(topic)
        WebhookSecret.objects.create(webhook=webhook, token="a-secret-of-the-benchmark")


def publish(body_bytes: int) -> None:
    from shop.models import Order

    Order.objects.create(**order(body_bytes, ENVELOPE_BYTES))


def successes() -> int:
    from django_webhook.models import WebhookEvent

    return WebhookEvent.objects.filter(status="SUCCESS").count()


def unfinished() -> int:
    from django_webhook.models import WebhookEvent

    return WebhookEvent.objects.filter(status="PENDING").count()


def notes(count: int) -> str:
    from django_webhook.models import WebhookEvent

    rows = WebhookEvent.objects.count()
    return f"{rows} rows for {count} events, {rows - successes()} of them no success"


if __name__ == "__main__":
    perform("django_webhook", {"drain": drain, "isolation": isolation})
