"""The verb that follows attempts live: `tail`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from webhook_delivery.management.following import Follower
from webhook_delivery.management.interrupts import interrupts
from webhook_delivery.management.rendering import as_json
from webhook_delivery.management.tables import cell, coloured
from webhook_delivery.management.verbs.choosing import add_filters, chosen
from webhook_delivery.management.verbs.reading import positive
from webhook_delivery.management.verbs.verb import LOOKING, Verb
from webhook_delivery.models import Attempt, Delivery, DeliveryQuerySet
from webhook_delivery.models.event import webhook_id

PAUSE_SECONDS = 0.5
Seen = tuple[Attempt, Delivery]


class Tail(Verb):
    """
    Follows attempts, one line for each as it is recorded, until it is interrupted. The filters are
    about the deliveries; --since tells of what was attempted before, too.
    """

    name = "tail"
    help = "follow attempts live"
    group = LOOKING
    example = (
        "tail --endpoint acme\n"
        "tail --since 10m --reason timeout\n"
        "tail --json | jq 'select(.duration_ms > 1000)'"
    )

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        add_filters(parser)
        said = "end after so many lines; default: when it is interrupted"
        parser.add_argument("--limit", type=positive, metavar="N", help=said)

    def run(self, *, since: datetime | None, limit: int | None, **options: Any) -> None:
        wanted = chosen(self.database, **options, since=None)
        follower = Follower(using=self.database, since=since)
        with interrupts() as asked:
            for attempt, delivery in islice(self._seen(follower, wanted, since, asked), limit):
                told = _facts(attempt, delivery)
                self.out.write(as_json(told, indent=None) if self.json else self._line(told))
                self.out.flush()

    def _seen(
        self, follower: Follower, wanted: DeliveryQuerySet, since: datetime | None, asked: Any
    ) -> Iterator[Seen]:
        while not asked.is_set():
            new = [each for each in follower.new() if since is None or each.started_at >= since]
            rows = wanted.filter(pk__in={each.delivery_id for each in new})
            known = rows.select_related("endpoint").in_bulk() if new else {}
            yield from (
                (each, known[each.delivery_id]) for each in new if each.delivery_id in known
            )
            if not new:
                asked.wait(PAUSE_SECONDS)

    def _line(self, told: dict[str, Any]) -> str:
        when = timezone.localtime(told["started_at"])
        answer = cell(told["status"] or told["detail"] or told["fault"])
        verdict = coloured(told["verdict"], self.style)
        lasted = "-" if told["duration_ms"] is None else f"{told['duration_ms']} ms"
        return (
            f"{when:%H:%M:%S}  {told['delivery']:>8}  {cell(told['endpoint']):<20} "
            f"{cell(told['event_type']):<24} #{told['number']} {told['trigger']}: {answer} → "
            f"{verdict} ({lasted})"
        )


def _facts(attempt: Attempt, delivery: Delivery) -> dict[str, Any]:
    return {
        "delivery": delivery.pk,
        "webhook_id": webhook_id(delivery.event_id),
        "event_type": delivery.event_type,
        "endpoint": delivery.endpoint.name,
        "number": attempt.number,
        "trigger": attempt.trigger,
        "started_at": attempt.started_at,
        "duration_ms": attempt.duration_ms,
        "status": attempt.status,
        "fault": attempt.fault,
        "detail": attempt.detail,
        "verdict": attempt.verdict,
        "next_due_at": attempt.next_due_at,
    }
