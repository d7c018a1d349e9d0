"""The verbs about groups of dead letters: `groups`, `acknowledge` and `reopen`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser

from webhook_delivery import acknowledging, grouping
from webhook_delivery.grouping import Failure, Group
from webhook_delivery.management.tables import table
from webhook_delivery.management.verbs.choosing import add_who, the_endpoint
from webhook_delivery.management.verbs.reading import coming, positive, within
from webhook_delivery.management.verbs.verb import CHANGING, LOOKING, Verb
from webhook_delivery.outcomes import Fault
from webhook_delivery.selecting import LARGEST_STATUS

COLUMNS = {
    "failure": ("endpoint", "name", "reason", "status"),
    "reason": ("reason",),
    "endpoint": ("endpoint", "name"),
    "event_type": ("event_type",),
}
MANY = 10_000
"""Of so many groups, those that are open are told."""
COUNTS = ("hour", "day", "week", "total", "last")


class Groups(Verb):
    """
    Groups the dead letters by how they failed, the largest group first. Only groups by failure
    can be acknowledged; where half a million are dead, only the last seven days are grouped.
    """

    name = "groups"
    help = "group dead letters by how they failed"
    group = LOOKING
    example = "groups\ngroups --open\ngroups --group-by event_type --json"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        kinds = list(grouping.BY)
        parser.add_argument("--group-by", choices=kinds, default="failure", help="default: failure")
        parser.add_argument("--open", action="store_true", help="only what nobody has seen to")
        parser.add_argument("--limit", type=positive, default=100, help="how many at most")

    def run(self, *, group_by: str, open: bool, limit: int, **options: Any) -> None:  # noqa: A002 - the option's name
        week = grouping.beyond(using=self.database).exists()
        most = max(limit, MANY) if open else limit
        found = grouping.groups(group_by, using=self.database, most=most, week=week)
        told = [_facts(each) for each in found if each.open or not open][:limit]
        seen_to = ("seen_to",) if group_by == "failure" else ()
        columns = (*COLUMNS[group_by], *COUNTS, *seen_to)
        lines = [each | {"seen_to": each["seen_to"] and _said(each["seen_to"])} for each in told]
        nothing = "No dead letters, or somebody has seen to all of them."
        self.say(told, table(columns, lines, self.style) if told else nothing)


def _facts(group: Group) -> dict[str, Any]:
    return asdict(group) | {"seen_to": group.seen_to and group.seen_to._asdict()}


def _said(seen_to: dict[str, Any]) -> str:
    until = f" until {seen_to['until']:%Y-%m-%d %H:%M}Z" if seen_to["until"] else ""
    return f"{seen_to['by']}{until}: {seen_to['note']}".rstrip(": ")


class Acknowledge(Verb):
    """
    Keeps that somebody has seen to a group of dead letters, until it is empty; or, with --until, so
    long. The group is named by its endpoint, reason and status, as `groups` prints them.
    """

    name = "acknowledge"
    help = "say that somebody sees to a group of dead letters"
    group = CHANGING
    changes = True
    example = 'acknowledge acme timeout --why "ticket 42"\nacknowledge acme http_5xx 503 --until 2h'
    fails = "there is no such group, or it was acknowledged just so already"
    done, left = "Acknowledged", "there is no such group, or it was acknowledged just so already"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        parser.add_argument("endpoint", metavar="ENDPOINT", help="number or name")
        faults = [*map(str, Fault)]
        parser.add_argument("reason", choices=faults, metavar="REASON", help=", ".join(faults))
        said = "of the last answers; default: there was none"
        status = within(0, LARGEST_STATUS)
        parser.add_argument("status", nargs="?", type=status, default=0, metavar="CODE", help=said)
        add_who(parser)
        cls.add_own(parser)

    @classmethod
    def add_own(cls, parser: CommandParser) -> None:
        said = "when it is told of again: ISO 8601, or 2h, 7d; default: never"
        parser.add_argument("--until", type=coming, metavar="WHEN", help=said)

    def run(
        self, *, endpoint: str, reason: str, status: int, dry_run: bool, **options: Any
    ) -> None:
        failure = Failure(the_endpoint(self.database, endpoint).pk, reason, status)
        until, by, why = options.get("until"), options["by"], options["why"]
        if dry_run:
            changed = self.would(grouping.the(failure, using=self.database), until)
        else:
            changed = self.act(failure, by, why, until)
        named = " ".join(map(str, failure)).removesuffix(" 0")
        done = f"{'Would be ' if dry_run else ''}{self.done}"
        said = f"{done.capitalize()}: {named}." if changed else f"Nothing changed: {self.left}."
        told = {"changed": changed, "group": failure._asdict(), "until": until}
        self.say({**told, "dry_run": dry_run, "message": said}, said)
        self.conclude(changed)

    def would(self, group: Group | None, until: datetime | None) -> bool:
        if group is None:
            return False
        return group.seen_to is None or group.seen_to.until != until

    def act(self, failure: Failure, by: str, why: str, until: datetime | None) -> bool:
        return acknowledging.acknowledge(failure, by=by, note=why, until=until, using=self.database)


class Reopen(Acknowledge):
    """Tells of a group of dead letters again at once, though somebody had seen to it."""

    name = "reopen"
    help = "tell of an acknowledged group again"
    example = 'reopen acme timeout --why "ticket 42 is closed"'
    fails = "nobody had seen to it"
    done, left = "Reopened", "nobody had seen to it"

    @classmethod
    def add_own(cls, parser: CommandParser) -> None:
        """It has none."""

    def would(self, group: Group | None, until: datetime | None) -> bool:
        return group is not None and not group.open

    def act(self, failure: Failure, by: str, why: str, until: datetime | None) -> bool:
        return acknowledging.reopen(failure, by=by, note=why, using=self.database)
