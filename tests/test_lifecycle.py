"""Each arrow of the state diagram, and the races by name; on both paths that a claim can take."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from tests.conftest import end_leases, make_due, make_endpoint
from tests.legal import unlawful
from webhook_delivery import endpoints, lifecycle, publish
from webhook_delivery.claims import Claim, Finding
from webhook_delivery.lifecycle import changing
from webhook_delivery.models import Attempt, Delivery, Endpoint
from webhook_delivery.outcomes import Fault, Outcome, fault_of
from webhook_delivery.policies import policy_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("claim_path")]


@pytest.fixture
def target() -> Endpoint:
    return make_endpoint()


def publish_one() -> Delivery:
    publish("order.created", {"number": 7})
    return Delivery.objects.latest("pk")


def claim_all() -> list[Claim]:
    return lifecycle.claim(100, using="default")


def found(claim: Claim, status: int | None = None, fault: Fault | None = None, **more) -> Finding:
    fault = fault or (fault_of(status) if status else None)
    return Finding(claim, Outcome(status, fault, **more), timezone.now(), 0.01)


def settle(*findings: Finding) -> int:
    return len(lifecycle.settle(findings, using="default"))


def attempt_with(status: int) -> Delivery:
    """One whole attempt at the only delivery, which is due."""
    [claim] = claim_all()
    settle(found(claim, status))
    return Delivery.objects.get()


# ── claim


def test_a_claim_takes_what_is_due_with_a_token_and_counts_the_attempt(target):
    publish_one()

    [claim] = claim_all()

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.claim) == ("sending", claim.token)
    assert (delivery.attempts_made, claim.number) == (1, 1)
    assert delivery.due_at > timezone.now() + timedelta(seconds=2)


def test_a_claim_takes_nothing_twice_and_no_more_than_its_limit(target):
    for _ in range(5):
        publish_one()

    first, rest, none = (lifecycle.claim(n, using="default") for n in (2, 10, 10))

    assert (len(first), len(rest), none) == (2, 3, [])
    assert not {c.delivery_id for c in first} & {c.delivery_id for c in rest}


def test_a_claim_takes_the_longest_due_first(target):
    late, later = publish_one(), publish_one()
    Delivery.objects.filter(pk=later.pk).update(due_at=timezone.now() - timedelta(hours=1))

    [claim] = lifecycle.claim(1, using="default")

    assert claim.delivery_id == later.pk != late.pk


def test_what_is_not_due_or_of_an_endpoint_not_on_is_not_claimed(target):
    publish_one()
    Delivery.objects.update(due_at=timezone.now() + timedelta(seconds=60))
    assert claim_all() == []

    make_due()
    Endpoint.objects.update(state="paused")
    assert claim_all() == []


def test_a_claim_holds_all_that_an_attempt_needs(target):
    delivery = publish_one()

    [claim] = claim_all()

    assert claim.body == bytes(delivery.event.body)
    assert claim.webhook_id == delivery.event.webhook_id
    assert claim.url == target.url
    assert len(claim.sealed_secrets) == 1
    assert "sealed" not in repr(claim)


def test_eight_who_claim_at_once_share_without_doubling(target):
    for _ in range(40):
        publish_one()
    start, taken = threading.Barrier(8), []

    def race() -> None:
        start.wait()
        try:
            while claims := lifecycle.claim(3, using="default"):
                taken.extend(claim.delivery_id for claim in claims)
        finally:
            connection.close()

    in_threads(race, 8)

    assert len(taken) == len(set(taken)) == 40


def in_threads(target: Callable[[], None], count: int) -> None:
    threads = [threading.Thread(target=target) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# ── settle


def test_a_success_is_delivered(target):
    publish_one()

    delivery = attempt_with(204)

    assert (delivery.state, delivery.claim, delivery.due_at) == ("delivered", None, None)
    assert (delivery.last_status, delivery.reason) == (204, "")
    assert delivery.ended_at is not None


def test_a_failure_is_due_again_after_its_wait(target):
    publish_one()

    delivery = attempt_with(503)

    assert (delivery.state, delivery.reason) == ("pending", "http_5xx")
    wait = delivery.due_at - timezone.now()
    assert timedelta(seconds=0.5) < wait <= timedelta(seconds=1.1)
    assert delivery.attempts.get().next_due_at == delivery.due_at


def test_a_wrong_request_is_dead_with_one_attempt(target):
    publish_one()

    delivery = attempt_with(400)

    assert (delivery.state, delivery.reason, delivery.attempts_made) == ("dead", "http_4xx", 1)


def test_ten_failures_are_dead_with_ten_attempts(target):
    publish_one()

    for _ in range(10):
        delivery = attempt_with(503)
        make_due()

    assert (delivery.state, delivery.attempts_made) == ("dead", 10)
    assert list(delivery.attempts.values_list("number", flat=True)) == list(range(1, 11))
    assert claim_all() == []


def test_an_endpoints_schedule_comes_before_all_others(target, settings):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "RETRY_SCHEDULES": {"order.*": [7]}}
    usual = settings.WEBHOOK_DELIVERY["RETRY_SCHEDULE"]
    assert policy_of(target, "order.created", "schedule").schedule == [7]
    assert policy_of(target, "user.created", "schedule").schedule == usual

    target.retry_schedule = []
    assert policy_of(target, "order.created", "schedule").max_attempts == 1


def test_a_retry_is_held_if_the_endpoint_was_paused_meanwhile(target):
    publish_one()
    [claim] = claim_all()
    endpoints.pause(target.pk, using="default")

    settle(found(claim, 503))

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.due_at) == ("held", None)


def test_many_findings_are_settled_in_a_constant_number_of_statements(
    target, django_assert_max_num_queries
):
    for _ in range(20):
        publish_one()
    claims = claim_all()

    with django_assert_max_num_queries(8):
        settle(*[found(claim, 200 if n % 2 else 503) for n, claim in enumerate(claims)])

    assert Delivery.objects.delivered().count() == 10
    assert Delivery.objects.pending().count() == 10


def test_what_a_receiver_says_can_always_be_recorded(target):
    publish_one()
    [claim] = claim_all()

    settle(found(claim, 200, excerpt=b"\x00\xff\xd8<script>", detail="x" * 500))

    attempt = Attempt.objects.get()
    assert bytes(attempt.excerpt) == b"\x00\xff\xd8<script>"
    assert len(attempt.detail) == 200


@pytest.mark.parametrize(
    "schedule", ["fast", {"a": 1}, ["5"], 5, [-1], [10**15]], ids=lambda s: str(s)[:10]
)
def test_an_endpoint_with_an_invalid_schedule_harms_nobody(target, schedule):
    unvalidated = make_endpoint("https://b.example/", retry_schedule=schedule)
    publish_one()

    settle(*[found(claim, 503) for claim in claim_all()])

    assert set(Delivery.objects.values_list("state", flat=True)) == {"pending"}
    assert unvalidated.deliveries.get().attempts_made == 1
    make_due()
    claim_all()
    end_leases()
    assert len(lifecycle.rescue(using="default")) == 2


@pytest.mark.parametrize("timeout", [-1, 0, None])
def test_a_timeout_that_is_none_is_the_default(target, timeout):
    Endpoint.objects.update(timeout_seconds=timeout)
    publish_one()

    assert claim_all()[0].timeout == 2


# ── races


def test_a_late_worker_cannot_settle_what_was_taken_over(target):
    publish_one()
    [late] = claim_all()
    end_leases()
    lifecycle.rescue(using="default")
    [current] = claim_all()

    assert settle(found(late, 200)) == 0
    assert settle(found(current, 503)) == 1
    assert Delivery.objects.get().state == "pending"


def test_a_claim_is_settled_once(target):
    publish_one()
    [claim] = claim_all()

    assert settle(found(claim, 200)) == 1
    assert settle(found(claim, 503)) == 0
    assert Delivery.objects.get().state == "delivered"
    assert Attempt.objects.count() == 1


def test_a_token_of_another_claim_settles_nothing(target):
    publish_one()
    publish_one()
    [one], [other] = lifecycle.claim(1, using="default"), lifecycle.claim(1, using="default")
    swapped = Claim(
        **{**{name: getattr(one, name) for name in Claim.__slots__}, "token": other.token}
    )

    assert settle(found(swapped, 200)) == 0
    assert settle(found(one, 200), found(other, 200)) == 2


def test_a_delivery_deleted_under_its_attempt_is_no_error(target):
    publish_one()
    [claim] = claim_all()
    Delivery.objects.all().delete()

    assert settle(found(claim, 200)) == 0


def test_two_rescuers_take_over_a_lost_claim_once(target):
    publish_one()
    claim_all()
    end_leases()
    start = threading.Barrier(2)

    def race() -> None:
        start.wait()
        try:
            lifecycle.rescue(using="default")
        finally:
            connection.close()

    in_threads(race, 2)

    assert Attempt.objects.get().fault == "worker_lost"


# ── rescue


def test_a_lost_claim_is_logged_and_due_at_once(target):
    publish_one()
    claim_all()
    assert lifecycle.rescue(using="default") == []

    end_leases()
    lifecycle.rescue(using="default")

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.reason) == ("pending", "worker_lost")
    assert [claim.number for claim in claim_all()] == [2]


def test_a_claim_without_a_token_is_taken_over_like_any_other(target):
    for _ in range(2):
        publish_one()
    claim_all()
    end_leases()
    Delivery.objects.filter(pk=Delivery.objects.first().pk).update(claim=None)

    assert len(lifecycle.rescue(using="default")) == 2

    assert Delivery.objects.pending().count() == 2


def test_what_cannot_be_settled_waits_behind_what_can(target, caplog):
    for _ in range(2):
        publish_one()
    claim_all()
    end_leases()
    poison = Delivery.objects.earliest("pk")
    Attempt.objects.create(
        delivery=poison, number=1, trigger="schedule", started_at=timezone.now(), verdict="retry"
    )

    assert len(lifecycle.rescue(using="default")) == 1
    assert lifecycle.rescue(using="default") == []

    assert caplog.text.count("cannot be settled") == 1
    assert not Delivery.objects.stuck().exists()


def test_a_delivery_that_kills_its_workers_runs_out_of_attempts(target):
    publish_one()
    for _ in range(10):
        assert len(claim_all()) == 1
        end_leases()
        lifecycle.rescue(using="default")

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.reason, delivery.attempts_made) == ("dead", "worker_lost", 10)


# ── what people do


def test_a_dead_letter_redelivered_has_a_fresh_budget_and_goes_on_in_the_log(target):
    publish_one()
    attempt_with(400)

    assert len(lifecycle.redeliver(Delivery.objects.all())) == 1

    for _ in range(10):
        delivery = attempt_with(503)
        make_due()
    assert (delivery.state, delivery.attempts_made) == ("dead", 11)
    assert delivery.attempts.last().trigger == "redelivery"


@pytest.mark.parametrize("state", ["pending", "sending", "held", "discarded"])
def test_only_dead_and_delivered_can_be_redelivered(target, state):
    publish_one()
    Delivery.objects.update(state=state)

    assert lifecycle.redeliver(Delivery.objects.all()) == []
    assert Delivery.objects.get().state == state


def test_what_was_delivered_can_be_redelivered_by_a_person(target):
    publish_one()
    attempt_with(200)

    assert len(lifecycle.redeliver(Delivery.objects.all())) == 1
    assert len(claim_all()) == 1


def test_nothing_is_redelivered_to_an_endpoint_that_is_not_on(target):
    publish_one()
    attempt_with(400)
    endpoints.switch_off(target.pk, using="default")

    assert lifecycle.redeliver(Delivery.objects.all()) == []


def test_many_are_changed_in_chunks(target, monkeypatch):
    monkeypatch.setattr(changing, "CHUNK", 3)
    for _ in range(8):
        publish_one()
    Delivery.objects.update(state="dead")

    assert len(lifecycle.redeliver(Delivery.objects.all())) == 8


def test_discard_hides_the_dead_and_restore_brings_them_back(target):
    publish_one()
    assert lifecycle.discard(Delivery.objects.all()) == []
    attempt_with(400)

    assert len(lifecycle.discard(Delivery.objects.all())) == 1
    assert Delivery.objects.get().state == "discarded"
    assert len(lifecycle.restore(Delivery.objects.all())) == 1
    assert Delivery.objects.get().state == "dead"


def test_pausing_holds_and_switching_on_releases(target):
    publish_one()

    assert len(endpoints.pause(target.pk, using="default", reason="maintenance").moved) == 1
    target.refresh_from_db()
    assert (target.state, target.state_reason) == ("paused", "maintenance")
    assert Delivery.objects.get().state == "held"

    assert len(endpoints.switch_on(target.pk, using="default").moved) == 1
    assert len(claim_all()) == 1


def test_what_became_pending_while_its_endpoint_was_paused_is_held(target):
    publish_one()
    Endpoint.objects.update(state="paused")

    endpoints.settle_strays(using="default")
    assert Delivery.objects.get().state == "held"


def test_what_was_held_while_its_endpoint_was_switched_on_is_released(target):
    publish_one()
    endpoints.pause(target.pk, using="default")
    Endpoint.objects.update(state="on")

    endpoints.settle_strays(using="default")
    assert len(claim_all()) == 1


# ── vocabulary


def test_querysets_speak_the_words(target):
    publish_one()
    attempt_with(400)
    other = publish("user.created", {}).deliveries.get()
    deliveries, epoch = Delivery.objects, datetime(2020, 1, 1, tzinfo=UTC)

    assert deliveries.dead().for_endpoint(target).since(epoch).count() == 1
    assert deliveries.since(timezone.now() + timedelta(days=1)).count() == 0
    assert list(deliveries.of_type("user.*")) == list(deliveries.due()) == [other]
    assert deliveries.of_type("*").count() == 2
    assert deliveries.of_type("user.created").get() == other
    assert deliveries.because("http_4xx").count() == 1
    assert list(deliveries.unfinished()) == [other]
    assert deliveries.named(other.event.webhook_id, str(other.pk)).get() == other
    assert deliveries.named("nonsense", "9" * 40).count() == 0
    assert deliveries.waiting().first_due_in() <= 0
    claim_all()
    end_leases()
    assert deliveries.stuck().get() == other


# ── what is illegal changes nothing

VERBS = {
    "claim": lambda claim: lifecycle.claim(10, using="default"),
    "settle": lambda claim: lifecycle.settle([found(claim, 200)], using="default"),
    "rescue": lambda claim: lifecycle.rescue(using="default"),
    "redeliver": lambda claim: lifecycle.redeliver(Delivery.objects.all()),
    "discard": lambda claim: lifecycle.discard(Delivery.objects.all()),
    "restore": lambda claim: lifecycle.restore(Delivery.objects.all()),
    "hold": lambda claim: lifecycle.hold(Delivery.objects.all()),
    "release": lambda claim: lifecycle.release(Delivery.objects.all()),
}
LEGAL = {
    "pending": {"claim", "hold"},
    "sending": {"rescue"},  # its lease has ended; and the claim of the test is not its own
    "delivered": {"redeliver"},
    "dead": {"redeliver", "discard"},
    "discarded": {"restore"},
    "held": {"release"},
}


def bring_to(state: str, target: Endpoint) -> Claim:
    """Let the only delivery come to a state by legal ways; returns a claim that was settled."""
    publish_one()
    [claim] = claim_all()
    settle(found(claim, {"delivered": 200, "dead": 400, "discarded": 400}.get(state, 503)))
    make_due()
    if state == "sending":
        claim_all()
        end_leases()
    elif state == "discarded":
        lifecycle.discard(Delivery.objects.all())
    elif state == "held":
        lifecycle.hold(Delivery.objects.all())
    assert Delivery.objects.get().state == state
    return claim


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("state", LEGAL)
def test_a_verb_changes_what_it_may_and_nothing_else(target, state, verb):
    claim = bring_to(state, target)
    before, attempts = Delivery.objects.values().get(), Attempt.objects.count()

    changed = VERBS[verb](claim)

    after = Delivery.objects.values().get()
    assert bool(changed) == (after != before) == (verb in LEGAL[state])
    assert Attempt.objects.count() - attempts == (verb == "rescue" and state == "sending")
    assert unlawful() == []
