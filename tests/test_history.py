"""Folding a delivery's log gives where the delivery stands, whatever has happened to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import make_endpoint
from tests.ledger import ANSWERS
from webhook_delivery import endpoints, history, lifecycle, logbook, publish
from webhook_delivery.claims import Finding
from webhook_delivery.history import Attempted, Birth, Moved, fold, in_order, stand_in
from webhook_delivery.judging import judge
from webhook_delivery.models import Attempt, Delivery, Endpoint, Event, Transition
from webhook_delivery.publishing import publish_test

BORN = datetime(2026, 11, 21, tzinfo=UTC)
BIRTH = Birth(BORN, "schedule")


def at(minute: int) -> datetime:
    return BORN + timedelta(minutes=minute)


def attempt(number: int, verdict: str, status: int = 503, trigger: str = "schedule") -> Attempted:
    fault = "" if verdict == "delivered" else "http_5xx"
    due = at(number + 1) if verdict == "retry" else None
    return Attempted(number, trigger, at(number), verdict, 100, status, fault, next_due_at=due)


# ── any sequence of legal steps


def answer(name: str) -> Callable[[], None]:
    def settle() -> None:
        found = [
            Finding(claim, ANSWERS[name], timezone.now(), 0.01)
            for claim in lifecycle.claim(2, using="default")
        ]
        for each in lifecycle.settle(found, using="default"):
            if name == "410":
                endpoints.switch_off(each.finding.claim.endpoint_id, using="default")

    return settle


def switched(verb: str, number: int) -> Callable[[], None]:
    def switch() -> None:
        getattr(endpoints, verb)(Endpoint.objects.order_by("pk")[number].pk, using="default")

    return switch


def publish_a_test() -> None:
    publish_test(Endpoint.objects.earliest("pk"))


STEPS: dict[str, Callable[[], object]] = {
    "publish": lambda: publish("order.created", {}),
    "publish for later": lambda: publish("order.paid", {}, deliver_at=timedelta(seconds=300)),
    "publish what expires": lambda: publish("order.paid", {}, expires_at=timedelta(seconds=8)),
    "publish a test": publish_a_test,
    "claim and die": lambda: lifecycle.claim(2, using="default"),
    "rescue": lambda: lifecycle.rescue(using="default"),
    "redeliver": lambda: lifecycle.redeliver(Delivery.objects.all()),
    "discard": lambda: lifecycle.discard(Delivery.objects.all()),
    "retry now": lambda: lifecycle.retry_now(Delivery.objects.all()),
    "restore": lambda: lifecycle.restore(Delivery.objects.all()),
    "settle strays": lambda: endpoints.settle_strays(using="default"),
    **{f"answer {name}": answer(name) for name in ANSWERS},
    **{
        f"{verb} {number}": switched(verb, number)
        for verb in ("pause", "switch_on", "switch_off")
        for number in (0, 1)
    },
}
WAITS = {f"wait {seconds} s": seconds for seconds in (2, 10, 600, -3600)}
ANY = st.sampled_from([*STEPS, *WAITS, "answer 503", "answer 503", "wait 10 s", "wait 10 s"])


def differing() -> list[str]:
    """What deliveries are not as their logs say."""
    return [
        str(each)
        for recorded in logbook.read(Delivery.objects.order_by("pk"))
        for each in judge(recorded).discrepancies
    ]


@pytest.mark.django_db(transaction=True)
@settings(
    max_examples=60 if connection.vendor == "sqlite" else 25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(ANY, min_size=5, max_size=30))
def test_the_rows_are_what_their_logs_add_up_to_whatever_happens(database_clock, steps):
    _begin_anew()
    for step in ["publish", *steps]:
        if step in WAITS:
            database_clock.step(WAITS[step])
        else:
            STEPS[step]()
        assert differing() == [], step


def _begin_anew() -> None:
    for model in (Attempt, Transition, Delivery, Event):
        model.objects.all().delete()
    if not Endpoint.objects.exists():
        make_endpoint("https://a.example/")
        make_endpoint("https://b.example/")
    Endpoint.objects.update(state="on")


@pytest.mark.django_db(transaction=True)
def test_a_delivery_is_where_its_log_says_after_a_long_life(database_clock):
    _begin_anew()
    pause, on = STEPS["pause 0"], STEPS["switch_on 0"]
    for step in ["publish", "answer 503", "answer 400", "discard", "restore", "redeliver"]:
        database_clock.step(10)
        STEPS[step]()
    pause()
    on()
    answer("204")()

    recorded = logbook.read(Delivery.objects.order_by("pk"))[0]

    verbs = [entry.verb for entry in recorded.log if isinstance(entry, Moved)]
    assert verbs == ["discard", "restore", "redeliver", "release"]
    standing = fold(recorded.birth, recorded.log)
    assert (standing.state, standing.attempts_made, standing.attempts_forgiven) == (
        "delivered",
        3,
        2,
    )
    assert differing() == []


# ── the fold alone

everywhere_once = pytest.mark.everywhere_once


@everywhere_once
def test_the_words_are_those_of_the_rows():
    assert set(Delivery.TERMINAL) == history.ENDED
    assert {history.PENDING, *history.ENDED, "sending", "held"} == set(Delivery.State.values)
    assert set(history.LEADS_TO) == set(history.ALLOWED) == set(Transition.Verb.values)
    assert {*history.TRIGGERED.values(), *history.BIRTHS} == set(Delivery.Trigger.values)


@everywhere_once
def test_without_a_log_a_delivery_is_due_when_it_was_made():
    standing = fold(BIRTH, [])

    assert (standing.state, standing.due_at, standing.attempts_made) == ("pending", BORN, 0)
    assert fold(Birth(BORN, "test"), []).trigger == "test"
    assert fold(Birth(BORN, "redelivery"), []).trigger == "schedule"
    assert fold(Birth(BORN, "?"), [attempt(1, "dead", trigger="test")]).trigger == "test"


@everywhere_once
def test_what_was_deferred_uses_up_no_attempt():
    log = [attempt(1, "retry"), attempt(2, "deferred"), attempt(3, "deferred"), attempt(4, "dead")]

    standing = fold(BIRTH, log[:3])
    assert (standing.state, standing.attempts_made, standing.attempts_forgiven) == ("pending", 3, 2)
    standing = fold(BIRTH, [*log, Moved(4, "redeliver", at(9)), attempt(5, "deferred")])
    assert (standing.attempts_made, standing.attempts_forgiven) == (5, 5)
    assert (standing.lost, standing.oddities) == ((), ())


@everywhere_once
def test_transitions_come_after_the_attempt_they_name_and_in_the_order_written():
    moves = [Moved(1, "redeliver", at(9)), Moved(0, "release", at(8))]
    log = in_order([attempt(2, "retry"), attempt(1, "dead")], moves)

    assert log == [moves[1], attempt(1, "dead"), moves[0], attempt(2, "retry")]
    standing = fold(BIRTH, log)
    assert (standing.state, standing.due_at) == ("pending", at(3))
    assert (standing.attempts_forgiven, standing.trigger) == (1, "redelivery")
    assert (standing.lost, standing.oddities, standing.ended_at) == ((), (), None)


@everywhere_once
def test_an_attempt_that_is_lacking_is_supposed():
    standing = fold(BIRTH, [attempt(1, "retry"), attempt(3, "delivered", 200)])

    assert standing.lost == (stand_in(2, "schedule", at(3), "retry"),)
    assert (standing.state, standing.attempts_made, standing.reason) == ("delivered", 3, "")
    assert standing.ended_at == at(3) + timedelta(milliseconds=100)


@everywhere_once
@pytest.mark.parametrize(
    ("verb", "verdict"),
    [("redeliver", "dead"), ("discard", "dead"), ("release", "retry"), ("retry_now", "retry")],
)
def test_an_attempt_that_is_lacking_before_a_transition_let_it_happen(verb, verdict):
    standing = fold(BIRTH, [attempt(1, "retry"), Moved(2, verb, at(9))])

    assert standing.lost == (stand_in(2, "schedule", at(9), verdict),)
    assert standing.oddities == ()


@everywhere_once
def test_an_attempt_after_an_end_means_that_a_redelivery_is_lacking():
    after_death = fold(BIRTH, [attempt(1, "dead"), attempt(2, "retry")])
    hidden = fold(BIRTH, [attempt(1, "dead"), Moved(1, "discard", at(2)), attempt(2, "retry")])

    assert after_death.lost == (Moved(1, "redeliver", at(2)),)
    assert (after_death.attempts_forgiven, after_death.oddities) == (1, ())
    assert [entry.verb for entry in hidden.lost] == ["restore", "redeliver"]


@everywhere_once
def test_what_was_supposed_makes_the_log_whole():
    log = [attempt(1, "dead"), attempt(4, "dead"), Moved(6, "redeliver", at(9))]
    lost = fold(BIRTH, log).lost

    entries = [*log, *lost]
    whole = in_order(
        [entry for entry in entries if isinstance(entry, Attempted)],
        [entry for entry in entries if isinstance(entry, Moved)],
    )

    assert len(lost) == 6
    again = fold(BIRTH, whole)
    assert (again.lost, again.oddities, again.attempts_made) == ((), (), 6)
    assert again.state == fold(BIRTH, log).state


@everywhere_once
@pytest.mark.parametrize(
    ("log", "odd"),
    [
        ([attempt(0, "retry")], "attempt 0 follows attempt 0"),
        ([attempt(900, "retry")], "attempt 900 follows attempt 0"),
        ([attempt(1, "perhaps")], "attempt 1 has the verdict 'perhaps'"),
        ([Moved(0, "redeliver", at(1))], "redeliver after attempt 0 follows the state pending"),
        ([Moved(0, "vanish", at(1))], "vanish after attempt 0 follows the state pending"),
        (
            [attempt(1, "delivered"), Moved(1, "discard", at(1))],
            "discard after attempt 1 follows the state delivered",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_is_said(log, odd):
    assert fold(BIRTH, log).oddities == (odd,)


TRIED = st.builds(
    attempt,
    st.integers(0, 12),
    st.sampled_from(["retry", "dead", "delivered", "?"]),
    trigger=st.sampled_from(["schedule", "test", "redelivery"]),
)
VERBS = st.builds(Moved, st.integers(0, 12), st.sampled_from([*history.LEADS_TO]), st.just(at(9)))


@everywhere_once
@given(
    tried=st.lists(TRIED, max_size=12, unique_by=lambda each: each.number), moved=st.lists(VERBS)
)
def test_any_log_can_be_folded_and_one_without_oddities_completed(tried, moved):
    standing = fold(BIRTH, in_order(tried, moved))
    lost = standing.lost

    whole = in_order(
        [*tried, *(entry for entry in lost if isinstance(entry, Attempted))],
        [*moved, *(entry for entry in lost if isinstance(entry, Moved))],
    )
    again = fold(BIRTH, whole)

    assert standing.state in {"pending", *history.ENDED}
    assert (standing.due_at is not None) == (standing.state == "pending")
    if not standing.oddities:
        assert (again.lost, again.oddities) == ((), ())
        assert (again.state, again.due_at) == (standing.state, standing.due_at)
