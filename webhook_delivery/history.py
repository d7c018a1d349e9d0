"""Folds the log of one delivery into where the delivery stands: the log suffices (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import reduce

from webhook_delivery.outcomes import Fault, Verdict

PENDING, DELIVERED, DEAD, DISCARDED = "pending", "delivered", "dead", "discarded"
ENDED = frozenset({DELIVERED, DEAD, DISCARDED})
REDELIVER, ONCE = "redeliver", "once"
DISCARD, RESTORE, RELEASE, RETRY_NOW = "discard", "restore", "release", "retry_now"
TRIGGERED = {REDELIVER: "redelivery", ONCE: "once"}
"""What attempts are triggered by after each of the two."""
BIRTHS = ("schedule", "test")
"""The triggers that a delivery can be born with; the first stands for one that nobody knows."""

LEADS_TO = {
    REDELIVER: PENDING,
    ONCE: PENDING,
    DISCARD: DISCARDED,
    RESTORE: DEAD,
    RELEASE: PENDING,
    RETRY_NOW: PENDING,
}
ALLOWED = {
    REDELIVER: {DELIVERED, DEAD},
    ONCE: {DELIVERED, DEAD},
    DISCARD: {DEAD},
    RESTORE: {DISCARDED},
    RELEASE: {PENDING},
    RETRY_NOW: {PENDING},
}
"""In which states the log may say each verb."""

WAITED = {RELEASE, RETRY_NOW}
"""Verbs for what was waiting, so that no attempt can have ended it just before."""

LOST = "This attempt's record was lost; verify put this in its place."
MOST_LOST = 100
"""A log that lacks more attempts than this in one place is not believed, and not completed."""


@dataclass(frozen=True, slots=True)
class Birth:
    """What a delivery began with."""

    created_at: datetime
    trigger: str
    not_before: datetime | None = None
    """When its first attempt was wished for; None: at once."""


@dataclass(frozen=True, slots=True)
class Attempted:
    """An attempt, as the log tells it."""

    number: int
    trigger: str
    started_at: datetime
    verdict: str
    duration_ms: int | None = None
    status: int | None = None
    fault: str = ""
    detail: str = ""
    next_due_at: datetime | None = None
    excerpt: bytes = field(default=b"", compare=False, repr=False)

    @property
    def place(self) -> tuple[int, int]:
        return self.number, 0

    @property
    def moment(self) -> datetime:
        return self.started_at

    @property
    def ended_at(self) -> datetime:
        return self.started_at + timedelta(milliseconds=self.duration_ms or 0)


@dataclass(frozen=True, slots=True)
class Moved:
    """A transition, as the log tells it: a verb, and after which attempt."""

    after: int
    verb: str
    at: datetime

    @property
    def place(self) -> tuple[int, int]:
        return self.after, 1

    @property
    def moment(self) -> datetime:
        return self.at


Entry = Attempted | Moved


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a delivery stands, by its log. Whether its endpoint holds it is not in the log."""

    state: str
    attempts_made: int
    attempts_forgiven: int
    due_at: datetime | None
    trigger: str
    last_status: int | None = None
    reason: str = ""
    not_before: datetime | None = None
    """When its first attempt was wished for, while there was none."""
    ended_at: datetime | None = None
    """About when: the log does not tell it exactly."""
    lost: tuple[Entry, ...] = ()
    """What the log must have held besides, for what comes later in it to be possible."""
    oddities: tuple[str, ...] = ()
    """What cannot be, whatever was lost."""


def in_order(attempts: Iterable[Attempted], transitions: Iterable[Moved]) -> list[Entry]:
    """One log of both; transitions are given in the order in which they were written."""
    return sorted([*attempts, *transitions], key=lambda entry: entry.place)


def fold(birth: Birth, log: Iterable[Entry]) -> Standing:
    """
    Say where the delivery stands after all that its log tells, in the order of `in_order`.

    What the log lacks in its middle is supposed, and listed in `lost`.
    """
    log = list(log)
    trigger, later = _trigger_at_birth(birth, log), birth.not_before
    due_at = max(birth.created_at, later or birth.created_at)
    return reduce(_follow, log, Standing(PENDING, 0, 0, due_at, trigger, not_before=later))


