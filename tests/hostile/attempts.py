"""
Makes attempts, each in a process of its own, and says what each of them found and what it cost.

`python -m tests.hostile.attempts` reads jobs from its standard input, a line of JSON for each. A
process that has done nothing else yet is forked for each of them, for the most memory that a
process ever had is known, and never falls.
"""

from __future__ import annotations

import base64
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

from django.conf import settings

HANGS_SECONDS = 5
"""After which an attempt is ended from outside."""
ORDINARY_SECONDS = 10
"""What attempts are given that are not to be judged."""
ENDPOINT, OTHER = 1, 2


class Hung(BaseException):
    """The attempt did not end by itself."""


def main() -> None:
    settings.configure(WEBHOOK_DELIVERY={"ALLOWED_NETWORKS": ["127.0.0.0/8"]})
    import webhook_delivery.transport  # noqa: F401 - once, before the first fork

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they ended
    signal.signal(signal.SIGALRM, _give_up)
    for line in sys.stdin:
        if not os.fork():
            _attempt_and_exit(json.loads(line))


def _give_up(*_: object) -> None:
    raise Hung


def _attempt_and_exit(job: dict[str, Any]) -> None:
    try:
        line = json.dumps(_attempted(job)) + "\n"
        os.write(sys.stdout.fileno(), line.encode())  # at once: others write there too
    except BaseException:
        traceback.print_exc()
    os._exit(0)


def _attempted(job: dict[str, Any]) -> dict[str, Any]:
    """Make ordinary attempts, which load all that attempts need; then those that count."""
    post, body = _poster(job["authority"]), b"x" * job["body"]
    for url in job["ordinary"]:
        post(OTHER, url, b"{}", number=0, timeout=ORDINARY_SECONDS)
    connected: list[Any] = []
    sys.addaudithook(lambda what, args: what == "socket.connect" and connected.append(args[1]))
    before, found, seconds = _most_kib(), [], []
    for number in range(1, job["asked"] + 1):
        timeout = job["timeout"] if number == job["asked"] else ORDINARY_SECONDS
        began = time.monotonic()
        attempt = partial(post, ENDPOINT, job["url"], body, number=number, timeout=timeout)
        found.append(_watched(attempt))
        seconds.append(time.monotonic() - began)
    return {
        "id": job["id"],
        "ended": ", ".join(map(_in_words, found)),
        "seconds": max(seconds),
        "grown_kib": _most_kib() - before,
        "connected": len(connected),
        "kept": base64.b64encode(getattr(found[-1], "excerpt", b"")).decode(),
    }


def _poster(authority: str) -> Callable[..., Any]:
    """Posts over connections that it keeps, and believes the authority."""
    from webhook_delivery.transport import TLS, Transport

    transport, tls = Transport(), TLS(ca_bundle=authority)

    def post(endpoint: int, url: str, body: bytes, *, number: int, timeout: float) -> Any:
        headers = {"x-post": str(number)}
        return transport.post(endpoint, url, body, headers, timeout=timeout, tls=tls)

    return post


def _watched(post: Callable[[], Any]) -> Any:
    """The outcome; or in words, that there was none."""
    signal.setitimer(signal.ITIMER_REAL, HANGS_SECONDS)
    try:
        return post()
    except Hung:
        return "never"
    except Exception as error:
        return f"with {type(error).__name__}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _most_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _in_words(outcome: Any) -> str:
    """The status, if there is one, and the fault, if there is one."""
    if isinstance(outcome, str):
        return outcome
    words = [outcome.status, outcome.fault or "delivered"]
    return " ".join(str(word) for word in words if word)


if __name__ == "__main__":
    main()
