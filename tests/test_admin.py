"""The console, through a real client: who may see and do what, and what it then says and writes."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.db.models import F
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from tests.conftest import SECRET, make_due, make_endpoint
from webhook_delivery import endpoints, lifecycle, publish, rotation, signing
from webhook_delivery.admin import text
from webhook_delivery.admin.endpoints.secrets import Shown
from webhook_delivery.admin.hints import VERDICTS
from webhook_delivery.clock import Now
from webhook_delivery.explaining import ANSWERS, HINTS, LABELS
from webhook_delivery.models import ConsoleAction, DeadLetter, Delivery, Endpoint, Event, Secret
from webhook_delivery.outcomes import Fault, Verdict
from webhook_delivery.testing.receiver import Reply

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.nightly_on_servers]

LISTS = ["delivery", "deadletter", "event", "endpoint", "consoleaction"]
VIEWS = [f"view_{name}" for name in ("delivery", "event", "endpoint", "consoleaction")]


def url(model: str, page: str = "changelist", *args) -> str:
    return reverse(f"admin:webhook_delivery_{model}_{page}", args=args)


def client_of(user: User | None, **options) -> Client:
    client = Client(**options)
    if user:
        client.force_login(user)
    return client


def staff(name: str, *codenames: str) -> User:
    user = User.objects.create_user(name, password="x", is_staff=True)
    rights = Permission.objects.filter(content_type__app_label="webhook_delivery")
    user.user_permissions.set(rights.filter(codename__in=codenames))
    return user


@pytest.fixture
def users(db) -> dict[str, User | None]:
    return {
        "anonymous": None,
        "viewer": staff("viewer", *VIEWS),
        "redeliverer": staff("redeliverer", *VIEWS, "redeliver_delivery"),
        "superuser": User.objects.create_superuser("root", password="x"),
    }


@pytest.fixture
def root(db) -> Client:
    return client_of(User.objects.create_superuser("ada", password="x"))


def die(receiver, send_due, reply: Reply | int = 404, event_type: str = "order.paid") -> Delivery:
    """A dead letter of the one endpoint there is."""
    receiver.replies(reply)
    event = publish(event_type, {"number": 7})
    send_due()
    return Delivery.objects.get(event=event)


@pytest.fixture
def letter(receiver, endpoint, send_due) -> Delivery:
    return die(receiver, send_due)


def say(client: Client, *args, **kwargs) -> list[str]:
    """The messages that a POST leads to."""
    response = client.post(*args, follow=True, **kwargs)
    assert response.status_code == 200
    return [str(message) for message in response.context["messages"]]


def act(client: Client, action: str, *rows, model: str = "deadletter", query="", **fields):
    ids = [row.pk for row in rows]
    fields = {"action": action, "_selected_action": ids, "index": 0, **fields}
    return say(client, url(model) + query, fields)


def ask_and_act(client: Client, action: str, *rows, query="", **fields) -> list[str]:
    """The action of the list of dead letters, the page that it leads to, and its button."""
    ids = [row.pk for row in rows]
    posted = {"action": action, "_selected_action": ids, "index": 0}
    page = client.post(url("deadletter") + query, posted, follow=True)
    name = action.partition("_")[0]
    asked = {"_selected_action": page.context["ids"] or ids, **fields}
    return say(client, url("deadletter", f"{name}_now"), asked)


def redeliver(client: Client, delivery: Delivery, **fields) -> list[str]:
    return say(client, url("delivery", "redeliver", delivery.pk), fields)


# Who may do what

SELECTED = {"action": "redeliver_selected", "index": 0}
ASKED = {
    "list": lambda pk: (url("delivery"), {}),
    "dead list": lambda pk: (url("deadletter"), {}),
    "detail": lambda pk: (url("delivery", "change", pk), {}),
    "redeliver one": lambda pk: (url("delivery", "redeliver", pk), {}),
    "redeliver selected": lambda pk: (url("delivery"), {**SELECTED, "_selected_action": [pk]}),
    "redeliver dead": lambda pk: (url("deadletter"), {**SELECTED, "_selected_action": [pk]}),
}
SEEN = {"GET": 200, "POST": 200}
ONE = {"GET": 405, "POST": 403}
ACTED = {"GET": 200, "POST": 302}
LOGIN = {"GET": 302, "POST": 302}
MATRIX = {
    "anonymous": dict.fromkeys(ASKED, LOGIN),
    "viewer": {
        "list": SEEN,
        "dead list": SEEN,
        "detail": {"GET": 200, "POST": 403},
        "redeliver one": ONE,
        "redeliver selected": {"GET": 200, "POST": 403},
        "redeliver dead": {"GET": 200, "POST": 403},
    },
    "redeliverer": {
        "list": SEEN,
        "dead list": SEEN,
        "detail": {"GET": 200, "POST": 403},
        "redeliver one": {"GET": 405, "POST": 302},
        "redeliver selected": ACTED,
        "redeliver dead": ACTED,
    },
}
MATRIX["superuser"] = MATRIX["redeliverer"]


@pytest.mark.parametrize("who", MATRIX)
@pytest.mark.parametrize("what", ASKED)
def test_each_user_may_do_just_what_their_rights_say(users, letter, who, what):
    client = client_of(users[who])
    where, fields = ASKED[what](letter.pk)

    answers = {"GET": client.get(where).status_code, "POST": client.post(where, fields).status_code}

    letter.refresh_from_db()
    sends = what == "redeliver one" and who in ("redeliverer", "superuser")
    assert answers == MATRIX[who][what]
    assert letter.state == ("pending" if sends else "dead")


@pytest.mark.parametrize("who", MATRIX)
@pytest.mark.parametrize("what", ASKED)
def test_nothing_is_done_without_a_csrf_token(users, letter, who, what):
    client = client_of(users[who], enforce_csrf_checks=True)
    where, fields = ASKED[what](letter.pk)

    refused = client.post(where, fields)

    letter.refresh_from_db()
    assert (refused.status_code, letter.state) == (403, "dead")


def test_a_viewer_sees_neither_button_nor_action(users, letter):
    client = client_of(users["viewer"])

    page = client.get(url("delivery", "change", letter.pk)).content.decode()
    rows = client.get(url("deadletter")).content.decode()

    assert "/redeliver/" not in page
    assert "You may look at deliveries, but not send them again." in page
    assert 'name="action"' not in rows


def test_the_redelivery_right_alone_shows_nothing_and_sends_nothing(letter):
    client = client_of(staff("blind", "redeliver_delivery"))

    answers = [
        client.get(url("delivery")).status_code,
        client.post(url("delivery", "redeliver", letter.pk)).status_code,
        client.post(url("deadletter"), {**SELECTED, "_selected_action": [letter.pk]}).status_code,
    ]

    letter.refresh_from_db()
    assert (answers, letter.state) == ([403, 403, 403], "dead")


def test_redelivering_does_not_grant_discarding(users, letter):
    client = client_of(users["redeliverer"])

    refused = client.post(
        url("deadletter"), {"action": "discard_selected", "_selected_action": [letter.pk]}
    )

    letter.refresh_from_db()
    assert (refused.status_code, letter.state) == (403, "dead")


@pytest.mark.parametrize("model", ["delivery", "deadletter", "event", "consoleaction"])
def test_not_even_a_superuser_adds_edits_or_deletes_what_happened(root, letter, model):
    row = {"event": letter.event_id, "consoleaction": 1}.get(model, letter.pk)
    ConsoleAction.objects.create(pk=1, verb="redeliver", count=0)

    added = root.post(url(model, "add"))
    deleted = root.post(url(model, "delete", row), {"post": "yes"})
    swept = root.post(url(model), {"action": "delete_selected", "_selected_action": [row]})

    assert [added.status_code, deleted.status_code, swept.status_code] == [403, 403, 403]


def test_who_sees_only_some_rows_sends_only_those(monkeypatch, letter, users):
    site = admin.site.get_model_admin(Delivery)
    seen = type(site).get_queryset
    monkeypatch.setattr(
        type(site), "get_queryset", lambda self, request: seen(self, request).none()
    )
    client = client_of(users["redeliverer"])

    missing = client.post(url("delivery", "redeliver", letter.pk))
    act(client, "redeliver_selected", letter, model="delivery")

    letter.refresh_from_db()
    assert (missing.status_code, letter.state) == (404, "dead")


# Redelivering


def test_a_second_click_does_nothing_and_says_so(root, letter):
    first, second = redeliver(root, letter), redeliver(root, letter)

    assert first == ["1 delivery will be sent again."]
    assert len(second) == 1
    assert second[0].startswith("Nothing was redelivered: ")
    assert (LogEntry.objects.count(), ConsoleAction.objects.count()) == (1, 1)


def test_history_and_audit_keep_who_what_and_why(users, letter):
    client = client_of(users["redeliverer"])

    redeliver(client, letter, reason=" after deploy ")

    log, kept = LogEntry.objects.get(), ConsoleAction.objects.get()
    assert (log.user, log.object_id) == (users["redeliverer"], str(letter.pk))
    assert log.change_message == "1 delivery will be sent again. Reason: after deploy"
    assert (kept.verb, kept.by, kept.reason) == (
        "redeliver",
        users["redeliverer"],
        "after deploy",
    )
    assert kept.deliveries == [letter.pk]
    assert "after deploy" in client.get(url("delivery", "history", letter.pk)).content.decode()


def test_one_act_on_many_is_one_line_of_history(root, receiver, endpoint, send_due):
    letters = [die(receiver, send_due) for _ in range(3)]

    said = ask_and_act(root, "discard_selected", *letters)

    log = LogEntry.objects.get()
    assert said == ["3 dead letters were discarded; they can be restored."]
    assert (log.object_id, log.object_repr) == (None, "3 deliveries")
    assert ConsoleAction.objects.get().count == 3


def test_what_is_left_is_counted_even_if_it_has_left_the_list(root, receiver, endpoint, send_due):
    gone, stays = die(receiver, send_due), die(receiver, send_due)
    asked = {"_selected_action": [gone.pk, stays.pk]}
    lifecycle.redeliver(Delivery.objects.filter(pk=gone.pk))

    said = say(root, url("deadletter", "discard_now"), asked)

    assert said == [
        "1 dead letter was discarded; it can be restored. "
        "1 was left: only what is dead can be discarded."
    ]


@pytest.mark.parametrize("model", ["delivery", "deadletter"])
@pytest.mark.parametrize("across", [0, 1])
def test_to_redeliver_what_is_selected_or_matches_is_asked_for_first(
    root, receiver, endpoint, send_due, model, across
):
    die(receiver, send_due, event_type="order.paid")
    other = die(receiver, send_due, event_type="order.lost")
    posted = {**SELECTED, "_selected_action": [other.pk], "select_across": across}

    page = root.post(f"{url(model)}?event_type=order.lost", posted, follow=True)

    assert page.context["title"] == "Redeliver 1 delivery"
    assert Delivery.objects.dead().count() == 2
    assert ("event type order.lost" in page.content.decode()) == bool(across)


def test_a_redelivered_letter_arrives_with_the_same_id_and_bytes_and_a_fresh_budget(
    root, receiver, endpoint, send_due
):
    Endpoint.objects.update(retry_schedule=[1])
    receiver.replies(503, 503, 503, 200)
    publish("order.paid", {"number": 7, "note": "Grüße"})
    for _ in range(2):
        send_due()
        make_due()
    letter = Delivery.objects.dead().get()

    redeliver(root, letter)
    for _ in range(2):
        send_due()
        make_due()

    letter.refresh_from_db()
    assert letter.state == "delivered"
    assert [a.trigger for a in letter.attempts.all()] == ["schedule"] * 2 + ["redelivery"] * 2
    assert len({got.webhook_id for got in receiver.received}) == 1
    assert len({got.body for got in receiver.received}) == 1
    assert [got.verified for got in receiver.received] == [True] * 4


def test_links_lead_only_where_the_user_may_go(letter):
    client = client_of(staff("narrow", "view_delivery"))

    page = client.get(url("delivery", "change", letter.pk)).content.decode()

    assert letter.event.event_type in page
    assert url("event", "change", letter.event_id) not in page
    assert url("endpoint", "change", letter.endpoint_id) not in page


def test_a_site_without_events_has_no_links_to_them(monkeypatch, root, letter):
    event_page = url("event", "change", letter.event_id)  # before the registry changes
    monkeypatch.delitem(admin.site._registry, Event)

    page = root.get(url("delivery", "change", letter.pk)).content.decode()

    assert event_page not in page
    assert url("endpoint", "change", letter.endpoint_id) in page


def test_a_paused_endpoint_shows_why_there_is_no_button(root, letter):
    endpoints.pause(letter.endpoint_id, using="default")

    page = root.get(url("delivery", "change", letter.pk)).content.decode()
    listed = root.get(url("deadletter")).content.decode()
    said = redeliver(root, letter)

    assert f"{letter.endpoint} (paused)" in listed
    assert f"{letter.endpoint} is paused; switch it on to redeliver." in page
    assert "/redeliver/" not in page
    assert said[0].startswith("Nothing was redelivered: ")


def test_a_reason_that_is_too_long_stops_the_act(root, letter):
    said = redeliver(root, letter, reason="x" * 201)

    letter.refresh_from_db()
    assert letter.state == "dead"
    assert "at most 200 characters" in said[0]


def test_dead_letters_are_discarded_and_restored(root, letter):
    discarded = ask_and_act(root, "discard_selected", letter)
    again = ask_and_act(root, "discard_selected", letter)
    hidden = root.get(url("deadletter")).context["cl"].result_count
    restored = ask_and_act(root, "restore_selected", letter, query="?state=discarded")

    assert discarded == ["1 dead letter was discarded; it can be restored."]
    assert again == ["Nothing was discarded: only what is dead can be."]
    assert restored == ["1 discarded delivery was restored; it is a dead letter again."]
    assert hidden == 0
    assert Delivery.objects.get().state == "dead"
    assert [kept.verb for kept in ConsoleAction.objects.order_by("pk")] == ["discard", "restore"]


# What a delivery's page shows


def test_the_page_tells_what_happened_and_what_comes_next(root, letter):
    page = root.get(url("delivery", "change", letter.pk)).content.decode()

    for told in [
        "HTTP 404",
        escape(str(ANSWERS[404])),
        letter.event.webhook_id,
        url("event", "change", letter.event_id),
        url("endpoint", "change", letter.endpoint_id),
        "None, unless a person redelivers it.",
        escape('"number": 7'),
    ]:
        assert told in page


def test_the_page_shows_when_the_next_attempt_is_due(root, receiver, endpoint, send_due):
    Endpoint.objects.update(retry_schedule=[7200])
    waiting = die(receiver, send_due, 503)

    page = root.get(url("delivery", "change", waiting.pk)).content.decode()

    assert re.search(r"\(in (1\.\d|2) h\)", page)
    assert "It is pending; only what is dead or delivered can be redelivered." in page


def test_what_strangers_wrote_is_inert_and_visible(root, receiver, endpoint, send_due):
    hostile = b"<script>alert(1)</script>\x00\x1b[2J" + "\u202egnp".encode() + b"\xff"
    receiver.replies(Reply(404, body=hostile))
    event = publish("order.paid", {"note": "<script>alert(2)</script>"})
    send_due()
    delivery = Delivery.objects.get()

    pages = [
        root.get(url("delivery", "change", delivery.pk)).content.decode(),
        root.get(url("event", "change", event.pk)).content.decode(),
    ]

    assert all("<script>alert" not in page for page in pages)
    assert all("&lt;script&gt;alert(2)" in page for page in pages)
    assert escape(r"<script>alert(1)</script>\x00\x1b[2J\u202egnp\xff") in pages[0]


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"a":[1]}', '{\n  "a": [\n    1\n  ]\n}'),
        (b"plain\r\ntext", "plain\ntext"),
        ('{"a":"\u202e"}'.encode(), '{\n  "a": "\\u202e"\n}'),
        (b'{"a":"\\ud800"}', '{\n  "a": "\\ud800"\n}'),
        (b"[" * 100_000, "[" * text.LONGEST),
        (b"1" * 5000, "1" * 5000),
        (b"", ""),
    ],
)
def test_any_body_can_be_shown(body, shown):
    assert text.pretty(body).text == shown


def test_long_texts_are_cut_and_say_so():
    shown = text.readable("ü".encode() * text.LONGEST + b"x")

    assert shown == ("ü" * (text.LONGEST // 2), True)
    assert text.readable(b"\xc3" + b"x" * text.LONGEST).text.startswith("\\xc3")


def test_every_fault_and_verdict_has_words():
    assert set(HINTS) == set(LABELS) == {str(fault) for fault in Fault}
    assert set(VERDICTS) == {str(verdict) for verdict in Verdict}


def test_a_dead_letter_has_the_page_of_its_delivery(root, letter):
    response = root.get(url("deadletter", "change", letter.pk))

    assert response["Location"] == url("delivery", "change", letter.pk)


def test_the_filter_survives_a_look_and_a_redelivery(root, letter):
    query = "?_changelist_filters=state__exact%3Ddead"

    page = root.get(url("delivery", "change", letter.pk) + query).content.decode()
    done = root.post(url("delivery", "redeliver", letter.pk) + query)

    assert url("delivery", "redeliver", letter.pk) + query in page
    assert done["Location"] == url("delivery", "change", letter.pk) + query


# Lists: finding, and what it costs


PATIENCE = 3 if connection.vendor == "postgresql" else 0
"""Statements that keep it from taking too long: a transaction, its timeout, and its end."""


@pytest.mark.parametrize("model", LISTS)
def test_a_list_costs_as_many_queries_for_one_row_as_for_fifty(
    root, receiver, endpoint, send_due, django_assert_max_num_queries, model
):
    def fill(count):
        for number in range(count):
            make_endpoint(f"https://example.com/{number}", "none")
            publish("order.paid", {"number": number})
            ConsoleAction.objects.create(verb="redeliver", count=1)
        receiver.replies(*[404] * count)
        send_due()

    def look():
        # The session, the user, the count, the rows; and of endpoints, how they fare.
        most = (7 if model == "endpoint" else 5) + PATIENCE
        with django_assert_max_num_queries(most) as queries:
            response = root.get(url(model))
        assert not any('"body"' in query["sql"] for query in queries.captured_queries)
        return response.context["cl"].result_count

    fill(1)
    few = look()
    fill(49)
    assert (few, look()) == ((2, 51) if model == "endpoint" else (1, 50))


def test_the_page_costs_the_same_for_one_attempt_as_for_many(
    root, receiver, endpoint, send_due, django_assert_num_queries
):
    receiver.replies(*[503] * 10)
    publish("order.paid")
    send_due()
    page = url("delivery", "change", Delivery.objects.get().pk)
    root.get(page)  # reads the content type, once in a process

    for _ in range(3):
        # The session, the user, the delivery, what is around it, attempts, transitions, siblings.
        with django_assert_num_queries(7):
            root.get(page)
        make_due()
        send_due()


@pytest.fixture
def three(receiver, endpoint, send_due) -> dict[str, Delivery]:
    """A delivered, a dead and a waiting one, of three types, the last to another endpoint."""
    other = make_endpoint(receiver.url("/other"), "order.third")
    endpoint.subscriptions.update(pattern="order.first")
    endpoint.subscribe("order.second")
    first = publish("order.first")
    send_due()
    receiver.replies(404)
    second = publish("order.second")
    send_due()
    receiver.replies(503, path="/other")
    third = publish("order.third")
    send_due()
    assert other.deliveries.get().event == third
    events = {"first": first, "second": second, "third": third}
    return {name: Delivery.objects.get(event=event) for name, event in events.items()}


def found(client: Client, three: dict, model: str = "delivery", **query) -> list[str]:
    rows = client.get(url(model), query).context["cl"].result_list
    names = {row.pk: name for name, row in three.items()}
    names |= {row.event_id: name for name, row in three.items()}
    return [names[row.pk] for row in rows]


def test_search_is_exact(root, three):
    second = three["second"]

    for term in [second.event.webhook_id, str(second.event_id), second.pk, " order.second "]:
        assert found(root, three, q=term) == ["second"]
    for term in ["order", "evt_", "99999999999999999999", "evt_" + "0" * 32, "%"]:
        assert found(root, three, q=term) == []


def test_search_in_events_is_exact(root, three):
    event = three["second"].event

    for term in [event.webhook_id, str(event.pk), "order.second"]:
        assert found(root, three, "event", q=term) == ["second"]
    assert found(root, three, "event", q="order") == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"state__exact": "delivered"}, ["first"]),
        ({"state__exact": "pending"}, ["third"]),
        ({"reason": "http_4xx"}, ["second"]),
        ({"reason": "nonsense"}, []),
        ({"event_type": "order.third"}, ["third"]),
        ({"event_type": "order"}, []),
        ({"event_type": "order\0"}, []),
        ({"endpoint": "other"}, ["third"]),
        ({"endpoint": "9" * 30}, []),
        ({"endpoint": " "}, ["third", "second", "first"]),
        ({"when": "24h"}, ["third", "second"]),
        ({"when": "30d"}, ["third", "second", "first"]),
        ({"when": "nonsense"}, ["third", "second", "first"]),
        ({"endpoint": "other", "reason": "http_4xx"}, []),
    ],
)
def test_each_filter_narrows_the_list(root, three, query, expected):
    old = Delivery.objects.filter(pk=three["first"].pk)
    old.update(created_at=F("created_at") - timedelta(days=2))

    assert found(root, three, **query) == expected


def test_the_endpoint_filter_takes_a_number_and_a_link_from_its_list(root, three):
    link = f"{url('delivery')}?endpoint={three['third'].endpoint_id}"

    assert link in root.get(url("endpoint")).content.decode()
    assert found(root, three, endpoint=three["third"].endpoint_id) == ["third"]
    assert found(root, three, endpoint__id__exact=three["third"].endpoint_id) == ["third"]


def test_a_typed_filter_keeps_the_others(root, three):
    page = root.get(url("delivery"), {"reason": "http_4xx", "endpoint": "other", "p": 1})

    filters = page.content.decode().partition('id="changelist-filter"')[2]
    assert '<input type="hidden" name="reason" value="http_4xx">' in filters
    assert '<input type="hidden" name="p"' not in filters
    assert 'href="?reason=http_4xx"' in filters


def test_dead_letters_show_what_is_dead_unless_asked_for_the_discarded(root, three):
    assert found(root, three, "deadletter") == ["second"]
    lifecycle.discard(Delivery.objects.all())
    assert found(root, three, "deadletter") == []
    assert found(root, three, "deadletter", state="discarded") == ["second"]
    assert found(root, three, "deadletter", state="delivered") == []


def test_events_are_filtered_by_type(root, three):
    assert found(root, three, "event", event_type="order.first") == ["first"]


# Endpoints

FORM = {
    "name": "acme",
    "url": "https://acme.example/hooks?token=s3cret",
    "format": "standard",
    "tls_minimum": "1.2",
    "subscriptions-TOTAL_FORMS": 1,
    "subscriptions-INITIAL_FORMS": 0,
    "subscriptions-0-pattern": "order.*",
}


def test_a_new_endpoint_shows_its_secret_once_and_never_again(root):
    answer = root.post(url("endpoint", "add"), FORM)

    acme = Endpoint.objects.get()
    secret = Secret.objects.get().reveal()
    said = answer.content.decode()
    pages = [url(model) for model in LISTS] + [
        url("endpoint", "change", acme.pk),
        url("endpoint", "history", acme.pk),
        url("endpoint", "delete", acme.pk),
        reverse("admin:index"),
    ]
    assert secret in said
    assert secret.startswith("whsec_")
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    assert secret not in str(root.cookies)
    assert secret not in str(dict(root.session))
    assert [each.pattern for each in acme.subscriptions.all()] == ["order.*"]
    assert all(secret not in root.get(page).content.decode() for page in pages)
    assert not LogEntry.objects.filter(change_message__contains="whsec_").exists()


def test_an_endpoint_that_is_edited_keeps_its_secret_and_its_state(root, letter):
    acme = letter.endpoint
    form = root.get(url("endpoint", "change", acme.pk)).context["adminform"].form
    endpoints.pause(acme.pk, using="default")

    say(
        root,
        url("endpoint", "change", acme.pk),
        {
            **{name: value or "" for name, value in form.initial.items()},
            "name": "renamed",
            "state": "on",
            "subscriptions-TOTAL_FORMS": 0,
            "subscriptions-INITIAL_FORMS": 0,
        },
    )

    acme.refresh_from_db()
    assert (acme.name, acme.state, acme.secrets.count()) == ("renamed", "paused", 1)


def test_an_unsafe_url_is_refused(root):
    refused = root.post(url("endpoint", "add"), {**FORM, "url": "https://10.0.0.1/"})

    assert "not public" in refused.content.decode()
    assert not Endpoint.objects.exists()


def test_a_list_of_endpoints_shows_no_path_or_query(root, db):
    make_endpoint("https://acme.example/T01/s3cret?token=abc", name="acme")

    page = root.get(url("endpoint")).content.decode()

    assert "https://acme.example/…" in page
    assert not any(part in page for part in ["T01", "s3cret", "token="])


def test_endpoints_are_paused_switched_on_and_off(root, endpoint):
    publish("order.paid")

    paused = act(root, "pause", endpoint, model="endpoint", reason="maintenance")
    told = root.get(url("endpoint")).content.decode()
    resumed = act(root, "switch_on", endpoint, model="endpoint")
    off = act(root, "switch_off", endpoint, model="endpoint")
    again = act(root, "switch_off", endpoint, model="endpoint")
    act(root, "switch_on", endpoint, model="endpoint")
    idle = act(root, "switch_on", endpoint, model="endpoint")

    assert paused == ["1 endpoint was paused. 1 delivery is held."]
    assert "maintenance" in told
    assert resumed == ["1 endpoint was switched on. 1 delivery was released."]
    assert off == ["1 endpoint was switched off. 1 delivery is held."]
    assert again == ["1 endpoint was so already."]
    assert idle == ["1 endpoint was so already."]
    assert Delivery.objects.get().state == "pending"
    assert LogEntry.objects.filter(object_id=str(endpoint.pk)).count() == 4


def test_the_switch_needs_the_right_to_change_endpoints(users, endpoint):
    refused = client_of(users["viewer"]).post(
        url("endpoint"), {"action": "pause", "_selected_action": [endpoint.pk]}
    )

    endpoint.refresh_from_db()
    assert (refused.status_code, endpoint.state) == (403, "on")


def test_an_endpoint_that_is_owed_something_stays(root, letter):
    page = root.post(url("endpoint", "delete", letter.endpoint_id), {"post": "yes"})
    free = make_endpoint("https://free.example/")
    root.post(url("endpoint", "delete", free.pk), {"post": "yes"})

    assert page.status_code == 200
    assert "switch it off instead" in page.content.decode()
    assert list(Endpoint.objects.all()) == [letter.endpoint]


def test_dead_letters_are_a_view_of_deliveries_with_their_rights():
    assert not Permission.objects.filter(
        content_type=ContentType.objects.get_for_model(DeadLetter, for_concrete_model=False)
    ).exists()
    assert Permission.objects.filter(codename__in=["redeliver_delivery", "discard_delivery"])


def test_every_event_is_shown_with_its_deliveries(root, letter):
    page = root.get(url("event", "change", letter.event_id)).content.decode()

    assert f"{url('delivery')}?q={letter.event.webhook_id}" in page
    assert Event.objects.get().webhook_id in page


# What may be seen of URLs


def test_who_may_not_change_an_endpoint_sees_no_path_or_query_and_cannot_guess_them(users, db):
    acme = make_endpoint("https://acme.example/T01/s3cret?token=abc", name="acme")
    viewer = client_of(users["viewer"])

    page = viewer.get(url("endpoint", "change", acme.pk)).content.decode()

    assert "https://acme.example/…" in page
    assert not any(part in page for part in ["T01", "s3cret", "token="])
    for guess, found in [("s3cret", 0), ("acme", 1)]:
        assert viewer.get(url("endpoint"), {"q": guess}).context["cl"].result_count == found
    for lookup in ["url", "url__contains", "url__startswith", "url__regex"]:
        assert viewer.get(url("endpoint"), {lookup: "https"}).status_code == 400
    for lookup in ["endpoint__url__contains", "endpoint__secrets__sealed__contains"]:
        assert viewer.get(url("delivery"), {lookup: "https"}).status_code == 400


@pytest.mark.parametrize("way", ["", "__contains", "__startswith", "__regex", "__length__gt"])
def test_nobody_reads_a_body_by_guessing(root, endpoint, way):
    event = publish("order.paid", {"card": "4111"})
    where = {"id": str(event.pk), f"body{way}": "4"}

    assert root.get(url("event"), where).status_code == 400


def test_who_may_change_an_endpoint_sees_and_finds_its_url(root, db):
    acme = make_endpoint("https://acme.example/T01/s3cret", name="acme")

    page = root.get(url("endpoint", "change", acme.pk)).content.decode()

    assert 'value="https://acme.example/T01/s3cret"' in page
    assert root.get(url("endpoint"), {"q": "s3cret"}).context["cl"].result_count == 1


# Secrets: revealed and rotated

VIEW = "view_endpoint"
HOLDERS = {
    "anonymous": None,
    "nobody": [],
    "viewer": [VIEW],
    "changer": ["change_endpoint"],
    "blind revealer": ["reveal_secret", "rotate_secret"],
    "revealer": [VIEW, "reveal_secret"],
    "rotator": [VIEW, "rotate_secret"],
    "superuser": ["*"],
}
MAY = {
    "reveal": {"revealer", "superuser"},
    "rotate": {"rotator", "superuser"},
}
NOW = {"reveal": "reveal_show", "rotate": "rotate_now"}
"""Where what is asked at one address is done."""


def holder(who: str, **options) -> Client:
    rights = HOLDERS[who]
    if rights is None:
        return client_of(None, **options)
    if rights == ["*"]:
        return client_of(User.objects.create_superuser("root", password="x"), **options)
    return client_of(staff(who, *rights), **options)


def whole(endpoint: Endpoint) -> tuple:
    """What a refused request must leave as it was."""
    secrets = endpoint.secrets.order_by("pk").values_list("pk", "valid_until")
    return list(secrets), LogEntry.objects.count(), ConsoleAction.objects.count()


@pytest.mark.parametrize("act", MAY)
@pytest.mark.parametrize("who", HOLDERS)
def test_secrets_are_for_those_who_may(endpoint, who, act):
    client, where, before = holder(who), url("endpoint", act, endpoint.pk), whole(endpoint)
    may = who in MAY[act]

    asked = client.get(where)
    assert whole(endpoint) == before, "to ask does nothing"
    done = client.post(url("endpoint", NOW[act], endpoint.pk))

    refused = 302 if who == "anonymous" else 403
    assert asked.status_code == done.status_code == (200 if may else refused)
    assert (whole(endpoint) != before) == may
    shown = [s.reveal() for s in endpoint.secrets.live() if s.reveal() in done.content.decode()]
    assert len(shown) == int(may)
    assert "whsec_" not in asked.content.decode()
    if may:
        assert "no-store" in done["Cache-Control"]
        assert "no-store" in asked["Cache-Control"]


@pytest.mark.parametrize("act", MAY)
@pytest.mark.parametrize("who", HOLDERS)
def test_nothing_is_revealed_or_rotated_without_a_csrf_token(endpoint, who, act):
    client, before = holder(who, enforce_csrf_checks=True), whole(endpoint)

    refused = client.post(url("endpoint", NOW[act], endpoint.pk))

    assert (refused.status_code, whole(endpoint)) == (403, before)
    assert "whsec_" not in refused.content.decode()


@pytest.mark.parametrize("act", MAY)
@pytest.mark.parametrize("method", ["put", "patch", "delete", "options"])
def test_other_methods_do_nothing(root, endpoint, act, method):
    before = whole(endpoint)

    for name in (act, NOW[act]):
        assert getattr(root, method)(url("endpoint", name, endpoint.pk)).status_code == 405
    assert root.post(url("endpoint", act, endpoint.pk)).status_code == 405
    assert root.get(url("endpoint", NOW[act], endpoint.pk)).status_code == 405
    assert whole(endpoint) == before


@pytest.mark.parametrize("act", MAY)
def test_of_an_endpoint_that_is_none_nothing_is_revealed_or_rotated(root, endpoint, act):
    for number in (endpoint.pk + 1, "none", "9" * 40):
        asked, done = url("endpoint", act, number), url("endpoint", NOW[act], number)
        answers = [root.get(asked), root.post(done)]
        assert [answer.status_code for answer in answers] == [404, 404]


@pytest.mark.parametrize(("act", "verb"), [("reveal", "Revealed"), ("rotate", "Rotated")])
def test_who_revealed_or_rotated_and_why_is_kept_without_the_secret(endpoint, act, verb):
    client = holder("superuser")

    client.post(url("endpoint", NOW[act], endpoint.pk), {"reason": " asked by phone "})

    log, kept = LogEntry.objects.get(), ConsoleAction.objects.get()
    secrets = [secret.reveal() for secret in endpoint.secrets.all()]
    said = f"{log.change_message} {log.object_repr} {kept} {kept.reason} {kept.verb}"
    assert (log.user.username, log.object_id) == ("root", str(endpoint.pk))
    assert log.change_message.startswith(f"{verb} the signing secret")
    assert log.change_message.endswith("asked by phone")
    assert (kept.verb, kept.by_name) == (f"{act}_secret", "root")
    assert (kept.about, kept.reason) == (f"{endpoint.pk} ({endpoint})", "asked by phone")
    assert not any(secret in said for secret in secrets)
    assert "asked by phone" in client.get(url("endpoint", "history", endpoint.pk)).content.decode()


def test_a_reason_that_is_too_long_reveals_and_rotates_nothing(root, endpoint):
    before = whole(endpoint)

    for act in NOW.values():
        page = root.post(url("endpoint", act, endpoint.pk), {"reason": "x" * 201}).content.decode()
        assert "at most 200 characters" in page
        assert "whsec_" not in page
    assert whole(endpoint) == before


def test_what_is_revealed_is_what_signs_now_and_what_it_is_called_elsewhere(root, endpoint):
    pair = signing.generate_signing_key()
    rotation.rotate(endpoint.pk, using="default", secret=pair)
    spoilt = Secret.objects.create(endpoint=endpoint, sealed=b"garbage")
    ended = Secret.keep(endpoint, signing.generate_secret())
    Secret.objects.filter(pk=ended.pk).update(valid_until=Now())

    page = root.post(url("endpoint", "reveal_show", endpoint.pk)).content.decode()

    for shown in (SECRET, pair, signing.public_key_of(pair), "It cannot be opened"):
        assert escape(shown) in page
    assert ended.reveal() not in page
    assert spoilt in endpoint.secrets.live()


def test_an_endpoint_without_a_secret_says_so(root, endpoint):
    Secret.objects.all().delete()

    page = root.post(url("endpoint", "reveal_show", endpoint.pk)).content.decode()

    assert "rotate its signing secret" in page


def test_a_secret_that_is_rotated_is_shown_once_and_the_one_before_signs_for_a_while(
    root, endpoint
):
    where = url("endpoint", "rotate", endpoint.pk)
    form = root.get(where).context["form"].initial

    page = root.post(url("endpoint", "rotate_now", endpoint.pk), {**form, "overlap": 1})
    page = page.content.decode()

    new, old = endpoint.secrets.live()
    assert new.reveal() in page
    assert old.reveal() == SECRET
    assert SECRET not in page
    left = Secret.objects.filter(pk=old.pk).values_list("valid_until", Now())[0]
    assert 3500 < (left[0] - left[1]).total_seconds() <= 3600


def test_a_second_click_rotates_nothing_and_shows_nothing(root, endpoint):
    where = url("endpoint", "rotate", endpoint.pk)
    form = {"newest": root.get(where).context["form"]["newest"].value()}
    where = url("endpoint", "rotate_now", endpoint.pk)
    root.post(where, form)
    before = whole(endpoint)

    said = say(root, where, form)

    assert said == ["Nothing was rotated: the signing secret has been rotated meanwhile."]
    assert whole(endpoint) == before


@pytest.mark.parametrize("overlap", ["-1", "2", "x", "1e9"])
def test_only_the_overlaps_that_are_offered_are_taken(root, endpoint, overlap):
    before = whole(endpoint)

    page = root.post(url("endpoint", "rotate_now", endpoint.pk), {"overlap": overlap})

    assert page.status_code == 200
    assert whole(endpoint) == before
    assert page.context["form"].errors


@pytest.mark.parametrize("who", HOLDERS)
def test_buttons_are_for_those_who_may(endpoint, who):
    page = holder(who).get(url("endpoint", "change", endpoint.pk)).content.decode()

    for act, holders in MAY.items():
        assert (url("endpoint", act, endpoint.pk) in page) == (who in holders)


def test_a_new_endpoint_in_a_popup_shows_its_secret_too(root):
    page = root.post(url("endpoint", "add"), {**FORM, "_popup": 1}).content.decode()

    assert Secret.objects.get().reveal() in page


@pytest.mark.parametrize("button", ["_save", "_continue", "_addanother"])
def test_whichever_button_makes_an_endpoint_its_secret_is_shown(root, button):
    page = root.post(url("endpoint", "add"), {**FORM, button: "x"}).content.decode()

    assert Secret.objects.get().reveal() in page


def test_what_holds_a_secret_does_not_show_it_in_a_traceback(endpoint):
    shown = Shown.of(endpoint.secrets.get())

    assert shown.text == SECRET
    assert SECRET not in repr(shown)
    assert SECRET not in repr(replace(shown, text=str(SECRET)))
