"""Whatever people, workers and clocks do, in any order: the invariants hold after every step."""

from __future__ import annotations

import math
import sys
from collections import Counter
from datetime import timedelta

import hypothesis
import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.conftest import choose_claim_path, make_endpoint
from tests.database_clock import DatabaseClock
from tests.ledger import ANSWERS, LEASE, ORDERED, SCHEDULE, TERMINAL, Ledger, Owed
from tests.legal import faults, set_of_events, stranded, unlawful
from webhook_delivery import (
    InvalidEvent,
    endpoints,
    lifecycle,
    logbook,
    loop,
    publish,
    redelivery,
)
from webhook_delivery.claims import Claim, Finding
from webhook_delivery.clock import Now
from webhook_delivery.judging import judge
from webhook_delivery.models import Attempt, ConsoleAction, Delivery, Endpoint, Event, Lane

pytestmark = pytest.mark.django_db(transaction=True)

DB = "default"
EXAMPLES = 30 if connection.vendor == "sqlite" else 12
MANY_EXAMPLES = 150
ALL = {"order.paid", "user.born"}
SUBSCRIBED = {"all": ALL, "orders": {"order.paid"}, "users": {"user.born"}, ORDERED: ALL}
ENDPOINTS = st.sampled_from(sorted(SUBSCRIBED))
EVENT_TYPES = st.sampled_from(["order.paid", "user.born"])
KEYS = st.sampled_from([None, None, "first", "second"])
SOME = st.sampled_from([0xFFFF, 0x5555, 0x3333, 0x9249, 0x0001])
"""Which of a list are meant: those whose bits are set."""
PATHS = st.sampled_from(["skip_locked", "compare_and_set"])
SELDOM = st.sampled_from([False, False, False, True])
SAID = st.lists(st.sampled_from(["204", "400", "503", "timeout", *ANSWERS]), min_size=5, max_size=5)
STATES = st.sampled_from(["on", "on", "paused", "off"])


ACTS = {"redeliver": {"dead", "delivered"}, "discard": {"dead"}, "restore": {"discarded"}}
"""What people may do to what has ended, and to what else nobody may do anything."""
SWITCHES = {"on": "switch_on", "paused": "pause", "off": "switch_off"}


STEPS = st.one_of(
    st.tuples(st.just("publish"), EVENT_TYPES, KEYS, SELDOM),
    st.tuples(st.just("attempt"), st.integers(1, 8), SAID),
    st.tuples(st.just("claim"), st.integers(1, 8)),
    st.tuples(st.just("settle"), SOME, SAID),
    st.tuples(st.just("crash"), SOME, st.booleans()),
    st.tuples(st.just("settle_late"), SOME, SAID),
    st.tuples(st.just("rescue")),
    st.tuples(st.just("wait"), st.sampled_from([30, 60, 600, 3600, 7200, -3600])),
    st.tuples(st.just("switch"), ENDPOINTS, STATES, st.booleans()),
    st.tuples(st.just("settle_strays")),
    st.tuples(st.just("act"), st.sampled_from(sorted(ACTS)), SOME),
    st.tuples(st.just("act"), st.sampled_from(sorted(ACTS)), st.just(0xFFFF)),
    st.tuples(st.just("delete_an_event"), SOME),
    st.tuples(st.just("prune")),
)
"""One rule that draws a verb: of many rules, Hypothesis would disable half in each example."""


class RolledBack(Exception):
    """The caller thinks better of it."""


