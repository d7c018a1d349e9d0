"""Compares the database with a copy of deliveries and their logs, and adds what it has lost."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import IO

from django.utils import timezone

from webhook_delivery import logbook, retention
from webhook_delivery.archive import LONGEST_LINE, Copied, Unreadable, read_line
from webhook_delivery.history import PENDING, Attempted, Entry, Moved, fold, in_order, name_of
from webhook_delivery.judging import Discrepancy, Judgement, judge, lacks
from webhook_delivery.locking import insist
from webhook_delivery.logbook import BATCH, Recorded, Told
from webhook_delivery.models import Delivery
from webhook_delivery.outcomes import Fault
from webhook_delivery.verification import mend

State = Delivery.State


@dataclass
class Restoration:
    """
    One reading of a copy, line by line.

    With `repair`, what the copy's logs tell besides is added, and the rows are brought to it: what
    had been delivered before an older backup was put back is not sent again.
    told: hears how many more lines have been read.
    """

    using: str
    repair: bool = False
    told: Told = lambda count: None
    states: Counter[str] = field(default_factory=Counter)
    """How many deliveries were in which state when the copy was made, by their logs."""
    retired: int = 0
    """How many of them are gone because their time was over: no loss, and not brought back."""

    def compare(self, copy: IO[bytes]) -> Iterator[Discrepancy]:
        """Say in what the database differs from the copy; a line that is none is said so, too."""
        lines = enumerate(_lines(copy), 1)
        while batch := list(islice(lines, BATCH)):
            read = [_read(number, line) for number, line in batch if line.strip()]
            yield from (each for each in read if isinstance(each, Discrepancy))
            yield from self._compare([each for each in read if isinstance(each, Copied)])
            self.told(len(batch))

    def _compare(self, copies: Sequence[Copied]) -> Iterator[Discrepancy]:
        ids = {copied.delivery for copied in copies}
        rows = logbook.read(Delivery.objects.using(self.using).filter(pk__in=ids))
        here = {recorded.row.pk: recorded for recorded in rows}
        for copied in copies:
            self.states[_state_of(copied)] += 1
            if _differs(copied, here.get(copied.delivery)):
                yield from insist(partial(self._look_locked, copied), using=self.using)

    def _look_locked(self, copied: Copied) -> list[Discrepancy]:
        """Look again while nobody can change the delivery; only what agrees is united."""
        recorded = logbook.read_locked(copied.delivery, using=self.using)
        if recorded is None:
            return self._gone(copied)
        if strange := _strange(copied, recorded):
            return [strange]
        if contradictions := list(_contradictions(copied, recorded)):
            return contradictions
        added = _added(copied.log, recorded.log)
        found = [lacks(copied.delivery, entry) for entry in added]
        return self._unite(recorded, added, found) if self.repair and added else found

    def _gone(self, copied: Copied) -> list[Discrepancy]:
        """Retention may have deleted what ended so long ago, by the copy's own log."""
        standing = fold(copied.birth, copied.log)
        if retention.over(standing.state, standing.ended_at, now=timezone.now()):
            self.retired += 1
            return []
        return [_missing(copied)]

    def _unite(
        self, recorded: Recorded, added: Sequence[Entry], found: list[Discrepancy]
    ) -> list[Discrepancy]:
        """Add to the log, unless a worker that is sending is about to, and mend the row by it."""
        row = recorded.row
        united = replace(recorded, log=_together(recorded.log, added))
        judgement = judge(united, claim_ended=True)
        if _being_sent(recorded) or not judgement.mendable:
            return found
        additions = (*added, *judgement.additions)
        return mend(row.pk, Judgement(found, judgement.changes, additions), using=self.using)


def _lines(copy: IO[bytes]) -> Iterator[bytes]:
    """The lines; of one that is too long to be read, only its beginning."""
    while line := copy.readline(LONGEST_LINE + 1):
        rest = line
        while not rest.endswith(b"\n") and (rest := copy.readline(LONGEST_LINE)):
            pass
        yield line


