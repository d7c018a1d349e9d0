"""`discard`, `restore`, `retry-now` and `redeliver`: to whom, in whose name, and how it is told."""

import io
import sys
from datetime import timedelta

import pytest
from django.utils import timezone

from tests.conftest import make_endpoint
from tests.owing import owe
from tests.shell import Terminal, in_json, run
from webhook_delivery.clock import Now
from webhook_delivery.management import progress
from webhook_delivery.management.verbs import acting
from webhook_delivery.models import ConsoleAction, Delivery, Endpoint

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> Endpoint:
    return make_endpoint(name="acme")


def dead(endpoint: Endpoint, count: int = 1, **columns) -> list[int]:
    """The numbers of so many dead letters."""
    ids = [delivery.pk for delivery in owe(count, endpoint)]
    ended = {"state": "dead", "due_at": None, "ended_at": timezone.now(), "reason": "timeout"}
    Delivery.objects.filter(pk__in=ids).update(**{**ended, **columns})
    return ids


def in_state(state: str) -> list[int]:
    return sorted(Delivery.objects.filter(state=state).values_list("pk", flat=True))


def test_what_is_named_is_discarded_and_restored_and_both_are_kept(acme):
    first, second = dead(acme, 2)

    discarded = in_json("discard", first, "--by", "ann", "--why", "closed")
    assert in_state("discarded") == [first] == discarded["discarded"]
    restored = run("restore", first, "--by", "ben", "--why", "open again")

    assert "1 discarded delivery was restored" in restored.out
    assert in_state("dead") == [first, second]
    kept = ConsoleAction.objects.order_by("pk").values_list("verb", "by_name", "reason", "count")
    assert list(kept) == [("discard", "ann", "closed", 1), ("restore", "ben", "open again", 1)]


def test_a_webhook_id_names_its_deliveries(acme):
    [number] = dead(acme)
    webhook_id = Delivery.objects.get(pk=number).event.webhook_id

    assert in_json("discard", webhook_id)["discarded"] == [number]


def test_filters_choose_only_those_that_the_verb_is_for(acme):
    mine = dead(acme, 2, reason="dns")
    others = dead(make_endpoint(name="globex"))
    waiting = owe(1, acme)[0].pk

    assert in_json("discard", "--endpoint", "acme")["discarded"] == mine
    assert in_state("dead") == others
    assert in_json("restore", "--because", "dns")["restored"] == mine
    assert in_state("pending") == [waiting]


def test_the_next_attempt_is_brought_forward_and_the_rest_is_left(acme):
    later, due = owe(2, acme)
    Delivery.objects.filter(pk=later.pk).update(due_at=Now() + timedelta(hours=5))

    done = in_json("retry-now", "--endpoint", "acme")

    assert (done["brought_forward"], done["left"]) == ([later.pk], 1)
    assert set(Delivery.objects.due().values_list("pk", flat=True)) == {later.pk, due.pk}
    nothing = run("retry-now", later.pk, due.pk)
    assert nothing.code == 1
    assert "Nothing was brought forward" in nothing.out


def test_who_asks_is_the_one_at_the_shell_unless_another_is_named(acme, monkeypatch):
    monkeypatch.setenv("LOGNAME", "maria")
    run("discard", *dead(acme))
    monkeypatch.setattr("getpass.getuser", nobody)
    run("discard", *dead(acme))

    names = ConsoleAction.objects.order_by("pk").values_list("by_name", flat=True)
    assert list(names) == ["shell: maria", "shell"]


def nobody() -> str:
    """In a container, the user may have a number only."""
    raise KeyError("getpwuid(): uid not found: 1001")


@pytest.mark.parametrize("verb", ["discard", "restore", "retry-now", "redeliver"])
def test_who_names_nothing_and_filters_nothing_is_not_understood(verb, acme):
    ran = run(verb)

    assert ran.code == 2
    assert "Name deliveries, or choose" in ran.err


def test_a_name_that_nobody_has_spoils_the_whole_command(acme):
    [number] = dead(acme)

    ran = run("discard", number, "999999", "evt_nonsense")

    assert ran.code == 2
    assert "There is no delivery or event 999999, evt_nonsense." in ran.err
    assert in_state("dead") == [number]


def test_numbers_come_from_another_command(acme, monkeypatch):
    ids = dead(acme, 3)
    listed = run("list", "--state", "dead", "--ids").out
    assert listed.split() == [str(each) for each in reversed(ids)]

    monkeypatch.setattr(sys, "stdin", io.StringIO(listed))
    assert in_json("discard", "-")["discarded"] == ids

    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    nothing = run("restore", "-")
    assert nothing.code == 1
    assert in_state("discarded") == ids


def test_no_more_can_be_named_than_are_kept_by_number(acme, monkeypatch):
    monkeypatch.setattr("webhook_delivery.management.verbs.choosing.MOST", 2)

    ran = run("discard", 1, 2, 3)

    assert ran.code == 2
    assert "No more than 2 can be named; choose them by a filter." in ran.err


def test_names_are_looked_up_together(acme, django_assert_max_num_queries):
    ids = dead(acme, 30)

    with django_assert_max_num_queries(20):
        run("discard", *ids)


def test_many_are_changed_part_by_part_while_a_bar_shows_it(acme, monkeypatch):
    monkeypatch.setattr(acting, "AT_ONCE", 2)
    monkeypatch.setattr(progress, "REFRESH_SECONDS", 0)
    ids, terminal = dead(acme, 5), Terminal()

    ran = run("discard", "--endpoint", "acme", err=terminal)

    assert "5 dead letters were discarded" in ran.out
    assert in_state("discarded") == ids
    assert [action.count for action in ConsoleAction.objects.order_by("pk")] == [2, 2, 1]
    assert "5/5" in terminal.getvalue()


def test_what_dies_while_many_are_changed_is_not_meant(acme, monkeypatch):
    monkeypatch.setattr(acting, "AT_ONCE", 1)
    ids = dead(acme, 2)
    parts = acting._parts(Delivery.objects.dead())

    first = next(parts)
    dead(acme)

    assert [each.pk for part in [first, *parts] for each in part] == ids


def test_a_dry_run_names_those_that_would_be_changed(acme):
    first, second = dead(acme, 2)
    gone = make_endpoint(name="gone", state="off")
    [off] = dead(gone)

    ran = run("redeliver", first, second, off, "--dry-run")
    nothing = run("restore", first, "--dry-run")

    said = f"Would be redelivered: 2 ({first}, {second}); left: 1. Nothing was changed.\n"
    assert ran == (0, said, "")
    assert nothing == (1, "Would be restored: 0; left: 1. Nothing was changed.\n", "")
    assert not ConsoleAction.objects.exists()
