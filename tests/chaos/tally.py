"""Compares what the receiver logged with what the rows say, and names all that does not agree."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from tests.chaos.faults import Toll
from tests.chaos.receiver import Request
from webhook_delivery.claims import lease_seconds
from webhook_delivery.models import Attempt, Delivery
from webhook_delivery.outcomes import Fault, Verdict

State = Delivery.State


@dataclass
class Tally:
    """What there is when all is quiet, and every process has ended."""

    acknowledged: set[str]
    """The events whose publisher was told that they are committed."""
    requests: list[Request]
    toll: Toll
    deliveries: dict[str, Delivery] = field(init=False)
    """By their event's `webhook-id`: each event is owed to one endpoint."""
    attempts: dict[int, list[Attempt]] = field(init=False)

    def __post_init__(self) -> None:
        rows = Delivery.objects.select_related("event", "endpoint")
        self.deliveries = {row.event.webhook_id: row for row in rows}
        self.attempts = defaultdict(list)
        for attempt in Attempt.objects.order_by("delivery_id", "number"):
            self.attempts[attempt.delivery_id].append(attempt)

    def wrong(self) -> list[str]:
        """Every broken promise, in words; none if all were kept."""
        return [
            *self._lost(),
            *self._unfinished(),
            *self._undelivered(),
            *self._sent_too_late(),
            *self._doubled_without_cause(),
            *self._lost_without_cause(),
            *self._logs_that_do_not_add_up(),
            *(f"{r.webhook_id} was not signed" for r in self.requests if not r.verified),
        ]

    def figures(self) -> str:
        kinds = " ".join(f"{kind}:{n}" for kind, n in sorted(Counter(self.toll.kinds).items()))
        states = Counter(row.state for row in self.deliveries.values())
        return (
            f"published={len(self.deliveries)} acknowledged={len(self.acknowledged)}"
            f" requests={len(self.requests)} delivered={states[State.DELIVERED]}"
            f" dead={states[State.DEAD]} duplicates={len(self.duplicates)}"
            f" bound={self.toll.bound} worker_lost={len(self.lost_workers)}"
            f" of {len(self.toll.hit)} claims hit; late={len(self.late)}; faults: {kinds or 'none'}"
        )

    def sent_by(self, ports: dict[str, set[int]]) -> dict[str, int]:
        """How many requests came from the ports of each."""
        sent = Counter(request.port for request in self.requests)
        return {name: sum(sent[port] for port in mine) for name, mine in ports.items()}

    @cached_property
    def taken(self) -> dict[str, list[Request]]:
        """The requests that were answered 200, by `webhook-id`."""
        taken = defaultdict(list)
        for request in self.requests:
            if request.status == 200:
                taken[request.webhook_id].append(request)
        return taken

    @cached_property
    def duplicates(self) -> list[Request]:
        """Requests that were answered 200, other than the one that was recorded."""
        recorded = {
            (pk, attempt.number)
            for pk, attempts in self.attempts.items()
            for attempt in attempts
            if attempt.verdict == Verdict.DELIVERED
        }
        return [
            request
            for requests in self.taken.values()
            for request in requests
            if self._claim(request) not in recorded
        ]

    @cached_property
    def lost_workers(self) -> list[Attempt]:
        every = (attempt for attempts in self.attempts.values() for attempt in attempts)
        return [attempt for attempt in every if attempt.fault == Fault.WORKER_LOST]

    @cached_property
    def late(self) -> list[Request]:
        """Requests that arrived after a success had been recorded."""
        ends = {id_: row.ended_at.timestamp() for id_, row in self._delivered()}
        return [r for r in self.requests if r.at > ends.get(r.webhook_id, float("inf"))]

    def _claim(self, request: Request) -> tuple[int, int]:
        return self.deliveries[request.webhook_id].pk, request.attempt

    def _delivered(self) -> Iterator[tuple[str, Delivery]]:
        return ((id_, d) for id_, d in self.deliveries.items() if d.state == State.DELIVERED)

    def _lost(self) -> Iterator[str]:
        for webhook_id in self.acknowledged - self.deliveries.keys():
            yield f"{webhook_id} was committed, and is gone"

    def _unfinished(self) -> Iterator[str]:
        for row in self.deliveries.values():
            if row.state not in (State.DELIVERED, State.DEAD) or row.claim:
                yield f"delivery {row.pk} rests as {row.state} with the claim {row.claim}"
            elif row.state == State.DEAD and row.attempts_made != self._budget(row):
                yield f"delivery {row.pk} is dead after {row.attempts_made} attempts"

    def _budget(self, row: Delivery) -> int:
        return len(row.endpoint.retry_schedule) + 1

    def _undelivered(self) -> Iterator[str]:
        for webhook_id, row in self._delivered():
            if self.attempts[row.pk][-1].number not in {r.attempt for r in self.taken[webhook_id]}:
                yield f"delivery {row.pk} is called delivered, and the receiver knows nothing of it"

    def _sent_too_late(self) -> Iterator[str]:
        """Who was stopped in the middle of a send may end it later; nobody may begin one."""
        for request in self.late:
            stopped = (request.signed < s.ended and request.at > s.ended for s in self.toll.stops)
            if not any(stopped):
                yield f"{request} was sent after a success had been recorded"

    def _doubled_without_cause(self) -> Iterator[str]:
        for request in self.duplicates:
            if self._claim(request) not in self.toll.hit:
                yield f"{request} came twice, and no fault had hit its claim"
        if len(self.duplicates) > self.toll.bound:
            yield f"{len(self.duplicates)} duplicates are more than were in flight"

    def _lost_without_cause(self) -> Iterator[str]:
        for attempt in self.lost_workers:
            hit = (attempt.delivery_id, attempt.number) in self.toll.hit
            if not hit and not self._committed_late(attempt):
                claim = f"delivery {attempt.delivery_id}, attempt {attempt.number}"
                yield f"{claim}: lost at {attempt.started_at}, and no fault had hit its claim"

    def _committed_late(self, attempt: Attempt) -> bool:
        """Whether who was stopped before its commit may have made this claim when it went on."""
        lost = attempt.started_at.timestamp()
        return any(0 <= lost - stop.ended <= lease_seconds() for stop in self.toll.stops)

    def _logs_that_do_not_add_up(self) -> Iterator[str]:
        for row in self.deliveries.values():
            attempts = self.attempts[row.pk]
            verdicts = [attempt.verdict for attempt in attempts]
            numbers = [attempt.number for attempt in attempts]
            if numbers != list(range(1, row.attempts_made + 1)):
                yield f"delivery {row.pk} made {row.attempts_made} attempts, and logged {numbers}"
            if verdicts[-1:] != [row.state] or set(verdicts[:-1]) - {Verdict.RETRY}:
                yield f"delivery {row.pk} is {row.state} after {verdicts}"
