"""Endpoints in the console: the switch, tests, recovery and health, and who may do which of it."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.contrib.admin import site
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings
from django.utils import timezone
from django.utils.html import escape

from tests.conftest import make_endpoint
from tests.owing import owe
from tests.test_admin import act, client_of, say, staff, url
from webhook_delivery import NewEvent, endpoints, missing, publish, publish_many, rollups, tasks
from webhook_delivery.clock import Now
from webhook_delivery.models import ConsoleAction, Delivery, Endpoint, Lane, RedeliveryBatch
from webhook_delivery.recording import GONE
from webhook_delivery.testing.receiver import Reply

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.nightly_on_servers]

DB = "default"
VIEW = ["view_endpoint", "view_delivery", "view_redeliverybatch"]
HOSTILE = "</title><script>alert(1)</script>\u202egnp"


@pytest.fixture
def root(db) -> Client:
    return client_of(User.objects.create_superuser("ada", password="x"))


def page(client: Client, name: str, endpoint: Endpoint, **query) -> str:
    response = client.get(url("endpoint", name, endpoint.pk), query)
    assert response.status_code == 200
    return response.content.decode()


def do(client: Client, name: str, endpoint: Endpoint, **fields) -> list[str]:
    return say(client, url("endpoint", name, endpoint.pk), fields)


def kept() -> list[tuple[str, str, str]]:
    """What people did, as both records say it."""
    assert ConsoleAction.objects.count() == LogEntry.objects.count()
    return list(ConsoleAction.objects.order_by("pk").values_list("verb", "about", "reason"))


def about(endpoint: Endpoint) -> str:
    return f"{endpoint.pk} ({endpoint})"


def ago(**span) -> str:
    return (timezone.localtime() - timedelta(**span)).strftime("%Y-%m-%dT%H:%M")


def ahead(**span) -> str:
    return (timezone.localtime() + timedelta(**span)).strftime("%Y-%m-%dT%H:%M")


def state(endpoint: Endpoint) -> str:
    endpoint.refresh_from_db()
    return endpoint.state


# Who may do what

ASKING = {
    "health": [],
    "secrets": ["reveal_secret"],
    "pause": ["pause_endpoint"],
    "on": ["pause_endpoint"],
    "off": ["pause_endpoint"],
    "recover": ["bulk_redeliver_delivery"],
    "recover_missed": ["bulk_redeliver_delivery"],
}
ACTING = {
    "pause_now": "pause_endpoint",
    "on_now": "pause_endpoint",
    "off_now": "pause_endpoint",
    "test": "test_endpoint",
    "recover_missed_now": "bulk_redeliver_delivery",
    "reveal_show": "reveal_secret",
    "rotate_now": "rotate_secret",
}


def test_these_are_all_the_addresses_there_are(root, endpoint):
    names = {pattern.name for pattern in site.get_model_admin(Endpoint).get_urls()}
    own = {name.removeprefix("webhook_delivery_endpoint_") for name in names if name}

    assert own - {"changelist", "add", "history", "delete", "change"} == {
        *ASKING,
        *ACTING,
        "reveal",
        "rotate",
    }


def test_no_address_of_an_endpoint_is_inside_of_a_transaction_of_its_request():
    """With ATOMIC_REQUESTS, a test would hold locks while it waits for the receiver."""
    for pattern in site.get_model_admin(Endpoint).own_urls():
        assert pattern.callback._non_atomic_requests >= {"default"}


@pytest.mark.parametrize("name", ASKING)
def test_who_may_looks_and_nobody_does_anything_by_looking(endpoint, name):
    publish("order.paid")
    where, before = url("endpoint", name, endpoint.pk), Endpoint.objects.values().get()
    allowed = client_of(staff("allowed", *VIEW, *ASKING[name]))

    assert allowed.get(where).status_code == 200
    assert allowed.post(where).status_code == 405
    assert "no-store" in allowed.get(where)["Cache-Control"]
    viewer = client_of(staff("viewer", *VIEW))
    assert viewer.get(where).status_code == (403 if ASKING[name] else 200)
    assert client_of(staff("blind", *ASKING[name])).get(where).status_code == 403
    assert client_of(None).get(where).status_code == 302
    assert Endpoint.objects.values().get() == before
    assert kept() == []


@pytest.mark.parametrize("name", ACTING)
def test_what_acts_takes_the_right_a_token_and_a_post(endpoint, name):
    where, before = url("endpoint", name, endpoint.pk), Endpoint.objects.values().get()
    refusals = {
        "nobody": client_of(None).post(where).status_code,
        "viewer": client_of(staff("viewer", *VIEW, "change_endpoint")).post(where).status_code,
        "blind": client_of(staff("blind", ACTING[name])).post(where).status_code,
    }
    allowed = staff("allowed", *VIEW, ACTING[name])
    unchecked = client_of(allowed, enforce_csrf_checks=True).post(where).status_code

    assert refusals == {"nobody": 302, "viewer": 403, "blind": 403}
    assert unchecked == 403
    assert client_of(allowed).get(where).status_code == 405
    assert client_of(allowed).put(where).status_code == 405
    assert Endpoint.objects.values().get() == before
    assert not Delivery.objects.exists()
    assert kept() == []
    missing = [url("endpoint", name, number) for number in (endpoint.pk + 1, "none", "9" * 40)]
    assert {client_of(allowed).post(each).status_code for each in missing} == {404}
    assert client_of(allowed).post(where).status_code in (200, 302)


def test_what_a_user_may_not_do_is_not_offered(endpoint):
    viewer = client_of(staff("viewer", *VIEW))
    for name in ("change", "health"):
        shown = page(viewer, name, endpoint)
        assert not [each for each in [*ACTING, "pause", "off", "recover", "secrets"]
                    if url("endpoint", each, endpoint.pk) + '"' in shown]  # fmt: skip
    list_page = viewer.get(url("endpoint")).content.decode()
    assert 'name="action"' not in list_page

    operator = client_of(staff("operator", *VIEW, "pause_endpoint", "test_endpoint"))
    shown = page(operator, "change", endpoint)
    assert url("endpoint", "pause", endpoint.pk) in shown
    assert url("endpoint", "test", endpoint.pk) in shown
    assert url("endpoint", "recover", endpoint.pk) not in shown


def test_changing_an_endpoint_does_not_grant_the_switch_and_needs_none(endpoint):
    changer = client_of(staff("changer", *VIEW, "change_endpoint"))
    fields = {"action": "pause", "_selected_action": [endpoint.pk], "reason": "x"}
    assert changer.post(url("endpoint"), fields).status_code == 403
    operator = client_of(staff("operator", *VIEW, "pause_endpoint"))

    assert act(operator, "pause", endpoint, model="endpoint", reason="x") == [
        "1 endpoint was paused. Nothing was waiting to be sent."
    ]
    assert state(endpoint) == "paused"


def test_who_makes_changes_or_deletes_an_endpoint_is_kept_without_the_user(root):
    """Django's history of it goes with them."""
    said = {
        "name": "new",
        "url": "https://new.example/",
        "format": "standard",
        "tls_minimum": "1.2",
    }
    said |= {"subscriptions-TOTAL_FORMS": 0, "subscriptions-INITIAL_FORMS": 0}
    root.post(url("endpoint", "add"), said)
    made, two = Endpoint.objects.get(), [make_endpoint(name=name) for name in ("one", "other")]
    root.post(url("endpoint", "change", made.pk), {**said, "name": "renamed"})
    root.post(url("endpoint", "delete", made.pk), {"post": "yes"})
    act(root, "delete_selected", *two, model="endpoint", post="yes")

    assert not Endpoint.objects.exists()
    assert kept()[:3] == [
        ("create_endpoint", f"{made.pk} (new)", ""),
        ("change_endpoint", f"{made.pk} (renamed)", ""),
        ("delete_endpoint", f"{made.pk} (renamed)", ""),
    ]
    gone = {("delete_endpoint", f"{each.pk} ({each})", "") for each in two}
    assert set(kept()[3:]) == gone
    User.objects.all().delete()
    assert [*ConsoleAction.objects.values_list("by", "by_name").distinct()] == [(None, "ada")]


