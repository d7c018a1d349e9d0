"""Says what is wrong with the rows: every delivery, and its log, must be in a legal state."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator

from webhook_delivery.models import Attempt, Delivery, Event

State = Delivery.State

VERDICTS = {
    State.DELIVERED: {"delivered"},
    State.DEAD: {"dead"},
    State.DISCARDED: {"dead"},
    State.PENDING: {"retry", "deferred", "delivered", "dead"},  # the last two, if redelivered
    State.HELD: {"retry", "deferred", "delivered", "dead"},
}
"""What the last attempt may have led to, where there was one; while sending, none is recorded."""


def unlawful() -> list[str]:
    """One sentence for each thing that is wrong; empty if all is well."""
    return faults(list(Delivery.objects.all()), list(Attempt.objects.all()), set_of_events())


def set_of_events() -> set[uuid.UUID]:
    return set(Event.objects.values_list("pk", flat=True))


def faults(
    deliveries: list[Delivery], attempts: list[Attempt], events: set[uuid.UUID]
) -> list[str]:
    """What is wrong with these rows, which are all there are."""
    log = defaultdict(list)
    for attempt in sorted(attempts, key=lambda attempt: attempt.number):
        log[attempt.delivery_id].append(attempt)
    return [
        f"delivery {delivery.pk}, {delivery.state}: {what}"
        for delivery in deliveries
        for what in _faults(delivery, log[delivery.pk], events)
    ] + [f"sequence {each}: {count} are being sent" for each, count in _abreast(deliveries)]


def stranded(deliveries: list[Delivery]) -> list[int]:
    """Those that wait for their turn though nobody stands before them: until the next sweep."""
    unfinished = [each for each in deliveries if each.state not in Delivery.TERMINAL]
    first: dict[tuple[int, int | None], int] = {}
    for each in sorted(unfinished, key=lambda each: (each.state != State.SENDING, each.pk)):
        first.setdefault((each.endpoint_id, each.sequence), each.pk)
    waiting = [each for each in unfinished if each.state == State.PENDING and not each.due_at]
    return [each.pk for each in waiting if first[each.endpoint_id, each.sequence] == each.pk]


def _abreast(deliveries: list[Delivery]) -> Iterator[tuple[tuple[int, int], int]]:
    """Sequences of which more than one are being sent."""
    sent = Counter(
        (each.endpoint_id, each.sequence)
        for each in deliveries
        if each.state == State.SENDING and each.sequence is not None
    )
    return ((sequence, count) for sequence, count in sent.items() if count > 1)


def _faults(delivery: Delivery, attempts: list[Attempt], events: set[uuid.UUID]) -> Iterator[str]:
    state = delivery.state
    sending, terminal = state == State.SENDING, state in Delivery.TERMINAL
    if delivery.event_id not in events:
        yield "its event is gone"
    if sending != (delivery.claim is not None):
        yield f"its claim is {delivery.claim}"
    in_line = state == State.PENDING and delivery.sequence is not None
    if not in_line and (state in (State.PENDING, State.SENDING)) != (delivery.due_at is not None):
        yield f"it is due {delivery.due_at}"
    if terminal != (delivery.ended_at is not None):
        yield f"it ended {delivery.ended_at}"
    if not 0 <= delivery.attempts_forgiven <= delivery.attempts_made:
        yield f"{delivery.attempts_forgiven} of {delivery.attempts_made} attempts are forgiven"
    if [a.number for a in attempts] != list(range(1, delivery.attempts_made + 1 - sending)):
        yield f"{delivery.attempts_made} attempts were made; logged: {[a.number for a in attempts]}"
    if attempts:
        yield from _unlike(delivery, attempts[-1])
    elif terminal:
        yield "it ended without an attempt"


def _unlike(delivery: Delivery, last: Attempt) -> Iterator[str]:
    """What a delivery and the last attempt in its log disagree about."""
    if last.verdict not in VERDICTS.get(State(delivery.state), {last.verdict}):
        yield f"its last attempt led to {last.verdict}"
    said, logged = (delivery.last_status, delivery.reason), (last.status, last.fault)
    if said != logged:
        yield f"it says {said}, its log {logged}"