class Deliveries(RuleBasedStateMachine):
    """The real verbs on the real rows, and the ledger beside them."""

    receiver = None

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.clock = DatabaseClock()
        self.hands: list[Claim] = []
        self.lost: list[Claim] = []
        self.raised_before = sys.exc_info()[1]
        self.before: dict[int, tuple[str, int]] = {}
        self.verb = ""

    @initialize(path=PATHS, events=st.integers(0, 3), said=SAID)
    def begin(self, path: str, events: int, said: list[str]) -> None:
        choose_claim_path(path, self.patch)
        Endpoint.objects.update(state="on")
        self.endpoints = {endpoint.name: endpoint.pk for endpoint in Endpoint.objects.all()}
        self.names = {pk: name for name, pk in self.endpoints.items()}
        self.ledger = Ledger(dict.fromkeys(self.endpoints, "on"))
        [self.epoch] = Endpoint.objects.values_list(Now(), flat=True)[:1]
        for _ in range(events):
            self.publish("order.paid", None, rolled_back=False)
        self.attempt(5, said)

    @rule(step=STEPS)
    def step(self, step: tuple) -> None:
        verb, *arguments = step
        getattr(self, verb)(*arguments)

    # ── something happens

    def publish(self, event_type: str, key: str | None, rolled_back: bool) -> None:
        self.verb = "publish"
        if rolled_back:
            with pytest.raises(RolledBack), transaction.atomic():
                publish(event_type, {}, idempotency_key="rolled back")
                raise RolledBack
        known_type, known = self.ledger.keys.get(key, (event_type, None))
        if known_type != event_type:
            with pytest.raises(InvalidEvent):
                publish(event_type, {}, idempotency_key=key)
            return
        event = publish(event_type, {}, idempotency_key=key)
        assert known in (None, event.pk)
        if known is None:
            self._owe(event, event_type, key)

    def _owe(self, event: Event, event_type: str, key: str | None) -> None:
        state = self.ledger.endpoints
        hears = {e for e, types in SUBSCRIBED.items() if event_type in types and state[e] != "off"}
        rows = {self.names[d.endpoint_id]: d.pk for d in event.deliveries.all()}
        assert set(rows) == hears, "a committed event has a row for each who was to hear of it"
        self.ledger.events[event.pk], self.ledger.born[event.pk] = rows, self.ledger.now
        if key is not None:
            self.ledger.keys[key] = event_type, event.pk
        for name, pk in rows.items():
            on = state[name] == "on"
            due = self.ledger.now if on else None
            self.ledger.owed[pk] = Owed(name, "pending" if on else "held", due)

    # ── workers

    def claim(self, limit: int) -> None:
        self.verb = "claim"
        due = self.ledger.due()
        claims = lifecycle.claim(limit, using=DB)
        assert len(claims) <= limit
        assert claims or not due, "who looks finds something, as long as anything can be sent"
        taken = {claim.delivery_id for claim in claims}
        left = {(o.endpoint, not o.made, o.due) for pk, o in due.items() if pk not in taken}
        for claim in claims:
            owed = due[claim.delivery_id]
            assert not owed.succeeded, "a success was recorded, and nobody asked for another"
            late = [at for *kind, at in left if kind == [owed.endpoint, not owed.made]]
            assert all(owed.due <= at for at in late), "of a kind, the longest due come first"
            owed.claimed(claim.token, self.ledger.now)
            assert claim.number == owed.made
        self.hands += claims

    def settle(self, which: int, answers: list[str]) -> None:
        self._settle(self._take(self.hands, which), answers)

    def attempt(self, limit: int, answers: list[str]) -> None:
        """What a worker does with what is due, if nothing gets in its way."""
        held = len(self.hands)
        self.claim(limit)
        self._settle(self.hands[held:], answers)
        del self.hands[held:]

    def crash(self, which: int, noticed: bool) -> None:
        """Workers end with claims in their hands; or only sleep for very long."""
        self.verb = "crash"
        if not self.hands:
            self.claim(5)
        self.lost += self._take(self.hands, which)
        if noticed:
            self.wait(LEASE)
            self.rescue()

    def settle_late(self, which: int, answers: list[str]) -> None:
        self._settle(self._take(self.lost, which), answers)

    def _settle(self, claims: list[Claim], answers: list[str]) -> None:
        self.verb = "settle"
        said = {claim: answers[n % len(answers)] for n, claim in enumerate(claims)}
        mine = {c for c in claims if self._owed(c).token == c.token}
        findings = [Finding(c, ANSWERS[answer], timezone.now(), 0.1) for c, answer in said.items()]
        recorded = lifecycle.settle(findings, using=DB)
        assert {each.finding.claim for each in recorded} == mine, "only who holds the token settles"
        # Endpoints that get but one probe are tested elsewhere.
        Lane.objects.update(failures=0, openings=0)
        self.lost = [*self.lost, *claims][-20:]
        for claim in mine:
            owed = self._owed(claim)
            on = self.ledger.on(owed.endpoint)
            owed.answered(said[claim], now=self.ledger.now, on=on)
        for gone in {self._owed(claim).endpoint for claim in mine if said[claim] == "410"}:
            self.switch(gone, "off", dies=False)

    def _owed(self, claim: Claim) -> Owed:
        """What a claim is for; nothing, if its event was deleted."""
        return self.ledger.owed.get(claim.delivery_id, Owed("", "", None))

    def rescue(self) -> None:
        self.verb = "rescue"
        stuck = self.ledger.stuck()
        assert {each.delivery_id for each in lifecycle.rescue(using=DB)} == set(stuck)
        assert {o.token for o in stuck.values()} <= {c.token for c in self.hands + self.lost}
        for owed in stuck.values():
            owed.rescued(now=self.ledger.now, on=self.ledger.on(owed.endpoint))

    # ── clocks

    def wait(self, seconds: int) -> None:
        self.verb = "wait"
        self.clock.step(seconds)
        self.ledger.now += seconds

    # ── people

    def switch(self, endpoint: str, state: str, dies: bool) -> None:
        """Who dies in between has switched the endpoint, and not touched what it is owed."""
        self.verb = "switch"
        with pytest.MonkeyPatch.context() as patch:
            if dies:
                patch.setattr(lifecycle, "hold", lambda rows, most=None: [])
                patch.setattr(lifecycle, "release", lambda rows, most=None: [])
            getattr(endpoints, SWITCHES[state])(self.endpoints[endpoint], using=DB)
        self.ledger.endpoints[endpoint] = state
        if not dies:
            self.ledger.settle_strays([endpoint])

    def settle_strays(self) -> None:
        self.verb = "switch"
        endpoints.settle_strays(using=DB)
        self.ledger.settle_strays(list(self.endpoints))

    def act(self, verb: str, which: int) -> None:
        """Ask it of some, whatever their state; only those may change whose state allows it."""
        self.verb = verb
        asked = [pk for n, pk in enumerate(sorted(self.ledger.owed)) if which >> (n % 16) & 1]
        done = getattr(redelivery, verb)(Delivery.objects.filter(pk__in=asked), by="ann")
        owed = {pk: self.ledger.owed[pk] for pk in asked if self._may(verb, self.ledger.owed[pk])}
        assert set(done.ids) == set(owed)
        for each in owed.values():
            if verb == "redeliver":
                each.redeliver(self.ledger.now)
            else:
                each.state = {"discard": "discarded", "restore": "dead"}[verb]

    def _may(self, verb: str, owed: Owed) -> bool:
        must_be_on = verb == "redeliver"
        return owed.state in ACTS[verb] and (self.ledger.on(owed.endpoint) or not must_be_on)

    def delete_an_event(self, which: int) -> None:
        self.verb = "delete"
        for event in list(self.ledger.events)[which % 8 :][:1]:
            Event.objects.get(pk=event).delete()
            self.ledger.forget(event)
        lifecycle.move_up(using=DB)

    def prune(self) -> None:
        """Retention: events of more than an hour ago, all of whose deliveries have ended."""
        self.verb = "delete"
        old = Event.objects.filter(deliveries__created_at__lt=Now() - timedelta(hours=1))
        ended = old.exclude(deliveries__in=Delivery.objects.unfinished()).distinct()
        pruned = set(ended.values_list("pk", flat=True))
        assert pruned == self.ledger.ended_before(self.ledger.now - 3600)
        Event.objects.filter(pk__in=pruned).delete()
        for event in pruned:
            self.ledger.forget(event)

    # ── what always holds

    @invariant()
    def the_rows_are_lawful_and_as_the_ledger_says(self) -> None:
        rows, log, events = (
            list(Delivery.objects.all()),
            list(Attempt.objects.all()),
            set_of_events(),
        )
        owed = self.ledger.owed
        assert faults(rows, log, events) == []
        assert events == set(self.ledger.events)
        assert {r.pk: self._facts(r) for r in rows} == {pk: o.facts() for pk, o in owed.items()}
        lost = Counter(each.delivery_id for each in log if each.fault == "worker_lost")
        assert lost == Counter({pk: each.lost for pk, each in owed.items()})
        assert stranded(rows) == []
        for row in rows:
            if row.due_at:
                at = (row.due_at - self.epoch).total_seconds()
                if row.state == "pending" and row.sequence is not None:
                    # Its turn comes by a clock that moves, and runs while the ledger's stands.
                    owed[row.pk].due = min(
                        math.floor(at), max(self.ledger.now, math.floor(at) - 29)
                    )
                assert 0 <= at - owed[row.pk].due < 30

    def _facts(self, row: Delivery) -> tuple:
        name = self.names[row.endpoint_id]
        return name, row.state, row.claim, row.attempts_made, row.attempts_forgiven

    @invariant()
    def what_has_ended_is_changed_by_people_and_attempts_only_add_up(self) -> None:
        owed = self.ledger.owed
        for pk, (state, made) in self.before.items():
            if pk in owed:
                changed = state in TERMINAL and state != owed[pk].state
                assert not changed or state in ACTS[self.verb]
                assert made <= owed[pk].made
        for each in owed.values():
            assert each.made - each.deferred <= (1 + len(SCHEDULE)) * (1 + each.redelivered)
        self.before = {pk: (each.state, each.made) for pk, each in owed.items()}

    def teardown(self) -> None:
        try:
            if sys.exc_info()[1] is self.raised_before:
                self._everything_ends()
        finally:
            self.clock.put_right()
            self.patch.undo()
            ConsoleAction.objects.all().delete()
            Event.objects.all().delete()

    def _everything_ends(self) -> None:
        """With endpoints on, time passed and receivers that answer 200, nothing is left."""
        self._the_log_adds_up_to_the_rows()
        for endpoint in self.endpoints:
            self.switch(endpoint, "on", dies=False)
        self.wait(30 * 86400)
        self.rescue()
        wait = {pk for pk, owed in self.ledger.owed.items() if owed.state == "pending"}
        before = len(self.receiver.received)

        report = loop.once(using=DB, seconds=30)

        assert report.delivered == len(self.receiver.received) - before == len(wait)
        assert not Delivery.objects.unfinished().exists()
        assert unlawful() == []
        self._the_log_adds_up_to_the_rows()

    def _the_log_adds_up_to_the_rows(self) -> None:
        """The log is append-only, so once, after all the steps, is enough."""
        for batch in logbook.batches(Delivery.objects.using(DB)):
            assert [judge(recorded).discrepancies for recorded in batch] == [[]] * len(batch)

    def _take(self, claims: list[Claim], which: int) -> list[Claim]:
        """Take some from the list, but at least one."""
        taken = [c for n, c in enumerate(claims) if which >> (n % 16) & 1] or claims[:1]
        claims[:] = [claim for claim in claims if claim not in taken]
        return taken


