"""The verbs about secrets: `rotate-secret` of one endpoint, `rotate-keys` that seal them all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser
from django.views.decorators.debug import sensitive_variables

from webhook_delivery import rotation, signing
from webhook_delivery.management.verbs.choosing import add_who, the_endpoint
from webhook_delivery.management.verbs.reading import span
from webhook_delivery.management.verbs.verb import CHANGING, Verb
from webhook_delivery.models import Endpoint
from webhook_delivery.resealing import Resealed, reseal


class RotateSecret(Verb):
    """
    Gives an endpoint a new signing secret, and prints it, this once; the one before signs too, for
    a while. What else there is to say is printed on standard error.
    """

    name = "rotate-secret"
    help = "give an endpoint a new signing secret"
    group = CHANGING
    changes = True
    example = (
        'rotate-secret acme --why "once a year"\n'
        'rotate-secret acme --overlap 0s --why "it was in a log"'
    )

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        parser.add_argument("endpoint", metavar="ENDPOINT", help="number or name")
        said = "for how long the one before signs too; 0s: no longer (default: 24h)"
        usual = rotation.OVERLAP
        parser.add_argument("--overlap", type=span, default=usual, metavar="SPAN", help=said)
        add_who(parser)

    @sensitive_variables()
    def run(
        self, *, endpoint: str, overlap: timedelta, by: str, why: str, dry_run: bool, **options: Any
    ) -> None:
        of = the_endpoint(self.database, endpoint)
        who: dict[str, Any] = {"by": by, "reason": why, "using": self.database}
        secret = None if dry_run else rotation.rotate(of.pk, overlap=overlap, **who)
        private = secret is not None and secret.startswith(signing.PRIVATE)
        public = signing.public_key_of(secret) if secret and private else None
        hours = overlap.total_seconds() / 3600
        known = {"endpoint": of.pk, "name": of.name, "overlap_hours": hours}
        self._comment(dry_run, f"{of}: the one before signs for {hours:g} hours more.", public)
        told = {**known, "secret": secret, "public_key": public, "dry_run": dry_run}
        self.say(told, secret or f"The signing secret of {of} would be rotated.")

    def _comment(self, dry_run: bool, said: str, public: str | None) -> None:
        if not self.json and not dry_run:
            self.err.write(said, style_func=str)
            if public:
                self.err.write(f"Receivers verify with {public}", style_func=str)


class RotateKeys(Verb):
    """Seals everything with the newest of SECRET_KEYS; exits with 1 if something does not open."""

    name = "rotate-keys"
    help = "seal stored secrets with the newest of SECRET_KEYS"
    changes = True
    example = "rotate-keys --dry-run\nrotate-keys"
    fails = "something cannot be opened"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        """It has none of its own."""

    def run(self, *, dry_run: bool, **options: Any) -> None:
        with self.progress("looked at") as progress:
            done = reseal(using=self.database, dry_run=dry_run, told=progress.add)
        named = Endpoint.objects.using(self.database).filter(pk__in=done.owners).order_by("pk")
        endpoints = [{"id": pk, "name": name} for pk, name in named.values_list("pk", "name")]
        counts = {"resealed": done.anew, "current": done.current, "unopenable": done.closed}
        report = {**counts, "endpoints": endpoints, "dry_run": dry_run}
        self.say(report, _said(done, endpoints, dry_run))
        self.conclude(not done.closed)


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
