"""The verbs that send again: `redeliver` what was chosen, and `recover` an endpoint."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from webhook_delivery import batches, counting, missing, redelivery
from webhook_delivery.management.verbs.acting import Act
from webhook_delivery.management.verbs.choosing import (
    add_who,
    filtered,
    selection,
    the_endpoint,
)
from webhook_delivery.management.verbs.reading import moment, rate, within
from webhook_delivery.management.verbs.verb import SENDING, Verb, misused
from webhook_delivery.management.verbs.watching import begun
from webhook_delivery.models import Delivery, DeliveryQuerySet, Endpoint
from webhook_delivery.selecting import selection_of

STORED_ABOVE = 1_000
"""More than so many are sent bit by bit: a redelivery that is stored, and can be cancelled."""
HOW = ("rate", "canary", "stop_above", "once")
"""What only a stored redelivery can do."""


def add_how(parser: CommandParser) -> None:
    """Add how carefully it goes: as it is told, whatever the console's forms begin with."""
    add = parser.add_argument_group("how carefully").add_argument
    said = "so many a second, at most; default: as fast as the endpoints' own limits allow"
    add("--rate", type=rate, metavar="N", help=said)
    said = "send so many first, and stop if all of them fail; default: 0, which is none"
    add("--canary", type=within(0, 1000), default=0, metavar="N", help=said)
    said = "stop if more than so many percent of the last hundred fail; default: it goes on"
    add("--stop-above", type=within(0, 99), metavar="PERCENT", help=said)
    said = "one attempt each, without retries; default: a full new schedule of them"
    add("--once", action="store_true", help=said)
    add("--follow", action="store_true", help="stay until it has ended, and show how far it is")


class Redeliver(Act):
    """
    Sends again: those named, or all dead ones that fit. More than a thousand, and whatever is to go
    carefully, are a redelivery that is stored: workers send it bit by bit, and it can be stopped.
    """

    name = "redeliver"
    help = "send again"
    group = SENDING
    example = (
        'redeliver 4711 --why "after deploy 4.2"\n'
        "redeliver --endpoint acme --died-since 24h --dry-run\n"
        "redeliver --reason timeout --rate 10 --canary 5 --stop-above 50 --follow"
    )
    fails = "nothing was sent again, or what --follow watched did not end well"
    act, past, usual = "redeliver", "redelivered", Delivery.State.DEAD
    message = redelivery.message_of_redelivery

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        super().add_arguments(parser)
        said = "all that fit, also if no filter was given"
        parser.add_argument("--all-matching", action="store_true", help=said)
        add_how(parser)

    def run(
        self, *, deliveries: list[str], by: str, why: str, dry_run: bool, **options: Any
    ) -> None:
        everything = options["all_matching"] and not deliveries and not filtered(options)
        options["state"] = options["state"] or ([self.usual] if everything else None)
        rows = self.rows(deliveries, options)
        if dry_run:
            self.rehearse(rows)
        elif self._carefully(rows, options):
            self._store(rows, deliveries, by, why, options)
        else:
            self.tell(self._perform(rows, by, why))

    def _carefully(self, rows: DeliveryQuerySet, options: dict[str, Any]) -> bool:
        wished = options["follow"] or any(options[name] for name in HOW)
        return wished or options["stop_above"] is not None or _many(rows)

    def _store(
        self,
        rows: DeliveryQuerySet,
        deliveries: list[str],
        by: str,
        why: str,
        options: dict[str, Any],
    ) -> None:
        if deliveries:
            ids = list(rows.values_list("pk", flat=True))
            kept = selection_of(state=["dead", "delivered"], ids=ids)
        else:  # what dies from now on has not been seen by who asks
            ends = options["died_until"] or timezone.now()
            kept = selection(self.database, usual=self.usual, **{**options, "died_until": ends})
        start(self, kept, by=by, why=why, **options)


def _many(rows: DeliveryQuerySet) -> bool:
    return counting.count(rows, cap=STORED_ABOVE).capped


def start(
    verb: Verb, kept: dict[str, Any], *, by: str, why: str, follow: bool, **options: Any
) -> None:
    """Begin a redelivery of many, if there is anything to send, and say so."""
    preview = batches.preview(kept, using=verb.database)
    if not preview.sent.of:
        said = f"Nothing can be redelivered: {preview.left} of it to endpoints that are not on."
        verb.say({"redelivery": None, "left": preview.left.of, "message": said}, said)
        verb.conclude(False)
    how = {name: options[name] for name in HOW}
    batch = batches.start(kept, by=by, reason=why, using=verb.database, **how)
    begun(verb, batch, follow=follow)


class Recover(Verb):
    """
    Recovers what an endpoint did not get while it was away: sends again what failed since then; or,
    with --missed, makes the deliveries that it was never owed, for it was off or not subscribed.
    """

    name = "recover"
    help = "send an endpoint what it did not get"
    group = SENDING
    changes = True
    example = (
        'recover acme --since 24h --why "acme was down"\n'
        "recover acme --since 2026-11-20T00:00 --missed --rate 10"
    )
    fails = "there is nothing to recover, or what --follow watched did not end well"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        parser.add_argument("endpoint", metavar="ENDPOINT", help="number or name")
        said = "when it went away: ISO 8601, or 24h, 7d"
        parser.add_argument("--since", type=moment, required=True, metavar="WHEN", help=said)
        said = "make what was never made, instead of sending again what failed"
        parser.add_argument("--missed", action="store_true", help=said)
        add_how(parser)
        add_who(parser)

    def run(self, *, endpoint: str, missed: bool, dry_run: bool, **options: Any) -> None:
        to = the_endpoint(self.database, endpoint)
        if missed:
            self._recover_missed(to, dry_run=dry_run, **options)
        else:
            self._recover_failed(to, dry_run=dry_run, **options)

    def _recover_failed(
        self, to: Endpoint, *, since: datetime, dry_run: bool, **options: Any
    ) -> None:
        kept = selection_of(endpoint=to.pk, died_since=since, died_until=timezone.now())
        if dry_run:
            preview = batches.preview(kept, using=self.database)
            left = f" Left, for {to} is not on: {preview.left}." if preview.left.of else ""
            said = f"Would be sent again: {preview.sent}.{left} Nothing was changed."
            self._rehearsed(preview.sent.of, said)
        else:
            start(self, kept, **options)

    def _recover_missed(
        self,
        to: Endpoint,
        *,
        since: datetime,
        dry_run: bool,
        by: str,
        why: str,
        rate: float | None,
        follow: bool,
        **options: Any,
    ) -> None:
        if options["canary"] or options["stop_above"] is not None or options["once"]:
            raise misused("--missed knows --rate only: what it makes was never sent before.")
        number = missing.count(missing.missed(to, since, using=self.database))
        if dry_run or not number.of:
            self._rehearsed(number.of, f"Would be made: {number}. Nothing was changed.", dry_run)
            return
        who: dict[str, Any] = {"by": by, "reason": why, "using": self.database}
        begun(self, batches.start_missed(to.pk, since, rate=rate, **who), follow=follow)

    def _rehearsed(self, count: int, said: str, dry_run: bool = True) -> None:
        said = said if count or "Left" in said else "There is nothing to recover."
        self.say({"redelivery": None, "count": count, "dry_run": dry_run, "message": said}, said)
        self.conclude(count)