@pytest.fixture
def machine(receiver, settings) -> type[Deliveries]:
    """The machine, with four endpoints, and leases and waits that only a moved clock ends."""
    settings.WEBHOOK_DELIVERY = {
        **settings.WEBHOOK_DELIVERY,
        "RETRY_SCHEDULE": SCHEDULE,
        "BREAKER_FAILURES": 1_000_000,
        "BREAKER_MAX_SECONDS": 0,  # whole endpoints that wait are tested elsewhere
        "HELD_AT_MOST_SECONDS": 0,  # the ledger knows of no such end
        "LEASE_MARGIN_SECONDS": LEASE - settings.WEBHOOK_DELIVERY["MAX_TIMEOUT_SECONDS"],
    }
    for name, patterns in SUBSCRIBED.items():
        make_endpoint(receiver.url(), *patterns, name=name, ordered=name == ORDERED)
    return type("Machine", (Deliveries,), {"receiver": receiver})


def steps(examples: int) -> hypothesis.settings:
    return hypothesis.settings(
        max_examples=examples,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        print_blob=True,
    )


def test_the_invariants_hold_whatever_happens(machine):
    run_state_machine_as_test(machine, settings=steps(EXAMPLES))


@pytest.mark.nightly
@pytest.mark.parametrize("hour", range(20))
def test_the_invariants_hold_all_night(machine, hour):
    run_state_machine_as_test(machine, settings=steps(MANY_EXAMPLES))
