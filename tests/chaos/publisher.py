"""`python -m tests.chaos.publisher`: publishes at a rate; prints each id once it has committed."""

from __future__ import annotations

import argparse
import signal
import time
from threading import Event as Flag

import django

EVERY = 10
"""One event in so many goes to the endpoint that never takes any."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, required=True, help="events a second")
    parser.add_argument("--events", type=int, default=0, help="how many; 0: until it is stopped")
    options = parser.parse_args()
    stopped = Flag()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    django.setup()
    number, began = 0, time.monotonic()
    while not stopped.wait(began + number / options.rate - time.monotonic()):
        publish(number)
        number += 1
        if number == options.events:
            break


def publish(number: int) -> None:
    """Publish one; who is not told that the commit succeeded may not count on it."""
    from django.db import DatabaseError, InterfaceError, connection

    import webhook_delivery

    event_type = "order.created" if number % EVERY else "order.lost"
    try:
        print(webhook_delivery.publish(event_type, {"number": number}).webhook_id, flush=True)
    except (DatabaseError, InterfaceError):
        connection.close()
        time.sleep(0.1)


if __name__ == "__main__":
    main()
