"""What ought to be: a model of the deliveries beside the real rows, in plain Python."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from webhook_delivery.outcomes import Fault, Outcome

SCHEDULE = (60, 600, 3600)
LEASE = 60
ORDERED = "ordered"
"""The endpoint that gets one after the other."""
TERMINAL = {"delivered", "dead", "discarded"}

ANSWERS = {
    "204": Outcome(204),
    "400": Outcome(400, Fault.CLIENT_ERROR),
    "410": Outcome(410, Fault.GONE),
    "429": Outcome(429, Fault.CLIENT_ERROR, retry_after=7200),
    "503": Outcome(503, Fault.SERVER_ERROR),
    "timeout": Outcome(fault=Fault.TIMEOUT),
    "secret": Outcome(fault=Fault.SECRET),
}


@dataclass
class Owed:
    """One delivery as it ought to be; times are seconds of the ledger's own clock."""

    endpoint: str
    state: str
    due: int | None
    token: uuid.UUID | None = None
    made: int = 0
    forgiven: int = 0
    redelivered: int = 0
    succeeded: bool = False
    """Whether a success was recorded, and nobody has asked for more since."""
    lost: int = 0
    """Claims that a rescue took over: whether they were sent, nobody knows."""
    retried: int = 0
    deferred: int = 0

    def __str__(self) -> str:
        return f"{self.endpoint}: {self.state}, due {self.due}, {self.made}-{self.forgiven} made"

    @property
    def waits(self) -> bool:
        return self.state in ("pending", "held")

    def facts(self) -> tuple:
        return self.endpoint, self.state, self.token, self.made, self.forgiven

    def wait(self, now: int) -> None:
        self.state, self.due = "pending", now

    def hold(self) -> None:
        self.state, self.due = "held", None

    def claimed(self, token: uuid.UUID, now: int) -> None:
        self.state, self.token, self.due = "sending", token, now + LEASE
        self.made += 1

    def end(self, state: str) -> None:
        self.state, self.token, self.due = state, None, None
        self.succeeded = state == "delivered"

    def retry(self, delay: int, *, now: int, on: bool) -> None:
        """Wait, if there are attempts left."""
        run = self.made - self.forgiven
        self.token = None
        if run > len(SCHEDULE):
            self.end("dead")
        elif on:
            self.wait(now + max(delay, SCHEDULE[run - 1] if delay else 0))
        else:
            self.hold()

    def defer(self, *, now: int, on: bool) -> None:
        """Wait, with as many attempts left as before, and at most five minutes."""
        waits = SCHEDULE[min(self.made - self.forgiven, len(SCHEDULE)) - 1]
        self.token = None
        self.forgiven += 1
        self.deferred += 1
        if on:
            self.wait(now + min(waits, 300))
        else:
            self.hold()

    def answered(self, answer: str, *, now: int, on: bool) -> None:
        self.retried += answer in ("429", "503", "timeout")
        match answer:
            case "204":
                self.end("delivered")
            case "400" | "410":
                self.end("dead")
            case "429":
                self.retry(7200, now=now, on=on)
            case "secret":
                self.defer(now=now, on=on)
            case _:
                self.retry(1, now=now, on=on)

    def rescued(self, *, now: int, on: bool) -> None:
        self.lost += 1
        self.retry(0, now=now, on=on)

    def redeliver(self, now: int) -> None:
        self.wait(now)
        self.forgiven, self.succeeded = self.made, False
        self.redelivered += 1


@dataclass
class Ledger:
    """All that is owed, by the numbers of the real rows, and the states of the endpoints."""

    endpoints: dict[str, str]
    now: int = 0
    owed: dict[int, Owed] = field(default_factory=dict)
    events: dict[uuid.UUID, dict[str, int]] = field(default_factory=dict)
    """The deliveries of each event, by endpoint."""
    born: dict[uuid.UUID, int] = field(default_factory=dict)
    keys: dict[str, tuple[str, uuid.UUID]] = field(default_factory=dict)
    """The type and the event that each idempotency key stands for."""

    def on(self, endpoint: str) -> bool:
        return self.endpoints[endpoint] == "on"

    def due(self) -> dict[int, Owed]:
        past = self._past("pending")
        return {pk: o for pk, o in past.items() if self.on(o.endpoint) and not self.behind(pk)}

    def behind(self, pk: int) -> bool:
        """Whether somebody stands before it, at the endpoint that is ordered."""
        name = self.owed[pk].endpoint
        line = {n: o for n, o in self.owed.items() if o.endpoint == name == ORDERED}
        return any(o.state == "sending" or (n < pk and o.waits) for n, o in line.items())

    def stuck(self) -> dict[int, Owed]:
        return self._past("sending")

    def _past(self, state: str) -> dict[int, Owed]:
        return {pk: o for pk, o in self.owed.items() if o.state == state and o.due <= self.now}

    def ended_before(self, moment: int) -> set[uuid.UUID]:
        """Events at least so old, all of whose deliveries have ended."""
        return {
            event
            for event, rows in self.events.items()
            if rows and self.born[event] <= moment
            if all(self.owed[pk].state in TERMINAL for pk in rows.values())
        }

    def settle_strays(self, endpoints: list[str]) -> None:
        for owed in self.owed.values():
            if owed.endpoint not in endpoints:
                continue
            if owed.state == "held" and self.on(owed.endpoint):
                owed.wait(self.now)
            elif owed.state == "pending" and not self.on(owed.endpoint):
                owed.hold()

    def forget(self, event: uuid.UUID) -> None:
        for pk in self.events.pop(event).values():
            del self.owed[pk]
        del self.born[event]
        self.keys = {key: known for key, known in self.keys.items() if known[1] != event}