def test_what_cannot_be_deleted_leaves_no_line(root, endpoint):
    publish("order.paid")

    act(root, "delete_selected", endpoint, model="endpoint", post="yes")
    root.post(url("endpoint", "delete", endpoint.pk), {"post": "yes"})

    assert Endpoint.objects.exists()
    assert kept() == []


# The switch


def test_an_endpoint_is_paused_and_resumed_with_what_was_held(root, endpoint, send_due, receiver):
    publish("order.paid")
    asked = page(root, "pause", endpoint)
    paused = do(root, "pause_now", endpoint, reason="maintenance")
    publish("order.paid")
    before = page(root, "on", endpoint)
    on = do(root, "on_now", endpoint)
    send_due()

    assert "New deliveries will be held and sent when you resume. Nothing is lost." in asked
    assert paused == [f"{endpoint} is paused. 1 delivery is held."]
    assert "2 held deliveries will be sent." in before
    assert "Resume" in before
    assert on == [f"{endpoint} is on. 2 deliveries were released."]
    assert len(receiver.received) == 2
    assert kept() == [("pause", about(endpoint), "maintenance"), ("switch_on", about(endpoint), "")]
    said = LogEntry.objects.order_by("pk").values_list("change_message", flat=True)
    assert list(said) == ["Paused. Reason: maintenance", "Switched on."]


