"""The verb that owes an event to one more endpoint: `forward`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from webhook_delivery import forwarding
from webhook_delivery.management.verbs.choosing import add_who, the_endpoint, the_event
from webhook_delivery.management.verbs.verb import SENDING, Verb


class Forward(Verb):
    """Sends an event to an endpoint that it was never owed to, whatever that is subscribed to."""

    name = "forward"
    help = "send an event to one more endpoint"
    group = SENDING
    changes = True
    example = 'forward evt_01a201af8a4a7d32bc7f81785d35c02f acme --why "they asked for it"'
    fails = "something stood in its way"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        parser.add_argument("event", metavar="EVENT", help="its webhook-id")
        parser.add_argument("endpoint", metavar="ENDPOINT", help="number or name")
        add_who(parser)

    def run(
        self, *, event: str, endpoint: str, by: str, why: str, dry_run: bool, **options: Any
    ) -> None:
        row, to = the_event(self.database, event), the_endpoint(self.database, endpoint)
        if dry_run:
            obstacle, made = forwarding.obstacle(row, to.pk, using=self.database), None
        else:
            done = forwarding.forward(row, to.pk, by=by, reason=why, using=self.database)
            obstacle, made = done.obstacle, done.delivery and done.delivery.pk
        said = obstacle or f"{'Would be' if dry_run else 'Is'} sent to {to}."
        told = {"delivery": made, "obstacle": obstacle, "dry_run": dry_run, "message": said}
        self.say(told, said)
        self.conclude(not obstacle)
