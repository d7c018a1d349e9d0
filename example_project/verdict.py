"""Whether the demo's story came true: each claim is held against the rows and the receiver."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from example_project.story import Story
from webhook_delivery.models import Attempt, ConsoleAction, Delivery, Endpoint, Event
from webhook_delivery.outcomes import Fault
from webhook_delivery.testing.receiver import SILENCE, Received

FRESH_SECONDS = 10


@dataclass(frozen=True)
class Claim:
    """Something the story tells, and whether it is so."""

    text: str
    true: bool


@dataclass
class Witness:
    """The delivery of the order to one endpoint: what was recorded, and what arrived."""

    story: Story
    name: str
    requests: list[Received] = field(init=False)

    def __post_init__(self) -> None:
        heard = self.story.receiver.wait_for(Attempt.objects.count())
        self.requests = [got for got in heard if got.path == f"/{self.name}"]
        self.delivery = Delivery.objects.get(
            endpoint=self.story.endpoints[self.name], event_type="order.created"
        )
        self.attempts = list(self.delivery.attempts.order_by("number"))

    def answered(self, *statuses: int) -> bool:
        """Whether rows and receiver agree that just these were the answers."""
        recorded = [attempt.status or SILENCE for attempt in self.attempts]
        return recorded == [got.status for got in self.requests] == list(statuses)

    def ended(self, state: str, reason: str = "") -> bool:
        return (self.delivery.state, self.delivery.reason) == (state, reason)

    def same_every_time(self) -> bool:
        return len({(got.webhook_id, got.body) for got in self.requests}) == 1


def verdict(story: Story) -> list[Claim]:
    """Return every claim, true or not."""
    witnesses = [Witness(story, name) for name in ["flaky", "gone", "strict", "silent"]]
    return [
        Claim("the order was saved with one event, owed to four endpoints", _owed()),
        *map(_claim_about, witnesses),
        _redelivered(witnesses[2]),
        *_about_github(story),
        *_about_all(story),
    ]


def _owed() -> bool:
    [event] = Event.objects.filter(event_type="order.created")
    return event.deliveries.count() == 4 and event.source.startswith("shop.order:")


def _claim_about(it: Witness) -> Claim:
    match it.name:
        case "flaky":
            true = it.answered(503, 503, 200) and it.ended("delivered") and it.same_every_time()
            return Claim("flaky answered 503, 503, 200, and has it at the third attempt", true)
        case "gone":
            true = it.answered(410) and it.ended("dead", Fault.GONE) and _is_off("gone")
            return Claim("gone answered 410; the letter is dead, the endpoint switched off", true)
        case "silent":
            true = it.answered(SILENCE, SILENCE) and it.ended("dead", Fault.TIMEOUT)
            return Claim("silent never answered; dead after 2 attempts, reason: timeout", true)
        case _:
            first = it.attempts[0]
            true = (first.status, first.verdict, first.fault) == (400, "dead", Fault.CLIENT_ERROR)
            return Claim("strict answered 400, and the letter was dead at once", true)


def _is_off(name: str) -> bool:
    return Endpoint.objects.get(name=name).state == Endpoint.State.OFF


def _redelivered(strict: Witness) -> Claim:
    asked = ConsoleAction.objects.filter(
        verb="redeliver", by=strict.story.by, reason="receiver mended", count=1
    )
    triggers = [attempt.trigger for attempt in strict.attempts]
    true = (
        strict.answered(400, 200)
        and strict.ended("delivered")
        and strict.same_every_time()
        and triggers == [Delivery.Trigger.SCHEDULE, Delivery.Trigger.REDELIVERY]
        and asked.count() == 1
    )
    return Claim("mended and redelivered, strict has it: the same webhook-id, the same bytes", true)


def _about_github(story: Story) -> Iterator[Claim]:
    if story.examples:
        ids = sorted(event.webhook_id for event in story.examples)
        arrived = sorted(got.webhook_id for got in story.receiver.received if got.path == "/github")
        delivered = Delivery.objects.delivered().for_endpoint(story.endpoints["github"]).count()
        text = f"{len(ids)} payloads of GitHub's were delivered, each of them once"
        yield Claim(text, ids == arrived and delivered == len(ids))


def _about_all(story: Story) -> Iterator[Claim]:
    received = story.receiver.received
    count = len(received)
    yield Claim(
        f"the receiver saw {count} requests, as many as attempts are recorded",
        count == Attempt.objects.count(),
    )
    yield Claim(
        "`standardwebhooks` accepts the signature of each, and the timestamps were fresh",
        all(got.verified and _is_fresh(got) for got in received),
    )
    bodies = {event.webhook_id: bytes(event.body) for event in Event.objects.all()}
    yield Claim(
        "each carried, byte for byte, the body stored with its event",
        all(bodies.get(got.webhook_id) == got.body for got in received),
    )


def _is_fresh(got: Received) -> bool:
    return abs(got.at - int(got.headers["webhook-timestamp"])) < FRESH_SECONDS
