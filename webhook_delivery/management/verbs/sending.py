"""The verbs that send: `drain`, `redeliver` and `send-test`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from threading import Event as Flag
from typing import Any

from django.core.management.base import CommandError, CommandParser

from webhook_delivery import loop, redelivery
from webhook_delivery.management.rendering import detailed, page, sentence
from webhook_delivery.management.verbs.choosing import (
    FILTERS,
    add_filters,
    chosen,
    must_exist,
    positive,
    rate,
    the_endpoint,
)
from webhook_delivery.management.verbs.verb import Verb
from webhook_delivery.models import Endpoint
from webhook_delivery.probing import probe


class Drain(Verb):
    """Sends what is due and says what came of it; with `--loop`, until a signal asks to stop."""

    name = "drain"
    help = "send what is due"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        parser.add_argument("--seconds", type=positive, default=60, help="then begin nothing new")
        parser.add_argument("--loop", dest="loop_", action="store_true", help="go on until stopped")

    def run(self, *, seconds: float, loop_: bool, **options: Any) -> None:
        if loop_:
            loop.run(using=self.database, stopped=_stopped_by_signals())
            return
        report = loop.once(using=self.database, seconds=seconds)
        self.say(asdict(report), sentence(report))


class Redeliver(Verb):
    """Sends again: those named, or all dead ones that fit; exits with 1 if that is none."""

    name = "redeliver"
    help = "send again"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        add_filters(parser)
        parser.add_argument("deliveries", nargs="*", help="numbers of deliveries, or webhook-ids")
        parser.add_argument("--by", default="", help="who asks")
        parser.add_argument("--why", default="", help="the reason to keep")

    def run(self, *, deliveries: list[str], by: str, why: str, **options: Any) -> None:
        if not deliveries and not any(options[name] for name in FILTERS):
            raise CommandError("Name deliveries, or choose dead ones by a filter.")
        must_exist(self.database, deliveries)
        options["state"] = options["state"] or ("" if deliveries else "dead")
        fitting = chosen(self.database, **options)
        named = fitting.named(*deliveries) if deliveries else fitting
        done = redelivery.redeliver(named, by=by, reason=why)
        said = redelivery.message_of_redelivery(done)
        self.say({"redelivered": done.ids, "left": done.left, "message": said}, said)
        if not done.count:
            sys.exit(1)


class SendTest(Verb):
    """
    Sends a test event to one endpoint, now, whatever its state; exits with 1 unless it arrived.

    One that was switched off for failing is on again if the test arrives.
    """

    name = "send-test"
    help = "send a test event to one endpoint; it may switch on one that was off for failing"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        parser.add_argument("endpoint", help="an endpoint's number or name")
        parser.add_argument("--by", default="", help="who asks")
        parser.add_argument(
            "--rate", type=rate, help="requests a second, at most, once it is on again"
        )

    def run(self, *, endpoint: str, by: str, rate: float | None, **options: Any) -> None:
        target = the_endpoint(self.database, endpoint)
        probed = probe(target, by=by or None, rate=rate, using=self.database)
        sent = detailed(probed.delivery)
        on = probed.switched is not None and probed.switched.changed
        released = len(probed.switched.moved) if probed.switched else 0
        self.say({**sent, "switched_on": on, "released": released}, _told(sent, target, on=on))
        if not probed.arrived:
            sys.exit(1)


def _told(sent: dict[str, Any], endpoint: Endpoint, *, on: bool) -> str:
    return f"{page(sent)}\n{endpoint} is on again." if on else page(sent)


def _stopped_by_signals() -> Callable[[], bool]:
    """SIGTERM and SIGINT ask the loop to end; what is in flight is still recorded."""
    asked = Flag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    return asked.is_set
