"""Endpoints from the shell: listed with how they fare, paused, resumed, off, and their secrets."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.conftest import SECRET, make_endpoint
from tests.owing import block, owe
from tests.shell import in_json, run
from webhook_delivery import keys, signing
from webhook_delivery.models import ConsoleAction, Delivery, Endpoint, EndpointStat, Lane, Secret
from webhook_delivery.totals import BOUNDS

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> Endpoint:
    return make_endpoint("https://hooks.acme.example/t0ken", name="acme", tenant="a")


def test_endpoints_are_listed_with_how_they_fare(acme):
    make_endpoint(name="globex", state="paused", state_reason="moving")
    owe(2, acme, ago=90)
    Delivery.objects.filter(pk=owe(1, acme)[0].pk).update(state="dead", due_at=None)
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    durations = [3, *[0] * len(BOUNDS)]
    EndpointStat.objects.create(
        endpoint=acme, hour=hour, delivered=3, failed=1, durations=durations
    )
    block(acme)
    Lane.objects.update(failing_since=hour)

    first, second = in_json("endpoints")

    assert {name: first[name] for name in ("name", "state", "attempts", "share", "dead")} == {
        "name": "acme", "state": "on", "attempts": 4, "share": 0.75, "dead": 1,
    }  # fmt: skip
    assert (first["host"], first["failures_in_a_row"]) == ("hooks.acme.example", 10)
    assert first["p95_ms"] == BOUNDS[0]
    assert first["blocked_until"] and first["failing_since"] and first["oldest_due_at"]
    assert (second["state_reason"], second["failures_in_a_row"]) == ("moving", 0)
    listed = run("endpoints").out
    assert "75.0" in listed
    assert "t0ken" not in listed + str(first)
    block(acme, seconds=86_400)
    assert in_json("endpoints")[0]["blocked_until"] is None  # a clock was wrong


def test_endpoints_are_narrowed_and_counted_in_few_statements(acme, django_assert_num_queries):
    ids = [make_endpoint(name=f"e{n}", state="off").pk for n in range(5)]
    block(acme)
    Lane.objects.update(failing_since=timezone.now())

    assert run("endpoints", "--state", "off", "--ids").out.split() == [str(each) for each in ids]
    assert [each["name"] for each in in_json("endpoints", "--failing")] == ["acme"]
    assert [each["name"] for each in in_json("endpoints", "--tenant", "a")] == ["acme"]
    assert len(in_json("endpoints", "--limit", 2)) == 2
    assert run("endpoints", "--tenant", "nobody").out == "No endpoints match.\n"
    assert run("endpoints", "--tenant", "nobody", "--ids").out == ""
    with django_assert_num_queries(4):
        run("endpoints")


def test_a_pause_holds_what_is_owed_until_it_is_resumed(acme):
    owe(2, acme)

    paused = run("pause", "acme", "--until", "2h", "--by", "ann", "--why", "moving")

    acme.refresh_from_db()
    assert paused == (0, "acme is paused; deliveries held: 2.\n", "")
    assert (acme.state, acme.state_reason) == ("paused", "moving")
    assert timedelta(minutes=119) < acme.resume_at - timezone.now() < timedelta(minutes=121)
    again = run("pause", acme.pk)
    assert again == (1, "acme is paused already; nothing was changed.\n", "")
    assert in_json("resume", "acme")["endpoints"][0]["moved"] == 2
    assert Delivery.objects.pending().count() == 2
    kept = ConsoleAction.objects.order_by("pk").values_list("verb", "by_name", "reason", "about")
    assert kept[0] == ("pause", "ann", "moving", f"{acme.pk} (acme)")
    assert [verb for verb, *_ in kept] == ["pause", "switch_on"]


def test_a_pause_is_made_longer_or_shorter_by_another_end(acme):
    run("pause", "acme", "--until", "2h", "--why", "moving")

    rehearsed = run("pause", "acme", "--until", "4h", "--dry-run")
    longer = run("pause", "acme", "--until", "4h", "--by", "ann", "--why", "takes longer")

    acme.refresh_from_db()
    assert rehearsed == (0, "acme would be paused; deliveries held: 0.\n", "")
    assert longer == (0, "acme is paused; deliveries held: 0.\n", "")
    assert acme.state_reason == "takes longer"
    assert timedelta(minutes=239) < acme.resume_at - timezone.now() < timedelta(minutes=241)
    kept = ConsoleAction.objects.order_by("pk").values_list("verb", "reason")
    assert [*kept] == [("pause", "moving"), ("pause", "takes longer")]


def test_several_are_switched_off_and_one_that_is_off_is_no_obstacle(acme):
    make_endpoint(name="globex", state="off")
    owe(1, acme)

    rehearsed = run("switch-off", "acme", "globex", "--dry-run")
    done = in_json("switch-off", "acme", "globex", "--why", "the end")

    assert rehearsed.out == (
        "acme would be off; deliveries held: 1.\nglobex is off already; nothing was changed.\n"
    )
    assert [(each["was"], each["changed"], each["moved"]) for each in done["endpoints"]] == [
        ("on", True, 1), ("off", False, 0),
    ]  # fmt: skip
    assert Endpoint.objects.off().count() == 2


def test_who_is_off_by_itself_may_be_switched_off_by_a_person(acme):
    Endpoint.objects.update(state="off", off_by_itself=True)

    assert run("switch-off", "acme", "--dry-run").out == "acme would be off; deliveries held: 0.\n"
    assert run("switch-off", "acme").code == 0
    assert run("switch-off", "acme", "--dry-run").code == 1
    assert not Endpoint.objects.off_by_itself().exists()


def test_who_is_on_already_is_released_what_was_held_all_the_same(acme):
    owe(2, acme)
    Delivery.objects.update(state="held", due_at=None)

    rehearsed, done = run("resume", "acme", "--dry-run"), run("resume", "acme")

    assert rehearsed == (0, "acme would be on; deliveries released: 2.\n", "")
    assert done == (0, "acme is on; deliveries released: 2.\n", "")
    assert Delivery.objects.pending().count() == 2
    assert run("resume", "acme") == (1, "acme is on already; nothing was changed.\n", "")


def test_a_rate_is_for_who_is_switched_on(acme):
    assert run("resume", "acme", "--rate", 5).code == 1
    assert Endpoint.objects.get().rate_per_second is None
    Endpoint.objects.update(state="paused")
    assert run("resume", "acme", "--rate", 5).code == 0
    assert Endpoint.objects.get().rate_per_second == 5


@pytest.mark.parametrize("until", ["2020-01-01T00:00Z", "400d", "tomorrow", "2026-02-31T00:00"])
def test_a_pause_ends_within_a_year_or_when_somebody_says_so(acme, until):
    assert run("pause", "acme", "--until", until).code == 2
    assert Endpoint.objects.on().count() == 1


@pytest.mark.parametrize("verb", ["pause", "resume", "switch-off", "rotate-secret", "send-test"])
def test_an_endpoint_that_nobody_knows_is_not_understood(acme, verb):
    ran = run(verb, "nobody")

    assert (ran.code, ran.err) == (2, "No endpoint is called 'nobody'.")


def test_a_new_secret_is_printed_once_and_alone(acme):
    ran = run("rotate-secret", "acme", "--overlap", "1h", "--by", "ann", "--why", "yearly")

    [newest, before] = Secret.objects.filter(endpoint=acme).order_by("-pk")
    assert ran.out == f"{newest.reveal()}\n"
    assert ran.out.startswith("whsec_")
    assert ran.err == "acme: the one before signs for 1 hours more.\n"
    assert before.reveal() == SECRET
    assert timedelta(minutes=59) < before.valid_until - timezone.now() < timedelta(minutes=61)
    kept = ConsoleAction.objects.get()
    assert (kept.verb, kept.by_name, kept.reason) == ("rotate_secret", "ann", "yearly")
    assert newest.reveal() not in str(vars(kept))


def test_of_a_key_that_signs_privately_the_public_half_is_told(acme):
    Secret.keep(acme, signing.generate_signing_key())

    told = in_json("rotate-secret", "acme")
    ran = run("rotate-secret", "acme")

    assert told["public_key"] == signing.public_key_of(told["secret"])
    assert "Receivers verify with whpk_" in ran.err


def test_a_rehearsal_makes_no_secret(acme):
    ran = run("rotate-secret", "acme", "--dry-run")

    assert ran == (0, "The signing secret of acme would be rotated.\n", "")
    assert Secret.objects.count() == 1
    assert keys.opens(bytes(Secret.objects.get().sealed), owner=acme.pk)
