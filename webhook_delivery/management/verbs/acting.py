"""The verbs that change deliveries themselves: `discard`, `restore` and `retry-now`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from django.core.management.base import CommandParser
from django.db.models import Max

from webhook_delivery import redelivery
from webhook_delivery.management.verbs.choosing import (
    add_filters,
    add_names,
    add_who,
    filtered,
    meant,
)
from webhook_delivery.management.verbs.verb import CHANGING, SENDING, Verb, misused
from webhook_delivery.models import Delivery, DeliveryQuerySet
from webhook_delivery.redelivery import Done

AT_ONCE = 1_000
"""So many are changed in one transaction: workers must not wait for the rest."""
NAMED = 20
"""So many are named by a sentence; JSON names them all."""


class Act(Verb):
    """A verb that is done to those that are named, or to all that fit the filters."""

    group = CHANGING
    changes = True
    act: ClassVar[str]
    """The name of the function in `redelivery`."""
    past: ClassVar[str]
    usual: ClassVar[str]
    """The state of those that it is done to."""
    message: ClassVar[Callable[[Done], str]]

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        add_names(parser)
        add_filters(parser)
        add_who(parser)

    def run(
        self, *, deliveries: list[str], by: str, why: str, dry_run: bool, **options: Any
    ) -> None:
        rows = self.rows(deliveries, options)
        if dry_run:
            self.rehearse(rows)
        else:
            self.tell(self._perform(rows, by, why))

    def rows(self, deliveries: list[str], options: dict[str, Any]) -> DeliveryQuerySet:
        """What it is to be done to: nobody means everything by saying nothing."""
        if not deliveries and not filtered(options):
            raise misused(f"Name deliveries, or choose {self.usual} ones by a filter.")
        return meant(self.database, deliveries, usual=self.usual, **options)

    def tell(self, done: Done) -> None:
        said = type(self).message(done)
        self.say(self._facts(done, said, dry_run=False), said)
        self.conclude(done.count)

    def rehearse(self, rows: DeliveryQuerySet) -> None:
        """Say which would be changed."""
        would = redelivery.changeable(self.act, rows).order_by("pk")
        done = Done(list(would.values_list("pk", flat=True)), rows.count())
        said = self._would(done)
        self.say(self._facts(done, said, dry_run=True), said)
        self.conclude(done.count)

    def _would(self, done: Done) -> str:
        past = self.past.replace("_", " ")
        named = ", ".join(map(str, done.ids[:NAMED])) + (" …" if done.ids[NAMED:] else "")
        listed = f" ({named})" if named else ""
        return f"Would be {past}: {done.count}{listed}; left: {done.left}. Nothing was changed."

    def _facts(self, done: Done, said: str, *, dry_run: bool) -> dict[str, Any]:
        return {self.past: done.ids, "left": done.left, "dry_run": dry_run, "message": said}

    def _perform(self, rows: DeliveryQuerySet, by: str, why: str) -> Done:
        verb, done = getattr(redelivery, self.act), Done([], 0)
        with self.progress(self.past.replace("_", " "), rows) as progress:
            for some in _parts(rows):
                part = verb(some, by=by, reason=why)
                done = Done(done.ids + part.ids, done.asked + part.asked)
                progress.add(part.asked)
        return done


def _parts(rows: DeliveryQuerySet) -> Iterator[DeliveryQuerySet]:
    """A part after the other, of those that were there when it began."""
    last, end = 0, rows.aggregate(end=Max("pk"))["end"] or 0
    while ids := list(
        rows.filter(pk__gt=last, pk__lte=end).order_by("pk").values_list("pk", flat=True)[:AT_ONCE]
    ):
        yield Delivery.objects.using(rows.db).filter(pk__in=ids)
        last = ids[-1]


class Discard(Act):
    """Hides dead letters, until they are restored."""

    name = "discard"
    help = "hide dead letters"
    example = (
        'discard 4711 4712 --why "the shop is closed"\n'
        "discard --endpoint acme --reason gone --dry-run\n"
        "list --state dead --ids | manage.py webhooks discard -"
    )
    fails = "nothing was discarded"
    act, past, usual = "discard", "discarded", Delivery.State.DEAD
    message = redelivery.message_of_discarding


class Restore(Act):
    """Brings discarded deliveries back among the dead letters; nothing is sent."""

    name = "restore"
    help = "bring discarded deliveries back"
    example = "restore 4711\nrestore --endpoint acme --died-since 7d"
    fails = "nothing was restored"
    act, past, usual = "restore", "restored", Delivery.State.DISCARDED
    message = redelivery.message_of_restoring


class RetryNow(Act):
    """Brings the next automatic attempt forward of what waits for it; it spends no attempt more."""

    name = "retry-now"
    help = "bring the next attempts forward"
    group = SENDING
    example = 'retry-now 4711\nretry-now --endpoint acme --why "acme is back"'
    fails = "nothing was brought forward"
    act, past, usual = "retry_now", "brought_forward", Delivery.State.PENDING
    message = redelivery.message_of_retrying
