"""`manage.py webhooks VERB …`; the verbs are in `management.verbs`."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from webhook_delivery.management.verbs import VERBS


class Command(BaseCommand):
    help = "Works on webhook deliveries: send what is due, look at them, send them again."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for verb in VERBS:
            verb.add_to(verbs)

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        chosen = {each.name: each for each in VERBS}[verb]
        database, json = options.pop("database"), options.pop("json")
        try:
            chosen(database=database, json=json, out=self.stdout, err=self.stderr).run(**options)
            self.stdout.flush()
        except BrokenPipeError:
            _leave_quietly()


def _leave_quietly() -> None:
    """Whoever read what we print (`| head`) has enough; the rest must not be flushed to them."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)
