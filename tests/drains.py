"""`python -m tests.drains COUNT`: so many processes drain at once, until nothing is left."""

import json
import os
import sys
import time

import django

SECONDS = 110
"""How long they may take: a test that fails must not leave them behind."""


def main(count: int) -> None:
    """Fork, so that Django is set up once; prints how many attempts each of them made."""
    django.setup()
    from webhook_delivery.transport import Transport  # imports what is slow to import

    assert Transport
    pipes = [_in_a_process_of_its_own() for _ in range(count)]
    print(json.dumps([int(pipe.read()) for pipe in pipes]))


def _in_a_process_of_its_own():
    reading, writing = os.pipe()
    if not os.fork():
        with os.fdopen(writing, "w") as pipe:
            pipe.write(str(_drain()))
            pipe.flush()
            os._exit(0)
    os.close(writing)
    return os.fdopen(reading)


def _drain() -> int:
    from webhook_delivery import loop
    from webhook_delivery.models import Delivery

    made, ends = 0, time.monotonic() + SECONDS
    while Delivery.objects.unfinished().exists() and time.monotonic() < ends:
        made += loop.once(using="default", seconds=ends - time.monotonic()).attempts
    return made


if __name__ == "__main__":
    main(int(sys.argv[1]))
