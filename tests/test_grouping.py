"""Dead letters in groups: how many of each kind died when, and who has seen to which kinds."""

from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import connection
from django.utils import timezone

from tests.conftest import make_endpoint
from tests.owing import owe, statements
from webhook_delivery import acknowledging, grouping, tasks
from webhook_delivery.acknowledging import acknowledge, reopen, resolve
from webhook_delivery.grouping import Failure
from webhook_delivery.models import Acknowledgement, ConsoleAction, Delivery, Endpoint

pytestmark = pytest.mark.django_db(transaction=True)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def dead(count: int, endpoint: Endpoint, reason="http_5xx", status=503, ago=timedelta(0)) -> None:
    owe(count, endpoint)
    rows = Delivery.objects.pending().filter(endpoint=endpoint)
    at = timezone.now() - ago - timedelta(seconds=5)
    rows.update(state="dead", due_at=None, reason=reason, last_status=status, ended_at=at)


def groups(by="failure", **options) -> list[grouping.Group]:
    return grouping.groups(by, using="default", **options)


def the(failure: Failure) -> grouping.Group | None:
    return grouping.the(failure, using="default")


@pytest.fixture
def failure(db) -> Failure:
    endpoint = make_endpoint(name="acme")
    dead(3, endpoint)
    return Failure(endpoint.pk, "http_5xx", 503)


# Groups


def test_dead_letters_that_failed_alike_are_a_group_the_largest_first():
    acme, globex = make_endpoint(name="acme"), make_endpoint(name="globex")
    dead(2, acme)
    dead(3, acme, status=500)
    dead(4, globex)
    dead(1, globex, reason="timeout", status=None)
    owe(9, acme)

    assert [(g.name, g.reason, g.status, g.total) for g in groups()] == [
        ("globex", "http_5xx", 503, 4),
        ("acme", "http_5xx", 500, 3),
        ("acme", "http_5xx", 503, 2),
        ("globex", "timeout", 0, 1),
    ]


