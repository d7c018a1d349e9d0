"""The verbs that send: `drain`, `redeliver` and `send-test`."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from threading import Event as Flag
from typing import Any

from django.core.management.base import CommandError, CommandParser

from webhook_delivery import loop, redelivery
from webhook_delivery.conf import settings
from webhook_delivery.management.rendering import detailed, page, sentence
from webhook_delivery.management.verbs.choosing import (
    FILTERS,
    add_filters,
    chosen,
    must_exist,
    positive,
    the_endpoint,
)
from webhook_delivery.management.verbs.verb import Verb
from webhook_delivery.models import Delivery, Endpoint, Event
from webhook_delivery.publishing import attempt_now, publish_test


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
    Sends a test event to one endpoint, now, though it be paused for a while by its breaker or by
    its own wish; exits with 1 unless it was delivered.
    """

    name = "send-test"
    help = "send a test event to one endpoint"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        parser.add_argument("endpoint", help="an endpoint's number or name")

    def run(self, *, endpoint: str, **options: Any) -> None:
        target = the_endpoint(self.database, endpoint)
        if target.state != Endpoint.State.ON:
            raise CommandError(f"{target} is {target.get_state_display()}: switch it on first.")
        event = publish_test(target, using=self.database)
        attempt_now(event, using=self.database, regardless=True)
        sent = detailed(_once_it_has_ended(event, self.database))
        self.say(sent, page(sent))
        if sent["state"] != Delivery.State.DELIVERED:
            sys.exit(1)


def _once_it_has_ended(event: Event, using: str) -> Delivery:
    """A worker may have been faster, and wait for the answer still; but no longer than that."""
    ends = time.monotonic() + settings.MAX_TIMEOUT_SECONDS
    test = Delivery.objects.using(using).filter(event=event)
    while test.unfinished().exists() and time.monotonic() < ends:
        time.sleep(0.05)
    return test.get()


def _stopped_by_signals() -> Callable[[], bool]:
    """SIGTERM and SIGINT ask the loop to end; what is in flight is still recorded."""
    asked = Flag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    return asked.is_set