def test_how_fast_they_will_be_sent_is_said(root):
    endpoint = make_endpoint(rate_per_second=10)
    endpoints.pause(endpoint.pk, using=DB)
    assert "Nothing is held for it." in page(root, "on", endpoint)
    publish("order.paid")

    assert "1 held delivery will be sent at up to 10 per second." in page(root, "on", endpoint)
    Endpoint.objects.update(rate_per_second=1e308)  # nobody has validated it
    assert "at up to 100,000 per second." in page(root, "on", endpoint)
    assert "At most 100000 per second." in page(root, "health", endpoint)


def test_how_many_will_be_sent_is_written_as_the_reader_writes_numbers(root):
    endpoint = make_endpoint(rate_per_second=2.5)
    endpoints.pause(endpoint.pk, using=DB)
    owe(1200, endpoint)
    long_ago = timezone.now() - timedelta(days=31)
    Delivery.objects.update(state="held", due_at=None, created_at=long_ago)

    asked = root.get(url("endpoint", "on", endpoint.pk), headers={"accept-language": "de"})

    assert re.search(r"<p>1\.200 .+ 2,5 .+<p>1\.200 ", asked.content.decode())


def test_what_is_too_old_to_be_sent_is_told_before_it_is_released(root, endpoint):
    endpoints.pause(endpoint.pk, using=DB)
    publish("order.paid")
    publish("order.paid")
    assert "older than" not in page(root, "on", endpoint)
    Delivery.objects.filter(pk=Delivery.objects.earliest("pk").pk).update(
        created_at=timezone.now() - timedelta(days=31)
    )

    said = page(root, "on", endpoint)

    assert "2 held deliveries will be sent." in said
    assert "1 of them is older than 30 d: it will be a dead letter, and not be sent." in said


def test_an_endpoint_is_switched_off_and_on_with_a_warning_before(root, endpoint):
    asked = page(root, "off", endpoint)
    off = do(root, "off_now", endpoint, reason="left us")
    publish("order.paid")

    assert "Pause instead if you want to keep them." in asked
    assert off == [f"{endpoint} is off. Nothing was waiting to be sent."]
    assert not Delivery.objects.exists()
    assert (state(endpoint), endpoint.state_reason) == ("off", "left us")
    assert "left us" in root.get(url("endpoint")).content.decode()
    assert do(root, "on_now", endpoint) == [f"{endpoint} is on. Nothing was held."]
    assert (state(endpoint), endpoint.state_reason) == ("on", "")
    assert [verb for verb, *_ in kept()] == ["switch_off", "switch_on"]


def test_a_pause_is_given_another_end(root, endpoint):
    until = timezone.now().replace(second=0, microsecond=0) + timedelta(hours=2)
    endpoints.pause(endpoint.pk, using=DB, until=until, reason="moving")
    sooner = until - timedelta(hours=1)

    asked = page(root, "pause", endpoint)
    said = do(root, "pause_now", endpoint, until=f"{sooner:%Y-%m-%dT%H:%M}", reason="it is quick")

    assert "Pause until…" in root.get(url("endpoint", "change", endpoint.pk)).content.decode()
    assert f'value="{until:%Y-%m-%dT%H:%M}"' in asked
    assert "Empty: as before." in asked
    assert said == [f"{endpoint} is paused. Nothing was waiting to be sent."]
    assert [verb for verb, *_ in kept()] == ["pause"]
    endpoint.refresh_from_db()
    assert (endpoint.resume_at, endpoint.state_reason) == (sooner, "it is quick")


@pytest.mark.parametrize(
    ("was", "name", "fields"),
    [
        ("on", "on_now", {}),
        ("paused", "pause_now", {"reason": "again"}),
        ("off", "off_now", {"reason": "again"}),
    ],
)
def test_what_is_so_already_is_said_and_not_changed(root, endpoint, was, name, fields):
    then = timezone.now() + timedelta(hours=3) if was == "paused" else None
    Endpoint.objects.update(state=was, state_reason="first", resume_at=then)
    before = Endpoint.objects.values().get()

    said = do(root, name, endpoint, **fields)

    assert said == [f"{endpoint} is {was} already; nothing was changed."]
    assert Endpoint.objects.values().get() == before
    assert kept() == []


