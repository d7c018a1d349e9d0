"""The verbs about redeliveries of many: `redeliveries` lists them, `redelivery` is about one."""

from __future__ import annotations

from argparse import SUPPRESS
from functools import partial
from typing import Any

from django.core.management.base import CommandParser

from webhook_delivery import batches
from webhook_delivery.management.tables import facts, table
from webhook_delivery.management.verbs.choosing import add_who
from webhook_delivery.management.verbs.reading import number, positive, rate_or_none
from webhook_delivery.management.verbs.verb import LOOKING, SENDING, Verb, misused
from webhook_delivery.management.verbs.watching import facts_of_each, watch
from webhook_delivery.models import RedeliveryBatch

State = RedeliveryBatch.State
COLUMNS = (
    "id", "state", "of", "sent", "delivered", "failed", "left", "by", "created_at", "reason",
)  # fmt: skip


class Redeliveries(Verb):
    """Lists redeliveries of many, the newest first, and how far they are."""

    name = "redeliveries"
    help = "list redeliveries of many"
    group = LOOKING
    example = "redeliveries --state running\nredeliveries --unfinished --ids"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        parser.add_argument("--state", choices=State.values, help="only these")
        parser.add_argument("--unfinished", action="store_true", help="only what has not ended")
        parser.add_argument("--limit", type=positive, default=20, help="how many at most")
        parser.add_argument("--ids", action="store_true", help="print their numbers only")

    def run(
        self, *, state: str | None, unfinished: bool, limit: int, ids: bool, **options: Any
    ) -> None:
        rows = RedeliveryBatch.objects.using(self.database).order_by("-pk")
        rows = rows.filter(state=state) if state else rows
        rows = rows.unfinished() if unfinished else rows
        if ids:
            numbers = list(rows.values_list("pk", flat=True)[:limit])
            self.say_ids(numbers)
            return
        found = facts_of_each(list(rows[:limit]))
        self.say(found, table(COLUMNS, found, self.style) if found else "No redeliveries match.")


class Redelivery(Verb):
    """Shows redeliveries of many, stays with one, or does something to them."""

    name = "redelivery"
    help = "show, follow, pause, resume, cancel or slow down a redelivery of many"
    group = SENDING
    changes = True
    example = (
        "redelivery show 7\n"
        "redelivery follow 7\n"
        'redelivery pause 7 --why "acme complains"\n'
        "redelivery rate 7 --rate 5\n"
        "redelivery cancel 7 8"
    )
    fails = "nothing was changed, or what was followed did not end well"
    past = {"pause": "paused", "resume": "resumed", "cancel": "cancelled", "rate": "changed"}
    """What can be done, and what it is then."""

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        parser.add_argument("act", choices=["show", "follow", *cls.past], metavar="ACT",
                            help=f"show, follow, {', '.join(cls.past)}")  # fmt: skip
        parser.add_argument("numbers", nargs="+", type=number, metavar="N", help="their numbers")
        said = "how many a second, at most; none: as the endpoints' own limits allow"
        parser.add_argument("--rate", type=rate_or_none, default=SUPPRESS, metavar="N", help=said)
        add_who(parser)

    def run(self, *, act: str, numbers: list[int], **options: Any) -> None:
        if (act == "rate") != ("rate" in options):
            raise misused("--rate says how fast, for `redelivery rate` and nothing else.")
        if act == "follow" and len(numbers) > 1:
            raise misused("One can be followed at a time.")
        found = [self._the(number) for number in numbers]
        if act == "show":
            self._show(found)
        elif act == "follow":
            watch(self, found[0].pk)
        else:
            self._act(act, found, **options)

    def _the(self, number: int) -> RedeliveryBatch:
        batch = RedeliveryBatch.objects.using(self.database).filter(pk=number).first()
        if batch is None:
            raise misused(f"There is no redelivery {number}.")
        return batch

    def _show(self, found: list[RedeliveryBatch]) -> None:
        told = facts_of_each(found)
        self.say(told, "\n\n".join(facts(each, self.style) for each in told))

    def _act(
        self,
        act: str,
        found: list[RedeliveryBatch],
        *,
        by: str,
        why: str,
        dry_run: bool,
        **options: Any,
    ) -> None:
        name = "set_rate" if act == "rate" else act
        how = {"rate": options["rate"]} if act == "rate" else {}
        verb = partial(getattr(batches, name), **how)
        who: dict[str, Any] = {"by": by, "reason": why, "using": self.database}
        done = {
            batch.pk: batch.state in batches.ALLOWED[name] if dry_run else verb(batch.pk, **who)
            for batch in found
        }
        changed = [number for number, its in done.items() if its]
        left = [number for number, its in done.items() if not its]
        self._tell(self.past[act], changed, left, dry_run)

    def _tell(self, past: str, changed: list[int], left: list[int], dry_run: bool) -> None:
        could = "Would be" if dry_run else "Redeliveries"
        said = f"{could} {past}: {_listed(changed)}; left as they are: {_listed(left)}."
        self.say({past: changed, "left": left, "dry_run": dry_run, "message": said}, said)
        self.conclude(changed)


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"
