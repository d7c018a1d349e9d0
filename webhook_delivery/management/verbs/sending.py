"""The verbs that send themselves, here and now: `drain` and `send-test`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from webhook_delivery import loop
from webhook_delivery.management.heap import frozen
from webhook_delivery.management.interrupts import interrupts
from webhook_delivery.management.rendering import detailed, page, sentence, whole
from webhook_delivery.management.verbs.choosing import by_default, the_endpoint
from webhook_delivery.management.verbs.reading import positive, rate
from webhook_delivery.management.verbs.verb import SENDING, Verb
from webhook_delivery.models import Delivery
from webhook_delivery.probing import probe


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
            with frozen(), interrupts() as asked:
                loop.run(using=self.database, stopped=asked.is_set)
            return
        with frozen():
            report = loop.once(using=self.database, seconds=seconds)
        loop.prune(using=self.database)
        self.say(asdict(report), sentence(report))

    def _rehearse(self) -> None:
        due = Delivery.objects.using(self.database).due().order_by("pk")
        ids = list(due.values_list("pk", flat=True))
        said = f"Due now: {len(ids)}. Nothing was sent."
        self.say({"due": ids, "dry_run": True, "message": said}, said)


class SendTest(Verb):
    """
    Sends a test event to one endpoint, now, whatever its state, and waits for the answer; exits
    with 1 unless it was delivered.

    An endpoint that no person switched off is on again if the test arrives.
    """

    name = "send-test"
    help = "send a test event to one endpoint"
    group = SENDING
    changes = True
    example = "send-test acme\nsend-test acme --rate 10"
    fails = "it was not delivered"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        parser.add_argument("endpoint", metavar="ENDPOINT", help="number or name")
        said = "who asks (default: %(default)s)"
        parser.add_argument("--by", default=by_default(), metavar="NAME", help=said)
        said = "how many a second it is sent at most, once it is on again"
        parser.add_argument("--rate", type=rate, metavar="N", help=said)

    def run(
        self, *, endpoint: str, by: str, rate: float | None, dry_run: bool, **options: Any
    ) -> None:
        target = the_endpoint(self.database, endpoint)
        if dry_run:
            said = f"A test event would be sent to {target}."
            self.say({"endpoint": target.pk, "dry_run": True, "message": said}, said)
            return
        probed = probe(target, by=by, rate=rate, using=self.database)
        test = Delivery.objects.using(self.database).filter(pk=probed.delivery.pk)
        sent, switched = detailed(whole(test).get()), probed.switched
        on = switched is not None and switched.changed
        text = page(sent, self.style)
        self.say(
            {**sent, "switched_on": on, "released": len(switched.moved) if switched else 0},
            f"{text}\n{target} is on again." if on else text,
        )
        self.conclude(probed.arrived)
