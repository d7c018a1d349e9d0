"""The verbs that only look: `list`, `show` and `health`."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser

from webhook_delivery import health
from webhook_delivery.management.rendering import detailed, line, page, row
from webhook_delivery.management.verbs.choosing import add_filters, chosen, positive
from webhook_delivery.management.verbs.verb import Verb
from webhook_delivery.models import Delivery


class List(Verb):
    """Prints the deliveries that fit the filters, newest first."""

    name = "list"
    help = "list deliveries"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        add_filters(parser)
        parser.add_argument("--limit", type=positive, default=50, help="how many at most")

    def run(self, *, limit: int, **options: Any) -> None:
        fitting = chosen(self.database, **options).select_related("endpoint")
        rows = [row(each) for each in fitting.order_by("-pk")[:limit]]
        self.say(rows, "\n".join(map(line, rows)) or "No deliveries match.")


class Show(Verb):
    """Prints one delivery, or those of one event, with every attempt."""

    name = "show"
    help = "show a delivery and its attempts"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        parser.add_argument("delivery", help="a delivery's number, or a webhook-id")

    def run(self, *, delivery: str, **options: Any) -> None:
        found = Delivery.objects.using(self.database).named(delivery)
        rows = [detailed(each) for each in found.select_related("event", "endpoint")]
        if not rows:
            raise CommandError(f"There is no delivery or event {delivery!r}.")
        self.say(rows, "\n\n".join(map(page, rows)))


class Health(Verb):
    """Says whether deliveries flow; exits with 1 if something keeps them from it."""

    name = "health"
    help = "exit 1 if deliveries do not flow"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        """It has none."""

    def run(self, **options: Any) -> None:
        found = health.examine(using=self.database)
        remarks = health.remarks(using=self.database)
        said = [f"{each.seen} {each.remedy}" for each in found] or ["Healthy."]
        illnesses = [each.as_dict() for each in found]
        report = {"healthy": not found, "illnesses": illnesses, "remarks": remarks}
        self.say(report, "\n".join([*said, *remarks]))
        if found:
            sys.exit(1)