@pytest.mark.parametrize(
    ("name", "fields", "error"),
    [
        ("pause_now", {}, "This field is required."),
        ("pause_now", {"reason": "x" * 201}, "at most 200 characters"),
        ("pause_now", {"reason": "x", "until": "soon"}, "Enter a valid date/time."),
        ("pause_now", {"reason": "x", "until": "2020-01-01T10:00"}, "That has passed already."),
        ("pause_now", {"reason": "x", "until": "9999-12-31T23:59"}, "more than a year ahead"),
        ("off_now", {}, "This field is required."),
        ("on_now", {"reason": "x" * 201}, "at most 200 characters"),
    ],
)
def test_without_a_reason_that_will_do_nothing_is_switched(root, endpoint, name, fields, error):
    Endpoint.objects.update(state="paused" if name == "on_now" else "on")
    before = Endpoint.objects.values().get()

    answer = root.post(url("endpoint", name, endpoint.pk), fields)

    assert answer.status_code == 200
    assert error in answer.content.decode()
    assert Endpoint.objects.values().get() == before
    assert kept() == []


def test_a_timed_pause_ends_by_the_sweep_and_not_before(root, endpoint, receiver):
    until = ahead(hours=2)
    do(root, "pause_now", endpoint, reason="deploy", until=until)
    publish("order.paid")
    tasks.sweep()
    assert (state(endpoint), Delivery.objects.get().state) == ("paused", "held")
    assert f"until {until.replace('T', ' ')}" in root.get(url("endpoint")).content.decode()
    assert "sent within a minute" in page(root, "health", endpoint)

    Endpoint.objects.update(resume_at=Now() - timedelta(seconds=1))
    tasks.sweep()

    assert (state(endpoint), endpoint.state_reason, endpoint.resume_at) == ("on", "", None)
    assert len(receiver.received) == 1
    assert [verb for verb, *_ in kept()] == ["pause"], "nobody did the rest"
    assert LogEntry.objects.get().change_message.startswith("Paused until ")


def test_a_pause_that_a_person_ended_does_not_end_again(root, endpoint):
    do(root, "pause_now", endpoint, reason="deploy", until=ahead(hours=2))
    do(root, "on_now", endpoint)
    assert endpoint.resume_at is None
    do(root, "pause_now", endpoint, reason="for good")
    Endpoint.objects.filter(resume_at=None).update(updated_at=Now())

    assert endpoints.resume_due(using=DB) == 0
    assert (state(endpoint), endpoint.resume_at) == ("paused", None)


def test_what_is_off_is_not_resumed_by_an_old_pause(endpoint):
    endpoints.pause(endpoint.pk, using=DB, until=timezone.now() - timedelta(hours=1))
    endpoints.switch_off(endpoint.pk, using=DB)

    assert endpoints.resume_due(using=DB) == 0
    assert state(endpoint) == "off"


def test_one_pause_that_cannot_be_ended_does_not_keep_the_sweep_from_the_rest(
    endpoint, receiver, monkeypatch
):
    def fails(**options):
        raise RuntimeError

    publish("order.paid")
    monkeypatch.setattr(endpoints, "resume_due", fails)

    tasks.sweep()

    assert len(receiver.received) == 1


def test_what_the_engine_switches_off_is_no_persons_act(endpoint, receiver, send_due):
    receiver.replies(410)
    publish("order.paid")

    send_due()

    assert state(endpoint) == "off"
    assert kept() == []


def test_many_are_switched_from_the_list_each_with_its_own_record(root, endpoint):
    other = make_endpoint("https://other.example/")
    endpoints.pause(other.pk, using=DB)

    said = act(root, "pause", endpoint, other, model="endpoint", reason="storm")

    assert said == [
        "1 endpoint was paused. 1 endpoint was so already. Nothing was waiting to be sent."
    ]
    assert kept() == [("pause", about(endpoint), "storm")]


# Tests


def test_a_test_event_reaches_just_this_endpoint_and_the_message_leads_to_it(
    root, endpoint, receiver, send_due
):
    make_endpoint("https://other.example/")
    where = url("endpoint", "test", endpoint.pk)
    answer = root.post(where, follow=True).content.decode()
    delivery = Delivery.objects.get()
    send_due()

    assert "A test event is queued for" in answer
    assert url("delivery", "change", delivery.pk) in answer
    assert (delivery.trigger, delivery.endpoint) == ("test", endpoint)
    assert [each.headers["webhook-id"] for each in receiver.received] == [delivery.event.webhook_id]
    assert kept() == [("test", about(endpoint), "")]
    assert ConsoleAction.objects.get().deliveries == [delivery.pk]


@pytest.mark.parametrize("was", ["paused", "off"])
def test_who_is_not_on_is_tested_at_once_and_stays_so(root, endpoint, was):
    Endpoint.objects.update(state=was)

    [said] = do(root, "test", endpoint)

    assert f"The test event arrived. {endpoint} is still {was}. " in said
    assert Endpoint.objects.get().state == was
    assert Delivery.objects.get().state == "delivered"
    assert kept() == [("test", about(endpoint), "")]


