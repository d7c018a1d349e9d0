"""The verb about the keys that seal secrets: `rotate-keys`."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandParser

from webhook_delivery.management.progress import Progress
from webhook_delivery.management.verbs.verb import Verb
from webhook_delivery.models import Endpoint
from webhook_delivery.resealing import Resealed, reseal


class RotateKeys(Verb):
    """Seals everything with the newest of SECRET_KEYS; exits with 1 if something does not open."""

    name = "rotate-keys"
    help = "seal stored secrets with the newest of SECRET_KEYS"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")

    def run(self, *, dry_run: bool, **options: Any) -> None:
        with Progress("looked at", self.err) as progress:
            done = reseal(using=self.database, dry_run=dry_run, told=progress.add)
        named = Endpoint.objects.using(self.database).filter(pk__in=done.owners).order_by("pk")
        endpoints = [{"id": pk, "name": name} for pk, name in named.values_list("pk", "name")]
        counts = {"resealed": done.anew, "current": done.current, "unopenable": done.closed}
        report = {**counts, "endpoints": endpoints, "dry_run": dry_run}
        self.say(report, _said(done, endpoints, dry_run))
        if done.closed:
            sys.exit(1)


def _said(done: Resealed, endpoints: list[dict[str, Any]], dry_run: bool) -> str:
    act = "To be sealed anew" if dry_run else "Sealed anew"
    said = f"{act}: {done.anew}, current already: {done.current}."
    if not done.closed:
        return said
    named = ", ".join(f"{each['id']} ({each['name']})" for each in endpoints)
    return (
        f"{said}\nCannot be opened: {done.closed}, of endpoint {named}. Put the key that sealed "
        "them into SECRET_KEYS behind the others, and run this again."
    )
