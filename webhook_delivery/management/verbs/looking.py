"""The verbs that only look: `list`, `show`, `retries` and `health`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from webhook_delivery import health
from webhook_delivery.backlog import backlog_of
from webhook_delivery.management.rendering import COLUMNS, detailed, page, row, whole
from webhook_delivery.management.tables import facts, table
from webhook_delivery.management.verbs.choosing import add_filters, chosen
from webhook_delivery.management.verbs.reading import positive
from webhook_delivery.management.verbs.verb import LOOKING, Verb, misused
from webhook_delivery.models import Delivery

SHOWN = 50


class List(Verb):
    """Prints the deliveries that fit the filters, newest first."""

    name = "list"
    help = "list deliveries"
    group = LOOKING
    example = (
        "list --state dead --endpoint acme --died-since 24h\n"
        "list --q order_id:7\n"
        "list --reason timeout --ids | manage.py webhooks redeliver -"
    )

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        add_filters(parser)
        said = "how many at most (default: 50; of --ids, all)"
        parser.add_argument("--limit", type=positive, default=None, help=said)
        parser.add_argument("--ids", action="store_true", help="print their numbers only")

    def run(self, *, limit: int | None, ids: bool, **options: Any) -> None:
        fitting = chosen(self.database, **options).order_by("-pk")
        if ids:
            self.say_ids(list(fitting.values_list("pk", flat=True)[:limit]))
            return
        rows = [row(each) for each in fitting.select_related("endpoint")[: limit or SHOWN]]
        self.say(rows, table(COLUMNS, rows, self.style) if rows else "No deliveries match.")


class Show(Verb):
    """Prints one delivery, or those of one event, with every attempt."""

    name = "show"
    help = "show a delivery and its attempts"
    group = LOOKING
    example = "show 4711\nshow evt_019ab3c4d5e67f8091a2b3c4d5e6f708 --json"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        parser.add_argument("delivery", help="a delivery's number, or a webhook-id")

    def run(self, *, delivery: str, **options: Any) -> None:
        found = Delivery.objects.using(self.database).named(delivery)
        rows = [detailed(each) for each in whole(found)]
        if not rows:
            raise misused(f"There is no delivery or event {delivery!r}.")
        self.say(rows, "\n\n".join(page(each, self.style) for each in rows))


class Retries(Verb):
    """Counts what is owed: due, waiting, being sent, held, dead; and how long the oldest is due."""

    name = "retries"
    help = "count what is due, waits, is held, is dead"
    group = LOOKING
    example = "retries\nretries --endpoint acme --json"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        add_filters(parser)

    def run(self, **options: Any) -> None:
        backlog = backlog_of(chosen(self.database, **options))
        told = backlog.as_dict()
        counts = ("due", "waiting", "sending", "held", "dead")
        shown = {name: str(getattr(backlog, name)) for name in counts}
        moments = ("oldest_due_at", "late_seconds", "next_due_at")
        self.say(told, facts(shown | {name: told[name] for name in moments}, self.style))


class Health(Verb):
    """Says whether deliveries flow; exits with 1 if something keeps them from it."""

    name = "health"
    help = "exit 1 if deliveries do not flow"
    group = LOOKING
    example = "health\nhealth --json"
    fails = "something keeps deliveries from flowing"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        """It has none."""

    def run(self, **options: Any) -> None:
        found = health.examine(using=self.database)
        remarks = health.remarks(using=self.database)
        said = [f"{each.code}: {each.seen} {each.remedy}" for each in found] or ["Healthy."]
        illnesses = [each.as_dict() for each in found]
        report = {"healthy": not found, "illnesses": illnesses, "remarks": remarks}
        self.say(report, "\n".join([*said, *remarks]))
        self.conclude(not found)