def test_a_test_that_arrives_switches_on_who_was_off_for_failing(root, endpoint):
    Endpoint.objects.update(state="off", state_reason=GONE, off_by_itself=True)
    assert "switch on if it arrives" in page(root, "change", endpoint)

    [said] = do(root, "test", endpoint)

    assert f"The test event arrived, and {endpoint} is on again. Nothing was held." in said
    assert kept() == [
        ("test", about(endpoint), ""),
        ("switch_on", about(endpoint), "a test event arrived"),
    ]


def test_a_test_that_fails_says_why_and_leaves_it_off(root, receiver, endpoint):
    Endpoint.objects.update(state="off", state_reason=GONE, off_by_itself=True)
    receiver.replies(503)

    [said] = do(root, "test", endpoint)

    assert "did not arrive: Receiver failed (5xx)." in said
    assert f"{endpoint} is still off" in said
    assert Endpoint.objects.get().state == "off"


def test_who_may_not_switch_endpoints_does_not_by_a_test(endpoint):
    Endpoint.objects.update(state="off", state_reason=GONE, off_by_itself=True)
    tester = client_of(staff("tester", *VIEW, "test_endpoint"))
    assert "switch on if it arrives" not in page(tester, "change", endpoint)

    [said] = do(tester, "test", endpoint)

    assert f"The test event arrived. {endpoint} is still off." in said
    assert Endpoint.objects.get().state == "off"


# Recovery


def miss(count: int, endpoint: Endpoint) -> None:
    """So many events while it was off."""
    endpoints.switch_off(endpoint.pk, using=DB)
    publish_many(NewEvent("order.paid", {"n": n}, tenant=endpoint.tenant) for n in range(count))
    endpoints.switch_on(endpoint.pk, using=DB)


def test_both_ways_to_recover_are_offered_in_their_own_words(root, endpoint):
    shown = page(root, "recover", endpoint)

    assert "Redeliver failed since…" in shown
    assert "Create deliveries that were never made since…" in shown
    assert f'name="endpoint" value="{endpoint.pk}"' in shown
    assert root.get(url("redeliverybatch", "confirm"), {"endpoint": endpoint.pk, "died": "24h"})


def answer(client: Client, endpoint: Endpoint, **more) -> dict:
    """What the page asks for."""
    form = client.get(url("endpoint", "recover_missed", endpoint.pk), {"since": ago(hours=1)})
    initial = form.context["form"].initial
    return {**initial, "reason": "it was off", **more}


def test_what_was_missed_while_it_was_off_arrives(root, endpoint, receiver, send_due):
    miss(3, endpoint)
    asked = page(root, "recover_missed", endpoint, since=ago(hours=1))
    fields = answer(root, endpoint, rate="")

    said = do(root, "recover_missed_now", endpoint, **fields)
    RedeliveryBatch.objects.update(due_at=F("due_at") - timedelta(seconds=30))
    tasks.drain()

    batch = RedeliveryBatch.objects.get()
    assert "3 events since" in asked
    assert "Create 3 deliveries" in asked
    assert said == [
        f"Redelivery #{batch.pk} started: it creates 3 deliveries that were never made."
    ]
    assert (batch.kind, batch.state, batch.sent) == ("missed", "done", 3)
    assert len(receiver.received) == 3
    assert kept() == [("recover_missed", about(endpoint), "it was off")]
    shown = page(root, "recover_missed", endpoint, since=ago(hours=1))
    assert "Nothing is missing since then" in shown


def test_a_second_click_recovers_nothing_twice(root, endpoint):
    miss(3, endpoint)
    fields = answer(root, endpoint)
    do(root, "recover_missed_now", endpoint, **fields)

    said = do(root, "recover_missed_now", endpoint, **fields)

    batch = RedeliveryBatch.objects.get()
    assert said == [f"Redelivery #{batch.pk} does that already."]
    assert len(kept()) == 1


@pytest.mark.parametrize(
    "since", ["", "soon", "9999-12-31T23:59", "0001-01-01T00:00", "1999-12-31"]
)
def test_a_moment_that_means_nothing_is_refused(root, endpoint, since):
    miss(1, endpoint)
    shown = page(root, "recover_missed", endpoint, since=since)
    refused = root.post(url("endpoint", "recover_missed_now", endpoint.pk), {"since": since})

    assert "errorlist" in shown
    assert refused.status_code == 200
    assert not RedeliveryBatch.objects.exists()


