"""What a test holds in its hand: what was published, what is sent, what is answered, and time."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from typing import Any, Literal, Self

from django.db import connections, router
from django.db.models import Min, Prefetch

from webhook_delivery import endpoints, fitting, lifecycle
from webhook_delivery.claims import Settled
from webhook_delivery.drain import drain
from webhook_delivery.models import Delivery, Endpoint, Event
from webhook_delivery.pump import Feeder
from webhook_delivery.testing.memory import Memory, Request
from webhook_delivery.testing.passing import let_time_pass, until_the_next
from webhook_delivery.testing.published import (
    Published,
    Wanted,
    how_it_does_not_fit,
    how_it_failed,
)
from webhook_delivery.testing.replies import EVERYWHERE, Answer
from webhook_delivery.testing.standing_in import create_endpoint, standing_in

SECONDS = 60
"""How long one drain may send; in memory it takes no time."""
ROUNDS = 500
"""After so many waits, what has not ended will not."""


class Webhooks:
    """
    Catches what is published, and sends it through memory.

    A context manager; in pytest the fixture `webhooks`, in a TestCase `self.webhooks`. What nobody
    is subscribed to is heard by an endpoint of its own; no worker is woken, and no socket opened.

    At the end, it fails if what was published does not fit the catalogue's schema of its type, and
    the library is there to see that.

    using: the database; default: where the router writes events.
    validate: whether it does; an attribute, too, that a test can set.
    """

    def __init__(self, *, using: str | None = None, validate: bool = True) -> None:
        self.validate = validate
        self._using = using or router.db_for_write(Event)
        self._memory = Memory(self._using)
        self._stack = ExitStack()
        self._before: frozenset[Any] = frozenset()

    def __enter__(self) -> Self:
        rows = Event.objects.using(self._using).values_list("pk", flat=True)
        self._before = frozenset(rows)
        self._stack.enter_context(standing_in(self._memory))
        return self

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        self._stack.close()
        if kind is None:
            self._raise_mistakes()
            self.assert_fit()

    @property
    def events(self) -> list[Published]:
        """All that has been published since the test began, the first first."""
        rows = Event.objects.using(self._using).exclude(pk__in=self._before)
        owed = Delivery.objects.using(self._using)
        ordered = rows.annotate(first=Min("deliveries__pk")).order_by("created_at", "first", "pk")
        return [
            Published(event, frozenset(each.endpoint_id for each in event.deliveries.all()))
            for event in ordered.prefetch_related(Prefetch("deliveries", owed))
        ]

    @property
    def requests(self) -> list[Request]:
        """All that has been sent, the first first."""
        return list(self._memory.requests)

    def published(
        self,
        event_type: str = "*",
        *,
        tenant: str | None = None,
        to: Endpoint | None = None,
        **lookups: Any,
    ) -> list[Published]:
        """Return the events that `assert_sent` would accept, the first first."""
        return Wanted(event_type, tenant, to, lookups).among(self.events)

    def assert_sent(
        self,
        event_type: str,
        *,
        times: int | None = None,
        tenant: str | None = None,
        to: Endpoint | None = None,
        **lookups: Any,
    ) -> Published:
        """
        Fail unless such an event was published; it need not have been delivered yet.

        event_type: a type, or a pattern: `order.*`.
        times: how often, exactly; None: at least once.
        tenant: whose; None: anybody's.
        to: an endpoint that it must be owed to.
        lookups: what its body must hold, `data__lines__0__sku="A7"`; the last word may be an
            operator: exact, in, gt, gte, lt, lte, contains, startswith, endswith, regex, isnull.

        Returns the first of them.
        """
        __tracebackhide__ = True
        wanted, published = Wanted(event_type, tenant, to, lookups), self.events
        found = wanted.among(published)
        if not found or times not in (None, len(found)):
            expected = "at least once" if times is None else f"exactly {times}"
            raise AssertionError(how_it_failed(wanted, expected, published))
        return found[0]

    def assert_not_sent(
        self,
        event_type: str = "*",
        *,
        tenant: str | None = None,
        to: Endpoint | None = None,
        **lookups: Any,
    ) -> None:
        """Fail if such an event was published."""
        __tracebackhide__ = True
        wanted, published = Wanted(event_type, tenant, to, lookups), self.events
        if wanted.among(published):
            raise AssertionError(how_it_failed(wanted, "never", published))

    def assert_fit(self) -> None:
        """Fail if something that was published does not fit its schema; asked once, at the end."""
        __tracebackhide__ = True
        validate, self.validate = self.validate, False
        if not validate or not fitting.available() or connections[self._using].needs_rollback:
            return
        if unfit := list(filter(None, map(how_it_does_not_fit, self.events))):
            raise AssertionError("\n\n".join(unfit))

    def endpoint(self, *patterns: str, tenant: str = "", url: str = "", **fields: Any) -> Endpoint:
        """
        Create an endpoint that hears these types or patterns; default: all of its tenant.

        url: default: one that leads nowhere. fields: others of `Endpoint`.
        """
        name = str(fields.pop("name", f"receiver of {' '.join(patterns) or '*'}"))
        using = self._using
        endpoint = create_endpoint(name, using=using, url=url, tenant=tenant, **fields)
        return endpoint.subscribe(*patterns or ["*"], using=using)

    def replies(self, *answers: Answer, to: Endpoint | str = EVERYWHERE) -> Self:
        """
        Answer the next requests so, in turn: `replies(503, Fault.TIMEOUT, 200)`.

        to: only those to this endpoint, or URL.
        """
        self._memory.script.extend(answers, _url_of(to))
        return self

    def otherwise(self, answer: Answer, *, to: Endpoint | str = EVERYWHERE) -> Self:
        """Answer so whenever no reply is left; without this, 200."""
        self._memory.script.end_in(answer, _url_of(to))
        return self

    def drain(self, *, until: Literal["idle", "ended"] = "idle") -> list[Delivery]:
        """
        Send what is due, here and now: really signed, really settled, but through memory.

        One after the other, in the order in which they fell due; those of one `publish_many` fall
        due at the same moment.

        until: "ended": let time pass, too, until nothing waits to be retried.
        Returns the deliveries that were attempted, as they are then, each once.
        Raises what a function among the replies raised, unless it was an OSError.
        """
        reached: dict[int, None] = {}
        self._send(reached)
        rounds = 0
        while until == "ended" and (wait := until_the_next(using=self._using)):
            if (rounds := rounds + 1) > ROUNDS:
                raise AssertionError(f"After {ROUNDS} waits there is still something to be sent.")
            self.let_time_pass(wait)
            self._send(reached)
        rows = Delivery.objects.using(self._using).select_related("event", "endpoint")
        found = rows.in_bulk(list(reached))
        return [found[pk] for pk in reached]

    def let_time_pass(self, by: timedelta | float | None = None) -> None:
        """
        Let so much time, or so many seconds, pass: all that is written down becomes older.

        by: None: until something falls due.
        """
        span = timedelta(seconds=by) if isinstance(by, int | float) else by
        span = span if span is not None else until_the_next(using=self._using)
        if span:
            let_time_pass(span, using=self._using)

    def _send(self, reached: dict[int, None]) -> None:
        def hear(settled: Settled) -> None:
            reached.setdefault(settled.delivery_id)

        using = self._using
        if endpoints.resume_due(using=using):
            endpoints.settle_strays(using=using)
        lifecycle.rescue(using=using)
        drain(using=using, seconds=SECONDS, heard=hear, meanwhile=Feeder(using))
        self._raise_mistakes()

    def _raise_mistakes(self) -> None:
        if self._memory.mistakes:
            raise self._memory.mistakes.pop(0)


def _url_of(to: Endpoint | str) -> str:
    return to if isinstance(to, str) else to.url