def stand_in(
    number: int, trigger: str, moment: datetime, verdict: str, status: int | None = None
) -> Attempted:
    """What takes the place of an attempt's record that was lost."""
    return Attempted(
        number=number,
        trigger=trigger,
        started_at=moment,
        verdict=str(verdict),
        status=status,
        fault=str(Fault.UNRECORDED),
        detail=LOST,
        next_due_at=moment if verdict == Verdict.RETRY else None,
    )


def _trigger_at_birth(birth: Birth, log: list[Entry]) -> str:
    said = [birth.trigger, *(entry.trigger for entry in log[:1] if isinstance(entry, Attempted))]
    return next((trigger for trigger in said if trigger in BIRTHS), BIRTHS[0])


def _follow(standing: Standing, entry: Entry) -> Standing:
    """Go on with the entry, after whatever must have come before it."""
    while (lost := _lost_before(entry, standing)) is not None:
        standing = replace(_apply(standing, lost), lost=(*standing.lost, lost))
    if odd := _oddity(standing, entry):
        standing = replace(standing, oddities=(*standing.oddities, *odd))
    return _apply(standing, entry)


def _lost_before(entry: Entry, standing: Standing) -> Entry | None:
    """The next entry that is lacking; None if this one can follow."""
    made, attempted = standing.attempts_made, isinstance(entry, Attempted)
    lacking = _attempts_before(entry) - made
    if not 0 <= lacking <= MOST_LOST:
        return None
    if standing.state in ENDED and (lacking or attempted):
        verb = RESTORE if standing.state == DISCARDED else REDELIVER
        return Moved(made, verb, entry.moment)
    if not lacking:
        return None
    ends = lacking == 1 and isinstance(entry, Moved) and entry.verb not in WAITED
    verdict = Verdict.DEAD if ends else Verdict.RETRY
    return stand_in(made + 1, standing.trigger, entry.moment, verdict)


def _attempts_before(entry: Entry) -> int:
    return entry.number - 1 if isinstance(entry, Attempted) else entry.after


def _oddity(standing: Standing, entry: Entry) -> list[str]:
    before, made = _attempts_before(entry), standing.attempts_made
    if before != made:
        return [f"{name_of(entry)} follows attempt {made}"]
    if isinstance(entry, Attempted):
        known = entry.verdict in list(Verdict)
        return [] if known else [f"{name_of(entry)} has the verdict {entry.verdict!r}"]
    allowed = standing.state in ALLOWED.get(entry.verb, ())
    return [] if allowed else [f"{name_of(entry)} follows the state {standing.state}"]


def name_of(entry: Entry) -> str:
    """What people call it."""
    if isinstance(entry, Attempted):
        return f"attempt {entry.number}"
    return f"{entry.verb} after attempt {entry.after}"


def _apply(standing: Standing, entry: Entry) -> Standing:
    return _attempted(standing, entry) if isinstance(entry, Attempted) else _moved(standing, entry)


def _attempted(standing: Standing, entry: Attempted) -> Standing:
    ends = entry.verdict in (Verdict.DELIVERED, Verdict.DEAD)
    return Standing(
        state=entry.verdict if ends else PENDING,
        attempts_made=entry.number,
        attempts_forgiven=standing.attempts_forgiven + (entry.verdict == Verdict.DEFERRED),
        due_at=None if ends else entry.next_due_at or entry.started_at,
        trigger=standing.trigger,
        last_status=entry.status,
        reason=entry.fault,
        ended_at=entry.ended_at if ends else None,
        lost=standing.lost,
        oddities=standing.oddities,
    )


def _moved(standing: Standing, entry: Moved) -> Standing:
    state = LEADS_TO.get(entry.verb, standing.state)
    due_at = _due_after(standing, entry) if state == PENDING else None
    moved = replace(standing, state=state, due_at=due_at)
    if entry.verb not in TRIGGERED:
        return moved
    trigger = TRIGGERED[entry.verb]
    return replace(moved, attempts_forgiven=standing.attempts_made, trigger=trigger, ended_at=None)


def _due_after(standing: Standing, entry: Moved) -> datetime:
    """What is released goes on waiting for its first attempt; a person's word is heeded at once."""
    if entry.verb != RELEASE or standing.not_before is None:
        return entry.at
    return max(entry.at, standing.not_before)