def test_a_group_says_how_many_died_within_which_time_and_when_the_first_and_the_last():
    endpoint = make_endpoint()
    for n, ago in enumerate([timedelta(0), 2 * HOUR, 2 * DAY, 30 * DAY]):
        dead(10**n // 3 + 1, endpoint, ago=ago)

    [group] = groups()

    assert (group.hour, group.day, group.week, group.total) == (1, 5, 39, 373)
    assert timezone.now() - group.last < timedelta(minutes=1)
    assert timedelta(minutes=-1) < timezone.now() - group.first - 30 * DAY < timedelta(minutes=1)


def test_they_can_be_grouped_otherwise():
    acme, globex = make_endpoint(name="acme"), make_endpoint(name="globex")
    dead(2, acme)
    dead(3, acme, status=500)
    dead(4, globex, reason="dns", status=None)
    Delivery.objects.filter(endpoint=globex).update(event_type="order.lost")

    assert [(g.reason, g.status, g.total) for g in groups("reason")] == [
        ("http_5xx", None, 5),
        ("dns", None, 4),
    ]
    assert [(g.name, g.reason, g.total) for g in groups("endpoint")] == [
        ("acme", None, 5),
        ("globex", None, 4),
    ]
    assert [(g.event_type, g.total) for g in groups("event_type")] == [
        ("order.paid", 5),
        ("order.lost", 4),
    ]


def test_of_event_types_only_the_newest_are_looked_at(monkeypatch):
    monkeypatch.setattr(grouping, "NEWEST", 3)
    endpoint = make_endpoint()
    for n in range(5):
        dead(1, endpoint, ago=n * HOUR)

    assert [group.total for group in groups("event_type")] == [3]


def test_only_so_many_groups_are_told_and_only_of_a_week_if_that_is_asked():
    for n in range(1, 5):
        dead(n, make_endpoint(name=str(n)), ago=n * 3 * DAY)

    assert [group.name for group in groups(most=2)] == ["4", "3"]
    assert [group.name for group in groups(week=True)] == ["2", "1"]


def test_there_is_a_limit_above_which_only_a_week_should_be_asked(monkeypatch):
    dead(3, make_endpoint())
    for limit, beyond in ((2, True), (3, False)):
        monkeypatch.setattr(grouping, "GROUPS_LIVE_LIMIT", limit)
        assert grouping.beyond(using="default").exists() is beyond


def test_tenants_see_their_own_groups():
    dead(1, make_endpoint(name="mine", tenant="a"))
    dead(2, make_endpoint(name="other", tenant="b"))

    for by in grouping.BY:
        assert [group.total for group in groups(by, tenants=["a"])] == [1]
        assert groups(by, tenants=[]) == []


@pytest.mark.parametrize("by", list(grouping.BY))
def test_groups_cost_the_same_statements_however_many_there_are(by):
    dead(1, make_endpoint())
    with statements() as few:
        groups(by)
    for n in range(30):
        dead(2, make_endpoint(), reason="dns" if n % 2 else "tls", status=None)
    with statements() as many:
        groups(by)

    assert len(many) == len(few) <= 2


def test_there_are_no_groups_of_nothing():
    for by in grouping.BY:
        assert groups(by) == []


# Seeing to them


def test_who_saw_to_a_group_is_told_with_it(failure):
    assert the(failure).open

    assert acknowledge(failure, by="ada", note="they know", using="default")

    group = the(failure)
    assert not group.open
    assert (group.seen_to.by, group.seen_to.note, group.seen_to.until) == ("ada", "they know", None)
    assert groups() == [group]


def test_what_is_seen_to_is_one_kind_of_failure_at_one_endpoint(failure):
    endpoint = Endpoint.objects.get()
    dead(1, endpoint, status=500)
    dead(1, endpoint, reason="timeout", status=None)
    dead(1, make_endpoint())

    acknowledge(failure, using="default")
    acknowledge(Failure(endpoint.pk, "timeout"), using="default")

    assert sorted((g.reason, g.status) for g in groups() if not g.open) == [
        ("http_5xx", 503),
        ("timeout", 0),
    ]


def test_a_snoozed_group_comes_back_at_its_time(failure):
    acknowledge(failure, until=timezone.now() + HOUR, using="default")
    assert not the(failure).open

    Acknowledgement.objects.update(until=timezone.now() - timedelta(seconds=1))

    assert the(failure).open
    assert resolve(using="default") == 1
    assert not Acknowledgement.objects.exists()


def test_a_group_that_came_back_can_be_seen_to_again(failure):
    acknowledge(failure, until=timezone.now() + HOUR, using="default")
    Acknowledgement.objects.update(until=timezone.now() - timedelta(seconds=1))

    assert not reopen(failure, using="default")
    assert acknowledge(failure, by="bob", using="default")
    assert the(failure).seen_to.by == "bob"


def test_it_is_acknowledged_until_it_is_empty(failure):
    acknowledge(failure, using="default")
    Delivery.objects.update(state="discarded")
    assert resolve(using="default") == 1

    Delivery.objects.update(state="dead")

    assert the(failure).open


def test_the_sweep_resolves_what_is_empty_and_nothing_else(failure):
    other = make_endpoint()
    dead(1, other, reason="timeout", status=None)
    acknowledge(failure, using="default")
    acknowledge(Failure(other.pk, "timeout"), using="default")
    Delivery.objects.filter(endpoint=failure.endpoint).update(state="discarded")

    tasks.sweep()

    assert [each.endpoint_id for each in Acknowledgement.objects.all()] == [other.pk]


def test_another_status_of_the_same_reason_does_not_keep_it(failure):
    acknowledge(failure, using="default")
    Delivery.objects.update(last_status=500)

    assert resolve(using="default") == 1


def test_reading_changes_nothing(failure):
    acknowledge(failure, using="default")
    Delivery.objects.update(state="discarded")
    with statements() as said:
        assert groups() == []
        assert the(failure) is None

    assert all(sql.startswith("SELECT") for sql in said)
    assert Acknowledgement.objects.exists()


def test_what_nobody_has_seen_to_cannot_be_reopened(failure):
    assert not reopen(failure, using="default")
    acknowledge(failure, using="default")
    assert reopen(failure, using="default")
    assert the(failure).open
    assert not reopen(failure, using="default")


def test_a_group_that_is_empty_cannot_be_acknowledged(failure):
    Delivery.objects.update(state="discarded")

    assert not acknowledge(failure, using="default")
    assert not ConsoleAction.objects.exists()


def test_to_see_to_it_just_so_again_changes_nothing(failure):
    until = timezone.now() + HOUR
    assert acknowledge(failure, using="default")
    assert not acknowledge(failure, using="default")
    assert acknowledge(failure, until=until, using="default")
    assert not acknowledge(failure, until=until, using="default")
    assert acknowledge(failure, until=until + HOUR, using="default")
    assert acknowledge(failure, using="default")
    assert Acknowledgement.objects.count() == 1


def test_each_act_leaves_one_line_of_history(failure):
    until = timezone.now() + HOUR
    acknowledge(failure, by="ada", note="known", using="default")
    acknowledge(failure, by="ada", until=until, using="default")
    reopen(failure, by="bob", note="again", using="default")

    kept = ConsoleAction.objects.order_by("pk").values_list("verb", "by_name", "reason", "about")
    assert list(kept) == [
        ("acknowledge", "ada", "known", "acme: http_5xx 503"),
        ("snooze", "ada", "", "acme: http_5xx 503"),
        ("reopen", "bob", "again", "acme: http_5xx 503"),
    ]


def test_two_at_once_keep_it_once(failure, monkeypatch):
    dead_of, both = Failure.dead, Barrier(2)

    def meet(self, *, using):
        both.wait(10)
        return dead_of(self, using=using)

    monkeypatch.setattr(Failure, "dead", meet)
    if connection.vendor == "sqlite":  # it makes one of them wait, or begin again
        monkeypatch.setattr(Failure, "dead", dead_of)
    done = []

    def run(who: str) -> None:
        try:
            done.append(acknowledge(failure, by=who, using="default"))
        finally:
            connection.close()

    threads = [Thread(target=run, args=[who]) for who in ("ada", "bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(done) == [False, True]
    assert Acknowledgement.objects.count() == ConsoleAction.objects.count() == 1


def test_if_it_cannot_be_recorded_it_is_not_done(failure, monkeypatch):
    def broken(*args):
        raise RuntimeError

    monkeypatch.setattr(acknowledging, "_record", broken)
    with pytest.raises(RuntimeError):
        acknowledge(failure, using="default")

    assert not Acknowledgement.objects.exists()
