"""Runs drf-hooks: `drain` publishes and sends at once, `isolation` works under a steady load."""

from __future__ import annotations

import threading
import time
from typing import Any

from staging.load import isolated
from staging.scripts import order, perform

ENVELOPE_BYTES = 150
SETTINGS = "its own queue and 3 threads in the one publishing process, PostgreSQL"


def drain(url: str, count: int, body_bytes: int) -> dict[str, Any]:
    from django.db import transaction

    subscribe([url])
    started = time.time()
    with transaction.atomic():  # it sends before the commit, so this spares it the disk
        for _ in range(count):
            publish(body_bytes)
    published = time.time()
    ended = when_idle()
    return {
        "sent": client().total_sent,
        "seconds": ended - started,
        "startup_seconds": 0.0,
        "notes": f"no backlog of its own: with the saves, which took {published - started:.1f} s; "
        f"{len(client().queue)} left in the queue",
        "settings": SETTINGS,
    }


def isolation(
    healthy: list[str], hanging: list[str], rate: float, seconds: float, timeout: float
) -> dict[str, Any]:
    from shop.models import TimedHook

    TimedHook.timeout_seconds = timeout
    ended: list[object] = []
    threading.excepthook = ended.append  # what a thread of the package's raises, ends it
    subscribe([*healthy, *hanging])
    found = isolated(lambda: publish(1024), healthy, rate, seconds)
    left = len(client().queue)
    client().queue.clear()  # its threads would keep this process until all has timed out
    notes = f"{left} left in the queue in memory; {len(ended)} threads ended by a timeout"
    return found | {"notes": notes, "settings": f"{SETTINGS}; timeout {timeout:g} s"}


def client() -> Any:
    from drf_hooks.client import get_client

    return get_client()


def when_idle() -> float:
    """Wait until no thread sends any more, and say when that was."""
    while any(thread.is_alive() for thread in client().flush_threads):
        time.sleep(0.01)
    return time.time()


def subscribe(urls: list[str]) -> None:
    from django.contrib.auth.models import User
    from shop.models import TimedHook

    user = User.objects.create(username="owner")
    for url in urls:
        TimedHook.objects.create(user=user, event="order.created", target=url)


def publish(body_bytes: int) -> None:
    from shop.models import Order

    Order.objects.create(**order(body_bytes, ENVELOPE_BYTES))


if __name__ == "__main__":
    perform("drf_hooks", {"drain": drain, "isolation": isolation})
