"""The verbs that send themselves, here and now: `drain` and `send-test`."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from webhook_delivery import loop
from webhook_delivery.conf import settings
from webhook_delivery.management.interrupts import interrupts
from webhook_delivery.management.rendering import detailed, page, sentence
from webhook_delivery.management.verbs.choosing import by_default, the_endpoint
from webhook_delivery.management.verbs.reading import positive
from webhook_delivery.management.verbs.verb import SENDING, Verb, misused
from webhook_delivery.models import Delivery, Endpoint, Event
from webhook_delivery.publishing import attempt_now, publish_test


class Drain(Verb):
    """Sends what is due and says what came of it; with `--loop`, until a signal asks to stop."""

    name = "drain"
    help = "send what is due"
    group = SENDING
    changes = True
    example = "drain\ndrain --loop\ndrain --dry-run"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        parser.add_argument("--seconds", type=positive, default=60, help="then begin nothing new")
        parser.add_argument("--loop", dest="loop_", action="store_true", help="go on until stopped")

    def run(self, *, seconds: float, loop_: bool, dry_run: bool, **options: Any) -> None:
        if dry_run:
            self._rehearse()
            return
        if loop_:
            with interrupts() as asked:
                loop.run(using=self.database, stopped=asked.is_set)
            return
        report = loop.once(using=self.database, seconds=seconds)
        self.say(asdict(report), sentence(report))

    def _rehearse(self) -> None:
        due = Delivery.objects.using(self.database).due().order_by("pk")
        ids = list(due.values_list("pk", flat=True))
        said = f"Due now: {len(ids)}. Nothing was sent."
        self.say({"due": ids, "dry_run": True, "message": said}, said)


class SendTest(Verb):
    """
    Sends a test event to one endpoint, now, though it be paused for a while by its breaker or by
    its own wish; exits with 1 unless it was delivered.
    """

    name = "send-test"
    help = "send a test event to one endpoint"
    group = SENDING
    changes = True
    example = "send-test acme"
    fails = "it was not delivered"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        parser.add_argument("endpoint", metavar="ENDPOINT", help="number or name")
        said = "who asks (default: %(default)s)"
        parser.add_argument("--by", default=by_default(), metavar="NAME", help=said)

    def run(self, *, endpoint: str, by: str, dry_run: bool, **options: Any) -> None:
        target = the_endpoint(self.database, endpoint)
        if target.state != Endpoint.State.ON:
            raise misused(f"{target} is {target.get_state_display()}: switch it on first.")
        if dry_run:
            said = f"A test event would be sent to {target}."
            self.say({"endpoint": target.pk, "dry_run": True, "message": said}, said)
            return
        event = publish_test(target, by=by, using=self.database)
        attempt_now(event, using=self.database, regardless=True)
        sent = detailed(_once_it_has_ended(event, self.database))
        self.say(sent, page(sent, self.style))
        self.conclude(sent["state"] == Delivery.State.DELIVERED)


def _once_it_has_ended(event: Event, using: str) -> Delivery:
    """A worker may have been faster, and wait for the answer still; but no longer than that."""
    ends = time.monotonic() + settings.MAX_TIMEOUT_SECONDS
    test = Delivery.objects.using(using).filter(event=event)
    while test.unfinished().exists() and time.monotonic() < ends:
        time.sleep(0.05)
    return test.get()
