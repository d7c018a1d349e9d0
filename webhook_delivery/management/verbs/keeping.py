"""The verbs about what is kept no longer: `prune` by age, and `erase` at a person's wish."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from webhook_delivery import erasing, pruning
from webhook_delivery.counting import Number
from webhook_delivery.management.progress import Progress
from webhook_delivery.management.verbs.choosing import by_default, the_event
from webhook_delivery.management.verbs.reading import positive
from webhook_delivery.management.verbs.verb import KEEPING, Verb
from webhook_delivery.pruning import Tally

SECONDS = 60


class Prune(Verb):
    """Deletes what is kept no longer; exits with 1 if something refused to go, 3 if time was up."""

    name = "prune"
    help = "delete what is older than RETAIN_…_DAYS say"
    group = KEEPING
    changes = True
    example = "prune --dry-run\nprune --seconds 600"
    fails = "something refused to go; 3: the time was up, and there is more"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        parser.add_argument(
            "--seconds", type=positive, default=SECONDS, help=f"at most so long ({SECONDS})"
        )

    def run(self, *, dry_run: bool, seconds: float, **options: Any) -> None:
        if dry_run:
            self._foretell()
            return
        tally = self._prune(seconds)
        self.say(asdict(tally), _told(tally))
        if tally.refused:
            sys.exit(1)
        if not tally.done:
            sys.exit(3)

    def _prune(self, seconds: float) -> Tally:
        with Progress("rows deleted or emptied", self.err) as progress:
            return pruning.prune(
                using=self.database,
                seconds=seconds,
                told=lambda tally: progress.add(tally.rows - progress.count),
                pauses=0,
            )

    def _foretell(self) -> None:
        going = pruning.foretell(using=self.database)
        self.say({name: each._asdict() for name, each in going.items()}, _foretold(going))


class Erase(Verb):
    """Erases the body of one event for good, and what repeats it; exits with 1 if none is left."""

    name = "erase"
    help = "erase what one event said"
    group = KEEPING
    changes = True
    fails = "it was erased already"
    example = 'erase evt_01a201af8a4a7d32bc7f81785d35c02f --why "asked to be forgotten"'

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        parser.add_argument("event", help="its webhook-id")
        parser.add_argument("--why", required=True, help="the reason to keep")
        said = "who asks (default: %(default)s)"
        parser.add_argument("--by", default=by_default(), metavar="NAME", help=said)

    def run(self, *, event: str, why: str, by: str, dry_run: bool, **options: Any) -> None:
        row = the_event(self.database, event)
        already = row.erased_at is not None
        found = erasing.preview(row, using=self.database)
        if not (dry_run or already):
            found = erasing.erase(row, by=by, reason=why, using=self.database)
        said = erasing.why_hollow(row) if already else erasing.message_of_erasing(found)
        facts = {"event": row.webhook_id, **asdict(found), "dry_run": dry_run, "message": said}
        self.say(facts, f"Only foretold. {said}" if dry_run else said)
        self.conclude(not already)


def _told(tally: Tally) -> str:
    counts = {name: count for name, count in asdict(tally).items() if name != "done" and count}
    said = ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "nothing"
    end = "Nothing is left." if tally.done else "The time was up: there is more."
    refused = " What was refused is in the log." if tally.refused else ""
    return f"Gone: {said}. {end}{refused}"


def _foretold(going: dict[str, Number]) -> str:
    return "\n".join(f"{number!s:>10}  {name}" for name, number in going.items())
