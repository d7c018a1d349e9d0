"""Who fails for days is warned of, then switched off, keeps what it is owed, and may come back."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connections, transaction
from django.db.models import F
from django.utils import timezone

from tests.conftest import make_due, make_endpoint
from tests.owing import end_pauses, owe, statements
from tests.test_locking import BY, in_the_way, locked
from tests.test_signals import claim, found, hearing, settle
from webhook_delivery import (
    ailing,
    doorbell,
    endpoints,
    health,
    lifecycle,
    overseeing,
    publish,
    tasks,
)
from webhook_delivery.clock import Now
from webhook_delivery.models import Delivery, Endpoint, Lane
from webhook_delivery.outcomes import Fault
from webhook_delivery.publishing import publish_test
from webhook_delivery.signals import endpoint_disabled, endpoint_recovered, endpoint_warned
from webhook_delivery.testing import Reply

pytestmark = pytest.mark.django_db(transaction=True)

DAY = 86_400
MOMENTS = ("failing_since", "failed_at", "warned_at", "blocked_until")


def oversee() -> int:
    return overseeing.oversee(using="default")


def fail(endpoint: Endpoint, count: int = 1, status: int = 503) -> None:
    """Let first attempts at so many events fail now."""
    end_pauses()
    for _ in range(count):
        owe(1, endpoint)
        [claimed] = lifecycle.claim(1, using="default")
        settle(found(claimed, status))
        end_pauses()
        Delivery.objects.pending().update(due_at=Now() + timedelta(days=5))


def let_pass(days: float) -> None:
    """Let what lanes remember be so much longer ago."""
    ago = {name: F(name) - timedelta(days=days) for name in MOMENTS}
    for name, moment in ago.items():
        Lane.objects.exclude(**{name: None}).update(**{name: moment})


@pytest.fixture
def warned(endpoint) -> Endpoint:
    """It fails for a day."""
    fail(endpoint, 3)
    let_pass(1)
    fail(endpoint)
    assert oversee() == 1
    return endpoint


@pytest.fixture
def failed(warned) -> Endpoint:
    """It fails for five days, was warned of, and is still on."""
    let_pass(4)
    fail(warned)
    return warned


def test_who_fails_for_a_day_is_warned_of_once(endpoint, caplog):
    fail(endpoint, 3)
    let_pass(1)

    with hearing(endpoint_warned) as heard, hearing(endpoint_disabled) as disabled:
        assert oversee() == 0  # nothing has failed since
        fail(endpoint)
        assert oversee() == 1
        assert oversee() == 0

    [told] = heard
    assert (told["sender"], told["endpoint"], told["using"]) == (Endpoint, endpoint, "default")
    assert told["failing_since"] == Lane.objects.get().failing_since
    assert disabled == []
    assert Endpoint.objects.get().state == "on"
    assert "failing since" in caplog.text


def test_who_fails_for_five_days_is_switched_off_and_keeps_what_it_is_owed(failed, caplog):
    [pending] = {*Delivery.objects.values_list("state", flat=True)}
    assert pending == "pending"

    with hearing(endpoint_disabled) as heard:
        tasks.sweep()
        tasks.sweep()

    [told] = heard
    assert (told["sender"], told["endpoint"], told["using"]) == (Endpoint, failed, "default")
    failed.refresh_from_db()
    since = Lane.objects.get().failing_since
    assert failed.state == "off"
    assert failed.state_reason == told["reason"] == f"failing since {since:%Y-%m-%d %H:%M} UTC"
    assert {*Delivery.objects.values_list("state", flat=True)} == {"held"}
    assert "is switched off" in caplog.text


@pytest.mark.parametrize("by", BY)
def test_who_is_locked_by_others_is_switched_off_by_the_next_sweep(failed, by):
    with locked(failed, by):
        assert oversee() == (0 if in_the_way(by) else 1)
    oversee()

    assert Endpoint.objects.get().state == "off"


def test_switched_on_again_it_is_sent_what_was_held_and_has_all_the_time_again(
    receiver, failed, send_due
):
    oversee()
    owed = Delivery.objects.count()

    endpoints.switch_on(failed.pk, using="default", by="ann")
    fail(failed)

    assert oversee() == 0
    lane = Lane.objects.get()
    assert (lane.failed_events, ailing.told_at(lane.traffic)) == (1, None)
    make_due()
    end_pauses()
    send_due()
    assert Delivery.objects.delivered().count() == owed + 1


def test_a_pause_that_ends_gives_it_all_the_time_again_too(failed):
    endpoints.pause(failed.pk, using="default", until=timezone.now() - timedelta(minutes=1))
    assert oversee() == 0

    endpoints.resume_due(using="default")
    fail(failed)

    assert oversee() == 0
    assert Lane.objects.get().failed_events == 1


def test_switching_on_what_is_on_changes_nothing(warned):
    endpoints.switch_on(warned.pk, using="default")

    assert Lane.objects.get().warned_at is not None


def test_one_event_that_fails_for_days_switches_nothing_off(endpoint):
    fail(endpoint)
    for _ in range(9):
        let_pass(2)
        make_due()
        end_pauses()
        [again] = claim(10)
        settle(found(again, 503))

    assert oversee() == 0
    assert Lane.objects.get().failed_events == 1


def test_who_refuses_everything_for_days_is_switched_off_too(endpoint):
    fail(endpoint, 3, status=401)
    let_pass(1)
    fail(endpoint, status=401)
    assert oversee() == 1
    let_pass(4)
    fail(endpoint, status=401)

    assert oversee() == 1
    assert Endpoint.objects.get().state == "off"
    assert Lane.objects.get().failures == 0


def test_a_refusal_now_and_then_is_forgotten_with_the_next_success(receiver, endpoint, send_due):
    receiver.replies(404)
    publish("a", {})
    send_due()
    assert Lane.objects.get().failing_since is not None

    with hearing(endpoint_recovered) as heard:
        publish("b", {})
        send_due()

    assert Lane.objects.get().failing_since is None
    assert heard == []  # nobody had noticed


def test_tests_that_fail_are_not_held_against_it(receiver, endpoint, send_due):
    receiver.replies(500)
    publish_test(endpoint)

    send_due()

    assert Delivery.objects.dead().count() == 1
    assert Lane.objects.get().failing_since is None


def test_a_test_that_arrives_ends_it(warned, send_due):
    publish_test(warned)

    with hearing(endpoint_recovered) as heard:
        send_due()

    assert len(heard) == 1


def test_what_is_our_own_fault_is_not_held_against_it(endpoint):
    owe(1, endpoint)
    [claimed] = claim(1)

    settle(found(claimed, None, Fault.WORKER_LOST))

    assert Lane.objects.get().failing_since is None


# ── recovery


def test_what_arrives_after_a_warning_is_told_of_once(receiver, warned, send_due):
    since = Lane.objects.get().failing_since
    make_due()

    with hearing(endpoint_recovered) as heard:
        send_due()

    [told] = heard
    assert (told["sender"], told["endpoint"], told["using"]) == (Endpoint, warned, "default")
    assert told["failing_since"] == since
    lane = Lane.objects.get()
    assert (lane.failing_since, lane.failed_at, lane.failed_events, lane.warned_at) == (
        *[None] * 2,
        0,
        None,
    )


def test_a_probe_that_arrives_is_told_of(settings, receiver, endpoint, send_due):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "BREAKER_FAILURES": 2}
    receiver.replies(503, 503, 503, 503)
    owe(4, endpoint)
    send_due()
    assert Lane.objects.get().openings
    end_pauses()
    make_due()
    receiver.follow("/=200")

    with hearing(endpoint_recovered) as heard:
        send_due()

    assert [told["endpoint"] for told in heard] == [endpoint]
    assert Delivery.objects.delivered().count() == 4


def test_a_failure_or_two_are_not_worth_a_signal(receiver, endpoint, send_due):
    receiver.replies(503)
    publish("a", {})
    publish("b", {})

    with hearing(endpoint_recovered) as heard:
        send_due()
        make_due()
        send_due()

    assert Delivery.objects.delivered().count() == 2
    assert heard == []


def test_a_recovery_that_is_rolled_back_is_not_told(warned):
    make_due()
    end_pauses()
    [claimed] = claim(1)

    with hearing(endpoint_recovered) as heard, transaction.atomic():
        settle(found(claimed))
        transaction.set_rollback(True)

    assert heard == []


# ── switched off by the receiver, and by people


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(410), "410 Gone"),
        (Reply(200, {"webhook-delivery": "disable"}), "webhook-delivery: disable"),
    ],
)
def test_who_wants_nothing_more_is_told_of_once(receiver, endpoint, send_due, reply, reason):
    receiver.replies(reply, reply)
    publish("a", {})
    publish("b", {})

    with hearing(endpoint_disabled) as heard:
        send_due()

    assert [(told["endpoint"], told["reason"]) for told in heard] == [(endpoint, reason)]
    assert heard[0]["endpoint"].state == "off"


def test_who_wanted_nothing_more_is_well_again_when_something_arrives(receiver, endpoint, send_due):
    receiver.replies(410)
    publish("a", {})
    send_due()
    endpoints.switch_on(endpoint.pk, using="default", by="ann")
    publish("b", {})

    with hearing(endpoint_recovered) as heard:
        send_due()
        publish("c", {})
        send_due()

    assert [told["failing_since"] for told in heard] == [None]


def test_who_fails_again_after_it_was_switched_on_is_warned_of_again(failed):
    oversee()
    endpoints.switch_on(failed.pk, using="default", by="ann")
    fail(failed, 3)
    let_pass(1)
    fail(failed)

    with hearing(endpoint_warned) as heard:
        assert oversee() == 1
        assert oversee() == 0

    assert len(heard) == 1
    assert len(health.remarks()) == 1


def test_what_a_person_does_the_person_knows(endpoint):
    with hearing(endpoint_disabled) as heard, hearing(endpoint_recovered) as recovered:
        endpoints.pause(endpoint.pk, using="default", by="ann")
        endpoints.switch_off(endpoint.pk, using="default", by="ann", reason="410 Gone")
        endpoints.switch_on(endpoint.pk, using="default", by="ann")

    assert heard == recovered == []


@pytest.fixture
def between(monkeypatch):
    """Do something after a sweep has seen who fails, and before it acts."""
    look = overseeing._failing

    def do(what) -> None:
        monkeypatch.setattr(overseeing, "_failing", lambda using: (look(using), what())[0])

    return do


def arrive() -> None:
    make_due()
    end_pauses()
    [claimed, *_] = claim(10)
    settle(found(claimed))


def test_who_is_paused_meanwhile_is_left_to_the_person(failed, between):
    between(lambda: endpoints.pause(failed.pk, using="default", by="ann"))

    assert oversee() == 0
    assert Endpoint.objects.get().state == "paused"


def test_who_recovers_meanwhile_stays_on(failed, between):
    between(arrive)

    assert oversee() == 0
    assert Endpoint.objects.get().state == "on"


def test_who_recovers_meanwhile_is_not_warned_of(endpoint, between):
    fail(endpoint, 3)
    let_pass(1)
    fail(endpoint)
    between(arrive)

    with hearing(endpoint_warned) as heard:
        assert oversee() == 0

    assert heard == []


# ── what operators see


def test_health_mentions_it_and_is_healthy_all_the_same(warned, send_due, capsys):
    doorbell.answer(using="default")
    since = Lane.objects.get().failing_since

    call_command("webhooks", "health")

    said = f"Endpoint {warned.pk} ({warned}) has failed since {since:%Y-%m-%d %H:%M} UTC.\n"
    assert capsys.readouterr().out == f"Healthy.\n{said}"
    call_command("webhooks", "health", "--json")
    assert json.loads(capsys.readouterr().out)["remarks"] == [said.strip()]


# ── two at once, and many


def oversee_on_two_machines(between) -> list[int]:
    """Both have seen who fails before either acts."""
    done: list[int] = []
    between(threading.Barrier(2, timeout=30).wait)

    def run() -> None:
        try:
            done.append(oversee())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(done)


def test_sweeps_on_two_machines_warn_once(endpoint, between):
    fail(endpoint, 3)
    let_pass(1)
    fail(endpoint)

    with hearing(endpoint_warned) as heard:
        assert oversee_on_two_machines(between) == [0, 1]

    assert len(heard) == 1


def test_sweeps_on_two_machines_switch_off_once(failed, between):
    with hearing(endpoint_disabled) as heard:
        assert oversee_on_two_machines(between) == [0, 1]

    assert len(heard) == 1


def test_one_sweep_does_so_many_and_the_next_goes_on(monkeypatch):
    monkeypatch.setattr(overseeing, "AT_ONCE", 2)
    for number in range(3):
        fail(make_endpoint(name=f"{number}"), 3)
    let_pass(2)
    Lane.objects.update(failed_at=Now())

    assert (oversee(), oversee(), oversee()) == (2, 1, 0)


def test_a_sweep_asks_once_if_nobody_fails(endpoint):
    with statements() as said:
        assert oversee() == 0

    assert len(said) == 1


def test_who_may_fail_for_ever_costs_nothing(settings, failed):
    never = {"WARN_AFTER_SECONDS": 0, "DISABLE_AFTER_SECONDS": 0}
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, **never}

    with statements() as said:
        assert oversee() == 0

    assert said == []


@pytest.mark.parametrize(("warn", "disable", "wrong"), [(DAY, DAY, 1), (DAY, 0, 0), (0, DAY, 0)])
def test_a_warning_that_comes_too_late_is_refused(settings, warn, disable, wrong):
    both = {"WARN_AFTER_SECONDS": warn, "DISABLE_AFTER_SECONDS": disable}
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, **both}

    said = [each for each in run_checks() if "WARN_AFTER_SECONDS" in each.msg]

    assert len(said) == wrong
