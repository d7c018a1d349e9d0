"""
A copy of deliveries and their logs as JSON Lines: how one line is written, and how it is read.

Each line is one delivery, and stands alone:

    {"version": 1,
     "delivery": {"id", "webhook_id", "event_type", "key", "endpoint", "endpoint_state", "state",
                  "due_at", "sequence", "trigger", "attempts_made", "attempts_forgiven",
                  "last_status", "reason", "created_at", "ended_at"},
     "attempts": [{"number", "trigger", "started_at", "verdict", "duration_ms", "status", "fault",
                   "detail", "next_due_at", "excerpt"}, …],
     "transitions": [{"after", "verb", "at"}, …]}

Times are ISO 8601 in UTC with microseconds. `endpoint` is the endpoint's number. `excerpt` is the
start of the answer, in base64. Transitions are in the order in which they were written. Neither the
event's body nor a secret is in it. A reader ignores names that it does not know, and refuses a
`version` other than its own.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from webhook_delivery import logbook
from webhook_delivery.history import Attempted, Birth, Entry, Moved, in_order
from webhook_delivery.logbook import Recorded
from webhook_delivery.models import DeliveryQuerySet, Transition
from webhook_delivery.models.event import event_of, webhook_id
from webhook_delivery.outcomes import Verdict
from webhook_delivery.texts import is_storable

VERSION = 1
LONGEST_LINE = 16 * 1024 * 1024
"""In bytes; a line that is longer is not read."""
BIGGEST, BIG, SMALL = 2**63 - 1, 2**31 - 1, 2**15 - 1
"""The largest numbers that the columns hold on every database."""

COLUMNS = (
    "state",
    "due_at",
    "sequence",
    "trigger",
    "attempts_made",
    "attempts_forgiven",
    "last_status",
    "reason",
    "created_at",
    "ended_at",
)


class Unreadable(ValueError):
    """A line does not hold a delivery with its log; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A delivery and its log, as a line has them."""

    delivery: int
    event: UUID
    endpoint: int
    endpoint_on: bool
    birth: Birth
    log: tuple[Entry, ...]


def export(deliveries: DeliveryQuerySet) -> Iterator[str]:
    """Write the deliveries as lines, in bounded memory; the log of each is read after its row."""
    for batch in logbook.batches(deliveries, excerpts=True):
        yield from map(line_of, batch)


def line_of(recorded: Recorded) -> str:
    row = recorded.row
    known = {
        "id": row.pk,
        "webhook_id": webhook_id(row.event_id),
        "event_type": recorded.event_type,
        "key": recorded.key,
        "endpoint": row.endpoint_id,
        "endpoint_state": recorded.endpoint_state,
    }
    attempts = [entry for entry in recorded.log if isinstance(entry, Attempted)]
    transitions = [entry for entry in recorded.log if isinstance(entry, Moved)]
    line = {
        "version": VERSION,
        "delivery": known | {name: _plain(getattr(row, name)) for name in COLUMNS},
        "attempts": [
            {name: _plain(getattr(each, name)) for name in (*logbook.ATTEMPT, "excerpt")}
            for each in attempts
        ],
        "transitions": [
            {"after": each.after, "verb": each.verb, "at": _plain(each.at)} for each in transitions
        ],
    }
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"))


def read_line(line: bytes) -> Copied:
    """Read one line, or raise Unreadable."""
    fields = _Fields("the line", _parsed(line))
    if (version := fields.whole("version", BIG)) != VERSION:
        raise Unreadable(f"version {version} is not {VERSION}")
    row = _Fields("delivery", fields.get("delivery"))
    attempts = [_attempt(each) for each in fields.each("attempts")]
    transitions = [_transition(each) for each in fields.each("transitions")]
    if len({attempt.number for attempt in attempts}) < len(attempts):
        raise Unreadable("two attempts have the same number")
    return Copied(
        delivery=row.whole("id", BIGGEST),
        event=row.event("webhook_id"),
        endpoint=row.whole("endpoint", BIGGEST),
        endpoint_on=row.get("endpoint_state") == "on",
        birth=Birth(row.moment("created_at"), row.text("trigger", 10)),
        log=tuple(in_order(attempts, transitions)),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _parsed(line: bytes) -> Any:
    if len(line) > LONGEST_LINE:
        raise Unreadable(f"longer than {LONGEST_LINE} bytes")
    try:
        return json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"no JSON: {error}") from None


def _attempt(fields: _Fields) -> Attempted:
    return Attempted(
        number=fields.whole("number", BIG),
        trigger=fields.text("trigger", 10),
        started_at=fields.moment("started_at"),
        verdict=fields.word("verdict", list(Verdict)),
        duration_ms=fields.whole_or_none("duration_ms", BIG),
        status=fields.whole_or_none("status", SMALL),
        fault=fields.text("fault", 20),
        detail=fields.text("detail", 200),
        next_due_at=fields.moment_or_none("next_due_at"),
        excerpt=fields.octets("excerpt"),
    )


def _transition(fields: _Fields) -> Moved:
    return Moved(
        after=fields.whole("after", BIG),
        verb=fields.word("verb", Transition.Verb.values),
        at=fields.moment("at"),
    )


class _Fields:
    """The fields of an object in a line, each of which must be what it should be."""

    def __init__(self, name: str, values: Any) -> None:
        if not isinstance(values, dict):
            raise Unreadable(f"{name} is no object")
        self._name = name
        self._values = values

    def get(self, name: str) -> Any:
        if name not in self._values:
            raise Unreadable(f"{self._name} has no {name}")
        return self._values[name]

    def each(self, name: str) -> list[_Fields]:
        values = self.get(name)
        return [_Fields(name, value) for value in self._proven(name, values, type(values) is list)]

    def whole(self, name: str, most: int) -> int:
        value = self.get(name)
        return int(self._proven(name, value, type(value) is int and 0 <= value <= most))

    def whole_or_none(self, name: str, most: int) -> int | None:
        return None if self.get(name) is None else self.whole(name, most)

    def text(self, name: str, longest: int) -> str:
        value = self.get(name)
        return str(self._proven(name, value, _fits(value, longest)))

    def word(self, name: str, words: list[Any]) -> str:
        value = self.text(name, 20)
        return str(self._proven(name, value, value in words))

    def moment(self, name: str) -> datetime:
        value = self.text(name, 40)
        moment = _moment(value)
        self._proven(name, value, moment)
        assert moment is not None
        return moment

    def moment_or_none(self, name: str) -> datetime | None:
        return None if self.get(name) is None else self.moment(name)

    def event(self, name: str) -> UUID:
        value = self.text(name, 40)
        event = event_of(value)
        self._proven(name, value, event)
        assert event is not None
        return event

    def octets(self, name: str) -> bytes:
        value = self.text(name, LONGEST_LINE)
        octets = _octets(value)
        self._proven(name, value, octets is not None)
        return octets or b""

    def _proven(self, name: str, value: Any, right: object) -> Any:
        if not right:
            raise Unreadable(f"{self._name} has the wrong {name}: {value!r:.60}")
        return value


def _fits(value: Any, longest: int) -> bool:
    return type(value) is str and len(value) <= longest and is_storable(value)


def _moment(text: str) -> datetime | None:
    """The moment, if it is one that says its zone and that every database can keep."""
    try:
        moment = datetime.fromisoformat(text)
        zoned = moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
    return zoned if zoned and 1970 <= zoned.year < 9999 else None


def _octets(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None