def _read(number: int, line: bytes) -> Copied | Discrepancy:
    try:
        return read_line(line)
    except Unreadable as error:
        return Discrepancy(None, f"line {number}", str(error), "a delivery with its log")


def _state_of(copied: Copied) -> str:
    state = fold(copied.birth, copied.log).state
    return str(State.HELD) if state == PENDING and not copied.endpoint_on else state


def _differs(copied: Copied, recorded: Recorded | None) -> bool:
    return (
        recorded is None
        or _strange(copied, recorded) is not None
        or any(_contradictions(copied, recorded))
        or bool(_added(copied.log, recorded.log))
    )


def _missing(copied: Copied) -> Discrepancy:
    return Discrepancy(copied.delivery, "delivery", "nothing", f"event {copied.event}")


def _strange(copied: Copied, recorded: Recorded) -> Discrepancy | None:
    """The number may have been given again since an older backup was put back."""
    row = recorded.row
    if (row.event_id, row.endpoint_id) == (copied.event, copied.endpoint):
        return None
    found = f"event {row.event_id} for endpoint {row.endpoint_id}"
    expected = f"event {copied.event} for endpoint {copied.endpoint}"
    return Discrepancy(row.pk, "delivery", found, expected)


def _contradictions(copied: Copied, recorded: Recorded) -> Iterator[Discrepancy]:
    """Entries of both that cannot both be true."""
    ours = {each.number: each for each in recorded.log if isinstance(each, Attempted)}
    for theirs in copied.log:
        if not isinstance(theirs, Attempted) or theirs.number not in ours:
            continue
        if not _the_same(ours[theirs.number], theirs):
            found, expected = _told(ours[theirs.number]), _told(theirs)
            yield Discrepancy(copied.delivery, name_of(theirs), found, expected)
    here = _moves(recorded.log)
    for after, verbs in _moves(copied.log).items():
        shorter = min(len(verbs), len(here[after]))
        if verbs[:shorter] != here[after][:shorter]:
            found, expected = (", ".join(map(_told, each)) for each in (here[after], verbs))
            yield Discrepancy(copied.delivery, f"what follows attempt {after}", found, expected)


def _the_same(one: Attempted, other: Attempted) -> bool:
    """What stands in for a lost record agrees with the record, if it ends alike."""
    stand_in = Fault.UNRECORDED in (one.fault, other.fault)
    return one.verdict == other.verdict if stand_in else one == other


def _added(theirs: Sequence[Entry], ours: Sequence[Entry]) -> list[Entry]:
    """What their log tells besides; transitions after the same attempt go on where ours end."""
    numbers = {entry.number for entry in ours if isinstance(entry, Attempted)}
    here, there = _moves(ours), _moves(theirs)
    attempts = [e for e in theirs if isinstance(e, Attempted) and e.number not in numbers]
    moves = [move for after in there for move in there[after][len(here[after]) :]]
    return [*attempts, *moves]


def _together(ours: Sequence[Entry], added: Sequence[Entry]) -> tuple[Entry, ...]:
    entries = [*ours, *added]
    attempts = [entry for entry in entries if isinstance(entry, Attempted)]
    return tuple(in_order(attempts, [entry for entry in entries if isinstance(entry, Moved)]))


def _moves(log: Iterable[Entry]) -> dict[int, list[Moved]]:
    """The transitions after each attempt, in their order."""
    moves: dict[int, list[Moved]] = defaultdict(list)
    for entry in log:
        if isinstance(entry, Moved):
            moves[entry.after].append(entry)
    return moves


def _told(entry: Entry) -> str:
    if isinstance(entry, Moved):
        return f"{entry.verb} at {entry.at.isoformat(timespec='microseconds')}"
    outcome = entry.status or entry.fault or "?"
    return f"{outcome} → {entry.verdict} at {entry.started_at.isoformat(timespec='microseconds')}"


def _being_sent(recorded: Recorded) -> bool:
    due = recorded.row.due_at
    return recorded.row.state == State.SENDING and due is not None and due > recorded.now