@pytest.mark.parametrize("fields", [{"reason": ""}, {"rate": "-1"}, {"token": "x"}, {"token": ""}])
def test_an_answer_that_will_not_do_begins_nothing(root, endpoint, fields):
    miss(1, endpoint)
    given = answer(root, endpoint, **fields)

    assert root.post(url("endpoint", "recover_missed_now", endpoint.pk), given).status_code == 200
    assert not RedeliveryBatch.objects.exists()


def test_many_are_made_only_if_the_number_is_typed(root, endpoint, settings):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "CONFIRM_TYPED_ABOVE": 20}
    miss(21, endpoint)
    fields = answer(root, endpoint)
    where = url("endpoint", "recover_missed_now", endpoint.pk)

    for typed in ("", "20", "x"):
        refused = root.post(where, {**fields, "typed": typed})
        assert refused.status_code == 200
    assert not RedeliveryBatch.objects.exists()
    do(root, "recover_missed_now", endpoint, **fields, typed="21")
    assert RedeliveryBatch.objects.get().expected == 21


def test_more_than_are_counted_are_said_to_be_more(root, endpoint, monkeypatch):
    monkeypatch.setattr(missing, "COUNTED", 2)
    miss(3, endpoint)

    assert "Create 2+ deliveries" in page(root, "recover_missed", endpoint, since=ago(hours=1))


@pytest.mark.parametrize(("was", "said"), [("paused", "It is paused"), ("off", "It is off")])
def test_what_its_state_means_for_them_is_said(root, endpoint, was, said):
    miss(1, endpoint)
    Endpoint.objects.update(state=was)

    assert said in page(root, "recover_missed", endpoint, since=ago(hours=1))


# Tenants


def tenants_of(user) -> list[str] | None:
    return None if user.is_superuser else [user.username]


@pytest.fixture
def scoped(settings):
    settings.WEBHOOK_DELIVERY = {
        **settings.WEBHOOK_DELIVERY,
        "CONSOLE_TENANTS": "tests.test_console_endpoints.tenants_of",
    }


@pytest.mark.parametrize("name", [*ASKING, *ACTING])
def test_another_tenants_endpoint_is_none(scoped, name):
    endpoint = make_endpoint(tenant="globex")
    acme = client_of(staff("acme", *VIEW, *set(ACTING.values())))
    where = url("endpoint", name, endpoint.pk)
    before = Endpoint.objects.values().get()

    answer = acme.post(where) if name in ACTING else acme.get(where)

    assert answer.status_code == 404
    assert Endpoint.objects.values().get() == before


def test_each_sees_and_recovers_what_is_theirs(scoped, receiver):
    mine = make_endpoint(receiver.url(), tenant="acme", name="mine")
    make_endpoint("https://other.example/", tenant="globex", name="theirs")
    publish_many(NewEvent("order.paid", {}, tenant="globex") for _ in range(2))
    miss(1, mine)
    acme = client_of(staff("acme", *VIEW, "bulk_redeliver_delivery", "pause_endpoint"))

    listed = acme.get(url("endpoint")).content.decode()
    assert "mine" in listed
    assert "theirs" not in listed
    do(acme, "recover_missed_now", mine, **answer(acme, mine))
    batch = RedeliveryBatch.objects.get()
    assert (batch.expected, batch.selection["tenants"]) == (1, ["acme"])
    assert acme.get(url("redeliverybatch", "change", batch.pk)).status_code == 200


# The list


def numbers(client: Client, **query) -> set[str]:
    rows = client.get(url("endpoint"), query).context["cl"].result_list
    return {endpoint.name for endpoint in rows}


def fared(receiver, endpoint: Endpoint, send_due, *replies) -> None:
    receiver.replies(*replies)
    for _ in replies:
        publish("order.paid")
        send_due()
    for _ in range(3):
        rollups.add_up(using=DB)


def test_the_list_says_how_each_fares(root, receiver, endpoint, send_due):
    fared(receiver, endpoint, send_due, 200, 200, 200, 404)
    publish("order.paid")

    shown = root.get(url("endpoint")).content.decode()

    assert "75.0 %" in shown
    assert "webhook-spark" in shown
    assert "≤ " in shown
    assert f'<a href="{url("deadletter")}?endpoint={endpoint.pk}">1</a>' in shown
    assert "just now" in shown


def test_the_list_is_narrowed_by_state_dead_letters_and_tenant(root, receiver, send_due):
    dead = make_endpoint(receiver.url(), name="dead")
    fared(receiver, dead, send_due, 404)
    paused = make_endpoint("https://paused.example/", name="paused", tenant="acme")
    endpoints.pause(paused.pk, using=DB)

    assert numbers(root) == {"dead", "paused"}
    assert numbers(root, state__exact="paused") == {"paused"}
    assert numbers(root, dead="yes") == {"dead"}
    assert numbers(root, dead="no") == {"paused"}
    assert numbers(root, dead="perhaps") == set()
    assert numbers(root, tenant="acme") == {"paused"}
    assert numbers(root, tenant="\0") == set()


