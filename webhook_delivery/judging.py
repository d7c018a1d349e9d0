"""Compares one delivery with its log: what differs, and what would mend it; makes no query."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from webhook_delivery.claims import lease_seconds
from webhook_delivery.history import (
    DISCARD,
    PENDING,
    Entry,
    Moved,
    Standing,
    fold,
    name_of,
    stand_in,
)
from webhook_delivery.logbook import Recorded
from webhook_delivery.models import Delivery
from webhook_delivery.outcomes import Fault, Verdict

State = Delivery.State

LONGEST_LEASE = timedelta(days=1)
"""A claim that would last so much longer than a lease is not believed; nor is a turn that is
to come so late."""


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One thing that is not as the log, or a copy of it, says."""

    delivery: int | None
    what: str
    """A column, an entry of the log, what the delivery belongs to, or a line of a file."""
    found: str
    expected: str
    mended: bool = False

    def __str__(self) -> str:
        about = self.what if self.delivery is None else f"delivery {self.delivery}, {self.what}"
        said = f"{about}: found {self.found}, expected {self.expected}"
        return f"{said}; mended" if self.mended else said


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is wrong with one delivery, and what would mend it."""

    discrepancies: list[Discrepancy]
    changes: dict[str, Any] = field(default_factory=dict)
    """Columns of the row, and what they should be."""
    additions: tuple[Entry, ...] = ()
    """What the log lacks."""
    mendable: bool = True


def judge(recorded: Recorded, *, claim_ended: bool = False) -> Judgement:
    """
    Compare the delivery with its log.

    claim_ended: what the log has now ends the claim, if the row says that there is one.
    """
    if orphaned := list(_orphaned(recorded)):
        return Judgement(orphaned, mendable=False)
    standing = _standing(recorded)
    if standing.oddities:
        return Judgement([_odd(recorded, each) for each in standing.oddities], mendable=False)
    expected = _expected(recorded, standing, claim_ended)
    row = recorded.row
    changes = {name: value for name, value in expected.items() if value != getattr(row, name)}
    found = [lacks(row.pk, entry) for entry in standing.lost]
    found += [_differs(row, name, value) for name, value in changes.items()]
    return Judgement(
        [each for each in found if not _follows(each, standing)], changes, standing.lost
    )


def lacks(delivery: int, entry: Entry) -> Discrepancy:
    """The log does not have an entry that it should."""
    return Discrepancy(delivery, name_of(entry), "nothing", "a record of it")


def _orphaned(recorded: Recorded) -> Iterator[Discrepancy]:
    """What has ended may outlive what it belonged to; the rest is the drain's to end."""
    row = recorded.row
    if row.state in Delivery.TERMINAL:
        return
    if recorded.event_type is None:
        yield Discrepancy(row.pk, "event", "nothing", f"event {row.event_id}")
    if recorded.endpoint_state is None:
        yield Discrepancy(row.pk, "endpoint", "nothing", f"endpoint {row.endpoint_id}")


def _standing(recorded: Recorded) -> Standing:
    """Where the delivery stands by its log, and by what the log must have held at its end."""
    standing = fold(recorded.birth, recorded.log)
    ending = list(_lost_ending(recorded, standing))
    if not ending or standing.oddities:
        return standing
    standing = fold(recorded.birth, [*recorded.log, *ending])
    return replace(standing, lost=(*standing.lost, *ending))


def _lost_ending(recorded: Recorded, standing: Standing) -> Iterator[Entry]:
    """A row that has ended, and counts an attempt that the log lacks, was told of its end."""
    row = recorded.row
    counted = row.attempts_made > standing.attempts_made
    if row.state not in Delivery.TERMINAL or row.state == standing.state or not counted:
        return
    moment = row.ended_at or recorded.now
    delivered = row.state == State.DELIVERED
    verdict = Verdict.DELIVERED if delivered else Verdict.DEAD
    yield stand_in(row.attempts_made, row.trigger, moment, verdict, row.last_status)
    if row.state == State.DISCARDED:
        yield Moved(row.attempts_made, DISCARD, moment)


def _expected(recorded: Recorded, standing: Standing, claim_ended: bool) -> dict[str, Any]:
    """The columns that the log determines, or the event, as they should be."""
    row = recorded.row
    claimed = row.state == State.SENDING and standing.state == PENDING and not claim_ended
    ended_alike = (row.ended_at is None) == (standing.ended_at is None)
    return {
        **(_claimed(recorded, standing) if claimed else _at_rest(recorded, standing)),
        "event_type": row.event_type and (recorded.event_type or row.event_type),
        "attempts_forgiven": standing.attempts_forgiven,
        "trigger": standing.trigger,
        "last_status": standing.last_status,
        "reason": standing.reason,
        "ended_at": row.ended_at if ended_alike else standing.ended_at,
    }


def _claimed(recorded: Recorded, standing: Standing) -> dict[str, Any]:
    """The claim is not in the log; one that could never end is given an end, for the rescue."""
    row, lease = recorded.row, timedelta(seconds=lease_seconds())
    ends = row.due_at is not None and row.due_at <= recorded.now + lease + LONGEST_LEASE
    return {
        "state": State.SENDING,
        "claim": row.claim or uuid.uuid4(),
        "due_at": row.due_at if ends else recorded.now + lease,
        "attempts_made": standing.attempts_made + 1,
    }


def _at_rest(recorded: Recorded, standing: Standing) -> dict[str, Any]:
    state = _state(recorded, standing)
    return {
        "state": state,
        "claim": None,
        "due_at": _due_at(recorded, standing) if state == State.PENDING else None,
        "attempts_made": standing.attempts_made,
    }


def _due_at(recorded: Recorded, standing: Standing) -> datetime | None:
    """What stands in a sequence waits for its turn, and is due when that has come: not logged."""
    row, latest = recorded.row, recorded.now + LONGEST_LEASE
    if row.state != State.PENDING or row.sequence is None:
        return standing.due_at
    if row.due_at is None or standing.due_at is None:
        return row.due_at
    # Its turn may have come after the clock was set back: earlier than it was owed, but past.
    came = standing.due_at <= row.due_at <= latest or row.due_at <= recorded.now
    return row.due_at if came else standing.due_at


def _state(recorded: Recorded, standing: Standing) -> str:
    """What is pending by its log is held while its endpoint is not on; strays are found apart."""
    if standing.state != PENDING or recorded.row.state == State.PENDING:
        return standing.state
    held = recorded.row.state == State.HELD or not recorded.on
    return str(State.HELD) if held else standing.state


def _follows(discrepancy: Discrepancy, standing: Standing) -> bool:
    """Whether it only says again that the record of the last attempt is lost."""
    last_lost = bool(standing.lost) and standing.reason == Fault.UNRECORDED
    return last_lost and discrepancy.what in ("last_status", "reason")


def _differs(row: Delivery, name: str, value: Any) -> Discrepancy:
    return Discrepancy(row.pk, name, _words(getattr(row, name)), _words(value))


def _odd(recorded: Recorded, oddity: str) -> Discrepancy:
    return Discrepancy(recorded.row.pk, "log", oddity, "what can follow")


def _words(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    return "nothing" if value in (None, "") else str(value)
