"""`manage.py webhooks …`: drain, list, show, redeliver, health, send-test; each takes `--json`."""

from __future__ import annotations

import signal
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from threading import Event as Flag
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections, router
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive, make_aware

from webhook_delivery import health, loop, redelivery
from webhook_delivery.drain import drain
from webhook_delivery.management.rendering import as_json, detailed, line, page, row, sentence
from webhook_delivery.models import Delivery, DeliveryQuerySet, Endpoint
from webhook_delivery.outcomes import Fault
from webhook_delivery.publishing import publish_test

FILTERS = ("state", "endpoint", "event_type", "because", "since")


class Command(BaseCommand):
    help = "Works on webhook deliveries: send what is due, look at them, send them again."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for add in (_add_drain, _add_list, _add_show, _add_redeliver, _add_health, _add_test):
            verb = add(verbs)
            verb.add_argument("--json", action="store_true", help="print JSON")
            verb.add_argument(
                "--database", default=router.db_for_write(Delivery), choices=list(connections)
            )

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        acts: dict[str, Callable[..., None]] = {
            "drain": self.drain,
            "list": self.list_,
            "show": self.show,
            "redeliver": self.redeliver,
            "health": self.health,
            "send-test": self.send_test,
        }
        acts[verb](**options)

    def drain(self, *, database: str, seconds: float, loop_: bool, **options: Any) -> None:
        """Send what is due and say what came of it; with `--loop`, until a signal asks to stop."""
        if loop_:
            loop.run(using=database, stopped=_stopped_by_signals())
            return
        report = loop.once(using=database, seconds=seconds)
        self._say(asdict(report), sentence(report), **options)

    def list_(self, *, database: str, limit: int, **options: Any) -> None:
        """Print the deliveries that fit the filters, newest first."""
        chosen = _chosen(database, **options).select_related("event", "endpoint")
        rows = [row(d) for d in chosen.defer("event__body").order_by("-pk")[:limit]]
        self._say(rows, "\n".join(map(line, rows)) or "No deliveries match.", **options)

    def show(self, *, database: str, delivery: str, **options: Any) -> None:
        """Print one delivery, or those of one event, with every attempt."""
        found = Delivery.objects.using(database).named(delivery)
        rows = [detailed(each) for each in found.select_related("event", "endpoint")]
        if not rows:
            raise CommandError(f"There is no delivery or event {delivery!r}.")
        self._say(rows, "\n\n".join(map(page, rows)), **options)

    def redeliver(
        self, *, database: str, deliveries: list[str], by: str, why: str, **options: Any
    ) -> None:
        """Send again: those named, or all dead ones that fit; exit 1 if that is none."""
        filtered = any(options[name] for name in FILTERS)
        if not deliveries and not filtered:
            raise CommandError("Name deliveries, or choose dead ones by a filter.")
        _must_exist(database, deliveries)
        options["state"] = options["state"] or ("" if deliveries else "dead")
        chosen = _chosen(database, **options)
        done = redelivery.redeliver(
            chosen.named(*deliveries) if deliveries else chosen, by=by, reason=why
        )
        said = redelivery.message_of_redelivery(done)
        self._say({"redelivered": done.ids, "left": done.left, "message": said}, said, **options)
        if not done.count:
            sys.exit(1)

    def health(self, *, database: str, **options: Any) -> None:
        """Say whether deliveries flow; exit 1 if something keeps them from it."""
        found = health.examine(using=database)
        said = "\n".join(f"{each.seen} {each.remedy}" for each in found)
        report = {"healthy": not found, "illnesses": [each.as_dict() for each in found]}
        self._say(report, said or "Healthy.", **options)
        if found:
            sys.exit(1)

    def send_test(self, *, database: str, endpoint: str, **options: Any) -> None:
        """Send a test event to one endpoint, now; exit 1 unless it was delivered."""
        target = _endpoint(database, endpoint)
        if target.state != Endpoint.State.ON:
            raise CommandError(f"{target} is {target.get_state_display()}: switch it on first.")
        event = publish_test(target, using=database)
        drain(using=database, event=event, seconds=1)
        sent = detailed(Delivery.objects.using(database).get(event=event))
        self._say(sent, page(sent), **options)
        if sent["state"] != Delivery.State.DELIVERED:
            sys.exit(1)

    def _say(self, value: Any, text: str, *, json: bool, **options: Any) -> None:
        self.stdout.write(as_json(value) if json else text)


