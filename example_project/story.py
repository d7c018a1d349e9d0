"""The demo's story: an order is saved, and four receivers of different temper are told of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from example_project import github
from example_project.processes import ReceiverProcess
from example_project.shop.models import Order
from webhook_delivery import publish
from webhook_delivery.models import Attempt, Delivery, DeliveryQuerySet, Endpoint, Event, Secret
from webhook_delivery.outcomes import Fault, Verdict

SCRIPTS = ["/flaky=503,503,200", "/gone=410", "/strict=400,400,400", "/silent=0,0,0"]
"""What each receiver answers, in turn; 0 is silence."""
MENDED = "/strict=200"

CONSEQUENCES = {
    Fault.GONE: "dead: the receiver has gone; its endpoint is switched off",
    Fault.CLIENT_ERROR: "dead: the receiver says this request is wrong",
    Fault.TIMEOUT: "dead: it never answered, and no attempt is left",
}


class NotInTime(Exception):
    """The story is not where it should be by now."""


class Teller(Protocol):
    """Prints a line; the verdict of the attempt it tells of, if any, may give it a colour."""

    def __call__(self, line: str, verdict: str = "", /) -> None: ...


@dataclass
class Story:
    receiver: ReceiverProcess
    secret: str
    by: Any
    """The user who redelivers."""
    say: Teller
    alive: Callable[[], bool]
    """Whether the cluster is running; if not, there is nothing to wait for."""
    seconds: float
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    examples: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._began = time.monotonic()
        self._told: set[int] = set()

    def tell(self) -> None:
        self._meet()
        self._save_an_order()
        self._mend_and_redeliver()
        self._publish_githubs_examples()

    def _meet(self) -> None:
        for name in ["flaky", "gone", "strict"]:
            self._endpoint(name, "order.*")
        self._endpoint("silent", "order.*", timeout_seconds=1, retry_schedule=[1])

    def _endpoint(self, name: str, *patterns: str, **fields: Any) -> None:
        url = self.receiver.url(f"/{name}")
        endpoint = Endpoint.objects.create(name=name, url=url, **fields).subscribe(*patterns)
        Secret.keep(endpoint, self.secret)
        self.endpoints[name] = endpoint

    def _save_an_order(self) -> None:
        self.say(
            "An order is saved; four endpoints want to know. (Waits are shortened to seconds.)"
        )
        Order.objects.create(number=7, total="19.90")
        self._watch(Delivery.objects.all())

    def _mend_and_redeliver(self) -> None:
        self.say("\nThe receiver of “strict” is mended, and its dead letter is redelivered.")
        self.receiver.follow(MENDED)
        strict = Delivery.objects.for_endpoint(self.endpoints["strict"])
        strict.dead().redeliver(by=self.by, reason="receiver mended")
        self._watch(strict)

    def _publish_githubs_examples(self) -> None:
        examples = github.handful()
        if not examples:
            self.say(
                "\nGitHub's payloads are left out: @octokit/webhooks-examples is not in .node."
            )
            return
        self.say(f"\n{len(examples)} real payloads, from GitHub's documentation, are published.")
        self._endpoint("github", *(event_type for event_type, _ in examples))
        self.examples = [publish(event_type, payload) for event_type, payload in examples]
        self._watch(Delivery.objects.for_endpoint(self.endpoints["github"]))

    def _watch(self, deliveries: DeliveryQuerySet) -> None:
        """Tell each attempt when it is recorded, until every one of these deliveries has ended."""
        while True:
            unfinished = _names(deliveries.unfinished())
            self._tell_attempts()
            if not unfinished:
                return
            if self._now() > self.seconds:
                raise NotInTime(f"after {self.seconds:.0f} s, {unfinished} has not ended")
            if not self.alive():
                raise NotInTime(f"the cluster stopped, and {unfinished} has not ended")
            time.sleep(0.1)

    def _tell_attempts(self) -> None:
        new = Attempt.objects.exclude(pk__in=self._told).order_by("started_at", "pk")
        for attempt in new.select_related("delivery__endpoint", "delivery__event"):
            self._told.add(attempt.pk)
            self.say(f"{self._now():6.1f} s  {line_of(attempt)}", attempt.verdict)

    def _now(self) -> float:
        return time.monotonic() - self._began


def line_of(attempt: Attempt) -> str:
    """Say in one aligned line what was attempted, what the answer was, and what follows."""
    delivery = attempt.delivery
    answer = str(attempt.status or "no answer")
    return (
        f"{delivery.endpoint.name:8}{delivery.event.event_type:21}"
        f"attempt {attempt.number}   {answer:12}{_consequence(attempt)}"
    )


def _consequence(attempt: Attempt) -> str:
    match attempt.verdict:
        case Verdict.DELIVERED:
            return "delivered"
        case Verdict.RETRY if attempt.next_due_at:
            wait = attempt.next_due_at - attempt.started_at
            taken = (attempt.duration_ms or 0) / 1000
            return f"again in {wait.total_seconds() - taken:.1f} s"
        case _:
            return CONSEQUENCES.get(Fault(attempt.fault), "dead: no attempt is left")


def _names(deliveries: DeliveryQuerySet) -> str:
    names: Sequence[str] = sorted(set(deliveries.values_list("endpoint__name", flat=True)))
    return ", ".join(names)
