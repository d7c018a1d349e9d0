"""`python -m tests.loops`: a loop that never looks by itself; only what it hears wakes it."""

import signal
from threading import Event

import django

HOURS = 3600


def main() -> None:
    django.setup()
    from webhook_delivery import listening, loop

    listening.NET_SECONDS = loop.ROUND_SECONDS = HOURS
    listening.Listener._sees = lambda listener: False
    asked = Event()
    signal.signal(signal.SIGTERM, lambda *_: asked.set())
    loop.run(using="default", stopped=asked.is_set)


if __name__ == "__main__":
    main()
