"""`python -m tests.loops hears`: it never looks by itself; `hurries`: its rounds are short."""

import signal
import sys
from threading import Event

import django

HOURS = 3600


def main(how: str) -> None:
    django.setup()
    from webhook_delivery import listening, loop

    if how == "hurries":
        loop.ROUND_SECONDS = 0.05
    else:
        listening.NET_SECONDS = loop.ROUND_SECONDS = HOURS
        listening.Listener._sees = lambda listener: False
    asked = Event()
    signal.signal(signal.SIGTERM, lambda *_: asked.set())
    loop.run(using="default", stopped=asked.is_set)


if __name__ == "__main__":
    main(sys.argv[1])
