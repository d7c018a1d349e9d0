"""The verbs for the switch of endpoints: `pause`, `resume` and `switch-off`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar

from django.core.management.base import CommandParser

from webhook_delivery import endpoints
from webhook_delivery.endpoints import Switched
from webhook_delivery.management.verbs.choosing import add_who, the_endpoint
from webhook_delivery.management.verbs.reading import coming, rate
from webhook_delivery.management.verbs.verb import CHANGING, Verb
from webhook_delivery.models import Delivery, Endpoint

State = Endpoint.State


class Switch(Verb):
    """One of the three."""

    group = CHANGING
    changes = True
    becomes: ClassVar[Endpoint.State]
    switch: ClassVar[Callable[..., Switched]]
    past: ClassVar[str]
    moves: ClassVar[str]
    """What becomes of deliveries by it."""

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        said = "numbers or names"
        parser.add_argument("endpoints", nargs="+", metavar="ENDPOINT", help=said)
        add_who(parser)

    def run(
        self, *, endpoints: list[str], by: str, why: str, dry_run: bool, **options: Any
    ) -> None:
        found = [the_endpoint(self.database, name) for name in endpoints]
        how = {name: options[name] for name in ("until", "rate") if name in options}
        who = {"by": by, "reason": why, "using": self.database}
        verb = type(self).switch
        told = [
            self._would(each, options.get("until"))
            if dry_run
            else _facts(each, verb(each.pk, **who, **how))
            for each in found
        ]
        self.say(
            {"endpoints": told, "dry_run": dry_run},
            "\n".join(self._sentence(each, dry_run) for each in told),
        )
        self.conclude(any(each["changed"] or each["moved"] for each in told))

    def _would(self, endpoint: Endpoint, until: datetime | None) -> dict[str, Any]:
        owed = Delivery.objects.using(self.database).for_endpoint(endpoint)
        moved = owed.held() if self.becomes == State.ON else owed.pending()
        changes = endpoints.would_switch(endpoint, self.becomes, until)
        return _facts(endpoint, Switched(changes), moved.count())

    def _sentence(self, told: dict[str, Any], dry_run: bool) -> str:
        could, name = "would be" if dry_run else "is", told["name"]
        if not (told["changed"] or told["moved"]):
            return f"{name} is {self.past} already; nothing was changed."
        return f"{name} {could} {self.past}; deliveries {self.moves}: {told['moved']}."


def _facts(endpoint: Endpoint, done: Switched, moved: int | None = None) -> dict[str, Any]:
    return {
        "id": endpoint.pk,
        "name": endpoint.name,
        "was": endpoint.state,
        "changed": done.changed,
        "moved": len(done.moved) if moved is None else moved,
    }


class Pause(Switch):
    """Pauses endpoints: what they are owed, and what happens meanwhile, is held, not lost."""

    name = "pause"
    help = "hold what endpoints are owed"
    example = 'pause acme --until 2h --why "acme moves house"\npause acme globex'
    fails = "each of them was paused already, and until then"
    becomes, past, moves = State.PAUSED, "paused", "held"
    switch = endpoints.pause

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        super().add_arguments(parser)
        said = "when it is resumed by itself: ISO 8601, or 2h, 7d; default: when somebody does it"
        parser.add_argument("--until", type=coming, metavar="WHEN", help=said)


class Resume(Switch):
    """Switches endpoints on that are paused or off, and sends what was held."""

    name = "resume"
    help = "switch endpoints on, and send what was held"
    example = 'resume acme --why "acme is back"'
    fails = "each of them was on already"
    becomes, past, moves = State.ON, "on", "released"
    switch = endpoints.switch_on

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        super().add_arguments(parser)
        said = "how many requests a second they are sent at most from now on; default: as before"
        parser.add_argument("--rate", type=rate, metavar="N", help=said)


class SwitchOff(Switch):
    """Switches endpoints off: what they are owed is held, and what happens then is not theirs."""

    name = "switch-off"
    help = "owe endpoints nothing new"
    example = 'switch-off acme --why "the contract has ended"'
    fails = "each of them was off already"
    becomes, past, moves = State.OFF, "off", "held"
    switch = endpoints.switch_off
