"""Makes a run.py: named works with JSON arguments, a database, one JSON answer."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

from staging.databases import database

Work = Callable[..., dict[str, Any]]


def perform(peer: str, works: dict[str, Work]) -> None:
    """Do the work named on the command line in a fresh database, and print what it found."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))
    work, arguments = works[sys.argv[1]], json.loads(sys.argv[2])
    with database(f"peers_{peer}_{os.getpid()}"):
        _set_up()
        found = work(**arguments)
        _close()
    found["cpu_seconds"] = _cpu_seconds(resource.RUSAGE_CHILDREN) or _cpu_seconds(
        resource.RUSAGE_SELF
    )
    print(json.dumps(found), flush=True)


def padding(body_bytes: int, envelope_bytes: int) -> str:
    """What fills a body up to `body_bytes`, when all else in it takes `envelope_bytes`."""
    return "x" * max(0, body_bytes - envelope_bytes)


def order(body_bytes: int, envelope_bytes: int) -> dict[str, Any]:
    """The fields of an order that is about to be committed."""
    return {"committed": time.time(), "padding": padding(body_bytes, envelope_bytes)}


def _set_up() -> None:
    # django-webhook reads its topics while Django starts, and is warned each time.
    warnings.filterwarnings("ignore", "Accessing the database during app initialization")

    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    call_command(
        "migrate", run_syncdb=True, verbosity=0
    )  # the shop has no migrations, but may refer to users


def _cpu_seconds(whose: int) -> float:
    used = resource.getrusage(whose)
    return used.ru_utime + used.ru_stime


def _close() -> None:
    from django.db import connections

    connections.close_all()