def _add_drain(verbs: Any) -> CommandParser:
    verb: CommandParser = verbs.add_parser("drain", help="send what is due")
    verb.add_argument("--seconds", type=_positive, default=60, help="begin nothing new after this")
    verb.add_argument("--loop", dest="loop_", action="store_true", help="go on until stopped")
    return verb


def _add_list(verbs: Any) -> CommandParser:
    verb = _add_filters(verbs.add_parser("list", help="list deliveries"))
    verb.add_argument("--limit", type=_positive, default=50, help="how many at most")
    return verb


def _add_show(verbs: Any) -> CommandParser:
    verb: CommandParser = verbs.add_parser("show", help="show a delivery and its attempts")
    verb.add_argument("delivery", help="a delivery's number, or a webhook-id")
    return verb


def _add_redeliver(verbs: Any) -> CommandParser:
    verb = _add_filters(verbs.add_parser("redeliver", help="send again"))
    verb.add_argument("deliveries", nargs="*", help="numbers of deliveries, or webhook-ids")
    verb.add_argument("--by", default="", help="who asks")
    verb.add_argument("--why", default="", help="the reason to keep")
    return verb


def _add_health(verbs: Any) -> CommandParser:
    verb: CommandParser = verbs.add_parser("health", help="exit 1 if deliveries do not flow")
    return verb


def _add_test(verbs: Any) -> CommandParser:
    verb: CommandParser = verbs.add_parser("send-test", help="send a test event to one endpoint")
    verb.add_argument("endpoint", help="an endpoint's number or name")
    return verb


def _add_filters(verb: CommandParser) -> CommandParser:
    verb.add_argument("--state", choices=Delivery.State.values, default="")
    verb.add_argument("--endpoint", default="", help="number or name")
    verb.add_argument("--type", dest="event_type", default="", help="event type, or order.*")
    verb.add_argument("--because", choices=[*map(str, Fault)], default="", help="why it failed")
    verb.add_argument("--since", type=_moment, default=None, help="ISO 8601")
    return verb


def _positive(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 1_000_000:
        raise ArgumentTypeError("use a whole number above 0")
    return int(text)


def _must_exist(database: str, names: list[str]) -> None:
    deliveries = Delivery.objects.using(database)
    unknown = [name for name in names if not deliveries.named(name).exists()]
    if unknown:
        raise CommandError(f"There is no delivery or event {', '.join(unknown)}.")


def _moment(text: str) -> datetime:
    moment = parse_datetime(text)
    if moment is None:
        raise ArgumentTypeError("use ISO 8601, as in 2026-11-21T14:00+00:00")
    return make_aware(moment) if is_naive(moment) else moment


def _chosen(
    database: str,
    *,
    state: str,
    endpoint: str,
    event_type: str,
    because: str,
    since: Any,
    **rest: Any,
) -> DeliveryQuerySet:
    """The deliveries that fit every filter given."""
    chosen = Delivery.objects.using(database)
    if state:
        chosen = chosen.filter(state=state)
    if endpoint:
        chosen = chosen.for_endpoint(_endpoint(database, endpoint))
    if event_type:
        chosen = chosen.of_type(event_type)
    if because:
        chosen = chosen.because(because)
    return chosen.since(since) if since else chosen.all()


def _endpoint(database: str, named: str) -> Endpoint:
    endpoints = Endpoint.objects.using(database)
    found = list(endpoints.filter(pk=named) if named.isdecimal() else endpoints.filter(name=named))
    if not found:
        raise CommandError(f"No endpoint is called {named!r}.")
    if len(found) > 1:
        numbers = ", ".join(str(endpoint.pk) for endpoint in found)
        raise CommandError(f"{len(found)} endpoints are called {named!r}: use a number, {numbers}.")
    return found[0]


def _stopped_by_signals() -> Callable[[], bool]:
    """SIGTERM and SIGINT ask the loop to end; what is in flight is still recorded."""
    asked = Flag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    return asked.is_set