@pytest.mark.parametrize("name", ["changelist", "health", "change", "recover", "on"])
def test_a_page_costs_the_same_for_one_endpoint_as_for_a_hundred(root, receiver, name, send_due):
    first = make_endpoint(receiver.url())
    fared(receiver, first, send_due, 200)
    where = url("endpoint", name, *([] if name == "changelist" else [first.pk]))

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert root.get(where).status_code == 200
        return len(queries)

    cost()  # whatever is looked up once
    few = cost()
    for number in range(99):
        make_endpoint(f"https://example.com/{number}")
    publish("order.paid")
    publish("order.sent")

    assert cost() == few


def test_the_health_page_takes_no_more_than_eight_queries(root, receiver, endpoint, send_due):
    fared(receiver, endpoint, send_due, 200, 404, 500)
    with CaptureQueriesContext(connection) as queries:
        page(root, "health", endpoint)
    reads = [q["sql"] for q in queries.captured_queries if q["sql"].startswith("SELECT")]

    assert len([sql for sql in reads if "set_config" not in sql]) <= 8


def test_every_list_opens_with_more_endpoints_than_a_select_has_columns(root):
    some = [Endpoint(name=f"n{n}", url=f"https://e{n}.example/") for n in range(1700)]
    Endpoint.objects.bulk_create(some)

    for model in ("endpoint", "delivery", "deadletter", "redeliverybatch"):
        for query in ({}, {"_facets": "True"}):
            assert root.get(url(model), query).status_code == 200
    last = root.get(url("endpoint"), {"p": 34})
    assert len(last.context["cl"].result_list) == 50


# Health


def test_the_health_page_tells_what_was_and_what_is(root, receiver, endpoint, send_due):
    fared(receiver, endpoint, send_due, 200, 200, 404, Reply(503))
    endpoints.pause(endpoint.pk, using=DB)
    publish("shop.opened")

    shown = page(root, "health", endpoint)

    for text in ("HTTP 200", "HTTP 404", "HTTP 503", "order.paid", "shop.opened", "50.0 %"):
        assert text in shown
    assert f'href="{url("delivery")}?endpoint={endpoint.pk}&amp;state=held">2</a>' in shown
    assert f'href="{url("deadletter")}?endpoint={endpoint.pk}&amp;state=dead">1</a>' in shown
    for link in re.findall(r'href="(/[^"?]+\?endpoint=[^"]+)"', shown):
        assert root.get(unescape(link)).status_code == 200
    assert "Deliveries are held until somebody resumes it." in shown
    assert f"{url('redeliverybatch', 'confirm')}?endpoint={endpoint.pk}" in shown
    assert 'aria-current="page">Health' in shown
    assert "<script>" not in shown.replace('<script id="django-admin', "")


def test_who_may_not_look_at_deliveries_sees_numbers_and_no_links_to_them(endpoint):
    publish("order.paid")
    looker = client_of(staff("looker", "view_endpoint"))

    for name in ("health", "change"):
        assert f"{url('delivery')}?endpoint={endpoint.pk}&" not in page(looker, name, endpoint)
    assert "<dd>1</dd>" in page(looker, "health", endpoint)


@pytest.mark.parametrize("span", ["1h", "24h", "7d", "30d", "x"])
def test_every_range_can_be_asked_for(root, receiver, endpoint, send_due, span):
    fared(receiver, endpoint, send_due, 200)

    shown = page(root, "health", endpoint, range=span)

    here = re.findall(r'href="\?range=(\w+)" aria-current', shown)
    assert here == [span if span != "x" else "24h"]
    assert "HTTP 200" in shown


@pytest.mark.parametrize(
    ("lane", "said"),
    [
        (None, ["Closed.", "After 10 more failures in a row, nothing is sent for 5 s."]),
        ({"failures": 7}, ["Closed.", "After 3 more failures in a row, nothing is sent for 5 s."]),
        ({"failures": 10, "openings": 1, "blocked": 60}, ["Open: nothing is sent.",
         "Next probe not before:", "one delivery is sent as a probe", "is sent for 10 s."]),
        ({"failures": 10, "openings": 40, "blocked": -60}, ["Half open: one probe at a time.",
         "is sent alone, as a probe", "is sent for 5 min."]),
        ({"blocked": 60}, ["Closed; the receiver has asked for a pause.", "After 10 more"]),
        ({"failures": 10, "openings": 1, "blocked": 86_400}, ["Half open: one probe at a time."]),
        ({"blocked": 86_400}, ["Closed.", "After 10 more"]),
    ],
)  # fmt: skip
def test_what_would_happen_next_is_what_the_breaker_does(root, endpoint, lane, said):
    if lane is not None:
        blocked = lane.pop("blocked", None)
        until = None if blocked is None else timezone.now() + timedelta(seconds=blocked)
        Lane.objects.create(endpoint=endpoint, blocked_until=until, **lane)

    shown = page(root, "health", endpoint)

    for sentence in said:
        assert sentence in shown
    if lane and "failures" in lane:
        assert f"<dd>{lane['failures']}</dd>" in shown


