"""The scripted receiver as a process, with the signatures' second opinion."""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Mapping

from standardwebhooks import Webhook, WebhookVerificationError

from webhook_delivery.testing.receiver import Receiver


def by_the_library(body: bytes, headers: Mapping[str, str], secret: str) -> None:
    """Verify by the library of the specification's authors, not by our own."""
    try:
        Webhook(secret).verify(body, dict(headers), json_parse=False)
    except WebhookVerificationError as error:
        raise ValueError(str(error)) from error


_reporting = threading.Lock()


def _report(line: str) -> None:
    """Print one line at a time: requests come in concurrently."""
    with _reporting:
        print(line, flush=True)


def main() -> None:
    """
    Run as a process: a line of JSON for each request, until standard input is closed.

    A line on standard input is another script for a path, and is answered when it holds.
    """
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--secret", action="append", default=[], metavar="PATH=SECRET")
    parser.add_argument("--script", action="append", default=[], metavar="PATH=503,0,200")
    options = parser.parse_args()
    with Receiver(
        port=options.port,
        heard=lambda got: _report(got.as_json()),
        verifier=by_the_library,
    ) as it:
        it.secrets.update(pair.split("=", 1) for pair in options.secret)
        for script in options.script:
            it.follow(script)
        _report(json.dumps({"listening": it.url("")}))
        for line in sys.stdin:
            it.follow(line.strip())
            _report(json.dumps({"following": line.strip()}))


if __name__ == "__main__":
    main()
