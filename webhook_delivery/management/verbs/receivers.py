"""The verb that lists endpoints, with how they fare: `endpoints`."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.core.management.base import CommandParser

from webhook_delivery.charts import lasting, percent
from webhook_delivery.management.tables import table
from webhook_delivery.management.verbs.reading import positive
from webhook_delivery.management.verbs.verb import LOOKING, Verb
from webhook_delivery.models import Endpoint, EndpointQuerySet
from webhook_delivery.models.lane import end_of_pause
from webhook_delivery.standing import Standing, standings_of

COLUMNS = (
    "id", "name", "state", "tenant", "attempts", "delivered", "p95", "dead", "oldest_due_at",
    "failing_since", "state_reason",
)  # fmt: skip


class Endpoints(Verb):
    """
    Lists endpoints, with the figures of their last 24 hours. Of their URLs only the host is told:
    the rest may hold what is secret.
    """

    name = "endpoints"
    help = "list endpoints and how they fare"
    group = LOOKING
    example = (
        "endpoints --failing\n"
        "endpoints --state paused --json\n"
        "endpoints --tenant acme --ids | xargs manage.py webhooks pause"
    )

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        parser.add_argument("--state", choices=Endpoint.State.values, help="only these")
        parser.add_argument("--tenant", help="only of this tenant")
        parser.add_argument("--failing", action="store_true", help="only to which nothing arrives")
        parser.add_argument("--limit", type=positive, default=100, help="how many at most")
        parser.add_argument("--ids", action="store_true", help="print their numbers only")

    def run(self, *, limit: int, ids: bool, **options: Any) -> None:
        rows = self._rows(**options).order_by("pk")
        if ids:
            self.say_ids(list(rows.values_list("pk", flat=True)[:limit]))
            return
        rows = rows.select_related("lane").annotate(blocked_until=end_of_pause("lane__"))
        found = list(rows[:limit])
        standings = standings_of([each.pk for each in found], using=self.database)
        told = [_facts(each, standings[each.pk]) for each in found]
        lines = [{**each, **_shown(standings[each["id"]])} for each in told]
        self.say(told, table(COLUMNS, lines, self.style) if told else "No endpoints match.")

    def _rows(
        self, *, state: str | None, tenant: str | None, failing: bool, **options: Any
    ) -> EndpointQuerySet:
        rows = Endpoint.objects.using(self.database).all()
        rows = rows.filter(state=state) if state else rows
        rows = rows.for_tenant(tenant) if tenant is not None else rows
        return rows.failing() if failing else rows


def _facts(endpoint: Endpoint, standing: Standing) -> dict[str, Any]:
    lane, day = getattr(endpoint, "lane", None), standing.day
    return {
        "id": endpoint.pk,
        "name": endpoint.name,
        "host": urlsplit(endpoint.url).hostname,
        "tenant": endpoint.tenant,
        "state": endpoint.state,
        "state_reason": endpoint.state_reason,
        "resume_at": endpoint.resume_at,
        "attempts": day.attempts,
        "delivered": day.delivered,
        "failed": day.failed,
        "share": day.share,
        "p95_ms": day.p95 and day.p95.ms,
        "dead": standing.dead.of,
        "dead_capped": standing.dead.capped,
        "oldest_due_at": standing.oldest,
        "failures_in_a_row": lane.failures if lane else 0,
        "failing_since": lane and lane.failing_since,
        "blocked_until": vars(endpoint)["blocked_until"],
    }


def _shown(standing: Standing) -> dict[str, Any]:
    """What people read otherwise than programs do."""
    day = standing.day
    return {"delivered": percent(day.share), "p95": lasting(day.p95), "dead": str(standing.dead)}