@pytest.mark.parametrize(
    ("days", "warned", "said"),
    [
        (0.5, None, "It has failed since 2026-11-20 12:00 UTC."),
        (2, 1, "If that goes on, it is switched off in 3 d."),
        (6, 5, "If that goes on, it is switched off with the next failure."),
    ],
)
def test_since_when_it_fails_and_what_comes_of_that_is_said(root, endpoint, days, warned, said):
    now = Now()
    ago = None if warned is None else now - timedelta(days=warned)
    lane = Lane.objects.create(endpoint=endpoint)
    Lane.objects.filter(pk=lane.pk).update(
        failing_since=now - timedelta(days=days), failed_at=now, failed_events=3, warned_at=ago
    )
    lane.refresh_from_db()

    shown = page(root, "health", endpoint)

    moment = re.sub(r"\d.*UTC", f"{lane.failing_since:%Y-%m-%d %H:%M} UTC", said)
    assert (moment if warned is None else said) in shown
    assert ("is switched off in" in shown) == (warned == 1)


def test_its_limits_and_its_budget_are_said(root):
    limited = make_endpoint(rate_per_second=2.5, max_in_flight=3, retry_schedule=[1, 2])
    ordered = make_endpoint("https://o.example/", ordered=True)

    shown = page(root, "health", limited)
    assert "At most 3 requests at once. At most 2.5 per second." in shown
    assert "a dead letter after 3 attempts" in shown
    assert "One request at a time, in the order of the events." in page(root, "health", ordered)
    assert "It has been owed nothing yet." in page(root, "health", ordered)


def test_signing_secrets_are_listed_by_their_last_characters(root, endpoint):
    secret = endpoint.secrets.get().reveal()
    shown = page(root, "secrets", endpoint)

    assert f"…{secret[-4:]}" in shown
    assert secret not in shown
    assert secret[-5:] not in shown


# URLs, and what strangers wrote


def test_a_whole_url_is_for_who_may_see_it(db):
    endpoint = make_endpoint("https://acme.example/T01/s3cret?token=abc", name="acme")
    seer = client_of(staff("seer", *VIEW, "view_endpoint_url"))
    viewer = client_of(staff("viewer", *VIEW))

    assert "https://acme.example/T01/s3cret?token=abc" in page(seer, "change", endpoint)
    assert seer.get(url("endpoint"), {"q": "s3cret"}).context["cl"].result_count == 1
    for client, names in [(viewer, ["change", "health"]), (seer, ["health"])]:
        for name in names:
            assert "s3cret" not in page(client, name, endpoint)
    for client in (viewer, seer):
        listed = client.get(url("endpoint")).content.decode()
        assert "https://acme.example/…" in listed
        assert "s3cret" not in listed


def test_hostile_names_and_reasons_are_inert(root, receiver, send_due):
    endpoint = make_endpoint(receiver.url(), name=HOSTILE, tenant=HOSTILE[:100])
    publish("order.paid", tenant=endpoint.tenant)
    send_due()
    said = root.post(
        url("endpoint", "pause_now", endpoint.pk), {"reason": HOSTILE}, follow=True
    ).content.decode()
    names = ["change", "health", "pause", "on", "off", "recover", "secrets", "reveal", "history"]
    pages = [page(root, name, endpoint) for name in names]
    pages += [said, root.get(url("endpoint")).content.decode()]
    miss(1, endpoint)
    pages.append(page(root, "recover_missed", endpoint, since=ago(hours=1)))

    for shown in pages:
        assert "<script>alert" not in shown
        assert escape("<script>alert(1)</script>") in shown


@override_settings(USE_THOUSAND_SEPARATOR=True, LANGUAGE_CODE="de")
def test_numbers_in_addresses_are_not_grouped(root):
    Endpoint.objects.bulk_create([Endpoint(pk=1234567, name="far", url="https://far.example/")])
    endpoint = Endpoint.objects.get()

    for name in ("change", "health", "recover", "pause", "rotate"):
        assert "1.234.567" not in page(root, name, endpoint)
