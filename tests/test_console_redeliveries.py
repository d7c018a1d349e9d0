"""Redeliveries of many in the console: what is asked, who may, and how it goes on."""

import re
import threading
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from tests.conftest import make_endpoint
from tests.shell import in_json
from tests.test_admin import client_of, die, say, staff, url
from tests.test_batches import dead_letters, due_again, feed, run
from webhook_delivery import batches, endpoints, lifecycle, pruning, pump
from webhook_delivery.admin import words
from webhook_delivery.admin.filters import SPANS
from webhook_delivery.admin.redeliveries.asking import Token
from webhook_delivery.models import (
    ConsoleAction,
    Delivery,
    Doorbell,
    Endpoint,
    RedeliveryBatch,
    Transition,
)
from webhook_delivery.patience import TooSlow
from webhook_delivery.selecting import selection_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.nightly_on_servers]

State = RedeliveryBatch.State
VIEWS = ["view_delivery", "view_endpoint", "view_redeliverybatch"]
BUTTONS = ["pause", "resume", "rate", "cancel"]
USUAL = {"speed": "rate", "rate": "10", "attempts": "once", "canary": "0", "stop_above": ""}


def place(name: str, **query) -> str:
    where = reverse(f"admin:webhook_delivery_redeliverybatch_{name}")
    return f"{where}?{'&'.join(f'{key}={value}' for key, value in query.items())}"


def button(name: str, batch: RedeliveryBatch) -> str:
    return reverse(f"admin:webhook_delivery_redeliverybatch_{name}", args=[batch.pk])


def ask(client: Client, **query):
    return client.get(place("confirm", **query))


def answer(client: Client, page, query: dict, **fields):
    """Press the button of a page that asked."""
    token = page.context["form"].initial["token"]
    return client.post(place("start", **query), {**USUAL, "token": token, **fields}, follow=True)


def start(client: Client, query: dict | None = None, **fields) -> RedeliveryBatch:
    query = {"reason": "http_5xx"} if query is None else query
    answered = answer(client, ask(client, **query), query, **fields)
    assert answered.status_code == 200
    return RedeliveryBatch.objects.latest("pk")


def said(response) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def text_of(response) -> str:
    """What a page says, without its tags."""
    content = response.content.decode().partition('id="content-main"')[2]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", content))


@pytest.fixture
def root(db) -> Client:
    return client_of(User.objects.create_superuser("ada", password="x"))


@pytest.fixture
def operator(db) -> Client:
    rights = ["redeliver_delivery", "bulk_redeliver_delivery"]
    return client_of(staff("a.smith", *VIEWS, *rights))


@pytest.fixture(autouse=True)
def a_worker_runs(db) -> None:
    Doorbell.objects.update(drained_at=timezone.now())


# From the question to the end


def test_what_is_asked_for_is_sent_and_its_page_tells_how_it_went(
    operator, receiver, endpoint, send_due
):
    dead_letters(3)
    other = dead_letters(1, "invoice.paid")
    receiver.replies(200, 503)
    query = {"event_type": "order.*"}

    page = ask(operator, **query)
    answered = answer(operator, page, query, reason="after 4.2")
    run(send_due)
    batch = RedeliveryBatch.objects.get()
    done = operator.get(url("redeliverybatch", "change", batch.pk))

    assert "event type order.*" in text_of(page)
    assert page.context["title"] == "Redeliver 3 deliveries"
    assert said(answered) == [
        f"Redelivery #{batch.pk} started: 3 deliveries at up to 10 per second."
    ]
    assert "Done: 3 of 3 sent, 2 delivered, 1 failed again." in text_of(done)
    assert list(Delivery.objects.dead().order_by("pk").values_list("pk", flat=True)) == [
        *Delivery.objects.dead()
        .filter(last_status=503)
        .exclude(pk__in=other)
        .values_list("pk", flat=True),
        *other,
    ]
    log, kept = LogEntry.objects.get(), ConsoleAction.objects.get()
    assert (log.object_id, log.user.username) == (str(batch.pk), "a.smith")
    assert log.change_message.endswith("Reason: after 4.2")
    assert (kept.verb, kept.by_name, kept.reason, kept.count) == (
        "redeliver", "a.smith", "after 4.2", 3,
    )  # fmt: skip


def test_to_ask_changes_nothing(root, endpoint):
    dead_letters(2)

    for method in (root.get, root.head):
        assert method(place("confirm")).status_code == 200

    assert not RedeliveryBatch.objects.exists()
    assert not ConsoleAction.objects.exists()
    assert not LogEntry.objects.exists()
    assert Delivery.objects.dead().count() == 2


def test_the_question_tells_whom_and_what_would_be_left(root, receiver):
    paused, on = make_endpoint(receiver.url("/acme")), make_endpoint(receiver.url("/globex"))
    dead_letters(2)
    endpoints.pause(paused.pk, using="default")
    other = batches.start(selection_of(endpoint=on.pk), by="m.jones")
    batches.start(selection_of(endpoint=10**6), by="nobody")

    page = text_of(ask(root, endpoint=on.pk))
    everything = text_of(ask(root))

    assert "globex (on)" in page
    assert "acme" not in page
    assert f"#{other.pk} by m.jones: running, 0 of 2 sent" in page
    assert "nobody" not in page
    assert (
        "Will be sent 2, the oldest first; at 10 per second in about 1 s Will be left 2, for"
        in everything
    )
    assert "acme (paused)" in everything
    assert "Dead letters that arrive after now" in page


def test_what_dies_after_the_question_is_not_sent(root, receiver, endpoint, send_due):
    """Even if it was there already, and waited."""
    receiver.replies(503)
    waiting = die(receiver, send_due, 503)
    dead_letters(1)
    page = ask(root)
    Delivery.objects.filter(pk=waiting.pk).update(state="dead", due_at=None)
    Delivery.objects.filter(pk=waiting.pk).update(ended_at=lifecycle.Now())

    answer(root, page, {})
    run(send_due)

    waiting.refresh_from_db()
    assert (waiting.state, RedeliveryBatch.objects.get().sent) == ("dead", 1)


def test_one_row_has_neither_speed_nor_safety(root, endpoint, send_due):
    one, *_others = dead_letters(3)
    page = ask(root, ids=one)

    fields = set(page.context["form"].fields)
    answered = answer(root, page, {"ids": one})
    run(send_due)

    assert fields == {"attempts", "reason", "token"}
    assert said(answered)[0].endswith(" started: 1 delivery.")
    assert list(Delivery.objects.delivered().values_list("pk", flat=True)) == [one]


@pytest.mark.parametrize(("number", "typed"), [(20, False), (21, True)])
def test_of_twenty_nobody_types_the_number(root, endpoint, settings, number, typed):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "CONFIRM_TYPED_ABOVE": 0}
    dead_letters(number)

    assert ("typed" in ask(root).context["form"].fields) == typed


@pytest.mark.parametrize(
    ("typed", "starts"), [("", False), ("24", False), ("25", True), (" 2,5 ", True), ("x", False)]
)
def test_of_many_the_number_is_typed(root, endpoint, settings, typed, starts):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "CONFIRM_TYPED_ABOVE": 24}
    dead_letters(25)

    answered = answer(root, ask(root), {}, typed=typed, reason="typed before")

    assert RedeliveryBatch.objects.exists() == starts
    if not starts:
        assert answered.context["form"].errors.keys() == {"typed"}
        assert 'value="typed before"' in answered.content.decode()


def test_the_number_that_was_shown_may_be_typed_even_if_fewer_are_left(root, endpoint, settings):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "CONFIRM_TYPED_ABOVE": 20}
    gone, *_others = dead_letters(25)
    page = ask(root)
    lifecycle.discard(Delivery.objects.filter(pk=gone))

    answered = answer(root, page, {}, typed="25")

    assert "24 deliveries" in said(answered)[0]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rate", ""), ("rate", "0"), ("rate", "nan"), ("rate", "x"), ("speed", "warp"),
        ("attempts", "many"), ("canary", "-1"), ("canary", "1e9"), ("stop_above", "101"),
        ("reason", "x" * 201),
    ],
)  # fmt: skip
def test_what_is_typed_wrong_starts_nothing_and_is_shown_again(root, endpoint, field, value):
    dead_letters(2)

    answered = answer(root, ask(root), {}, **{field: value})

    assert answered.status_code == 200
    assert field in answered.context["form"].errors
    assert not RedeliveryBatch.objects.exists()
    again = answer(root, answered, {})
    assert again.status_code == 200
    assert RedeliveryBatch.objects.count() == 1


def test_what_was_wished_is_kept(root, endpoint):
    dead_letters(2)
    batch = start(
        root, speed="own", attempts="full", canary="7", stop_above="30", reason=" deploy "
    )

    assert (batch.rate_per_second, batch.once, batch.canary, batch.stop_above, batch.reason) == (
        None, False, 7, 30, "deploy",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"state": "pending"}, "Only what is dead or delivered can be redelivered."),
        ({"state": "delivered"}, "nothing that is chosen is dead or delivered now"),
        ({"reason": "nonsense"}, "is no reason"),
        ({"when": "1y"}, "is no span of time"),
        ({"status": "abc"}, "is no status of an answer"),
        ({"ids": "1,x"}, "no numbers of deliveries"),
        ({"ids": ",".join(map(str, range(201)))}, "No more than 200"),
        ({"endpoint__name": "acme"}, "cannot be narrowed by “endpoint__name”"),
        ({"batch": "1", "fate": "odd"}, "is no redelivery"),
        ({"event_type": "a%00"}, "Nothing is called so."),
        ({"q": "a%00"}, "Nothing is called so."),
        ({"endpoint": "nobody"}, "nothing that is chosen is dead or delivered now"),
    ],
)
def test_where_there_is_nothing_to_send_it_says_so(root, endpoint, query, told):
    dead_letters(1)
    page = ask(root, **query)
    token = str(Token())
    posted = root.post(place("start", **query), {**USUAL, "token": token})

    assert told in text_of(page).replace("&#x27;", "'")
    assert "<form" not in page.content.decode().partition('id="content-main"')[2]
    assert posted.status_code == 200
    assert not RedeliveryBatch.objects.exists()


def test_endpoints_that_are_all_off_are_named_as_the_cause(root, endpoint):
    dead_letters(1)
    endpoints.switch_off(endpoint.pk, using="default")

    assert "the endpoints of all that is chosen are paused or off" in text_of(ask(root))


@pytest.mark.parametrize(
    ("ago", "told"), [(None, "no worker has ever reported"), (240, "for 4 min")]
)
def test_where_no_worker_runs_it_says_so(root, endpoint, ago, told):
    dead_letters(1)
    drained = ago and timezone.now() - timedelta(seconds=ago)
    Doorbell.objects.update(drained_at=drained)

    started, silent = said(answer(root, ask(root), {}))

    assert "started" in started
    assert told in silent


# Twice


def test_a_second_click_begins_no_second_one(root, endpoint):
    dead_letters(2)
    page = ask(root)

    first, second = answer(root, page, {}), answer(root, page, {})

    batch = RedeliveryBatch.objects.get()
    assert said(first)[0].startswith(f"Redelivery #{batch.pk} started")
    assert said(second) == [f"Already queued by ada just now (redelivery #{batch.pk})."]
    assert (LogEntry.objects.count(), ConsoleAction.objects.count()) == (1, 1)


def test_no_two_answer_one_question_whoever_asks(endpoint):
    token = Token().number
    batches.start(selection_of(), token=token)

    with pytest.raises(IntegrityError):
        batches.start(selection_of(), token=token)
    assert (RedeliveryBatch.objects.count(), ConsoleAction.objects.count()) == (1, 1)


def test_two_clicks_at_once_begin_one(root, endpoint):
    dead_letters(2)
    token = ask(root).context["form"].initial["token"]
    together, answers = threading.Barrier(4), []

    def click():
        client = client_of(User.objects.get())
        together.wait()
        answers.append(client.post(place("start"), {**USUAL, "token": token}).status_code)
        connections.close_all()

    threads = [threading.Thread(target=click) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [302] * 4
    assert RedeliveryBatch.objects.count() == 1
    assert (LogEntry.objects.count(), ConsoleAction.objects.count()) == (1, 1)


@pytest.mark.parametrize("token", ["", "nonsense", "a:b:c"])
def test_a_page_that_is_too_old_or_not_ours_begins_nothing(root, endpoint, token):
    dead_letters(2)

    answered = root.post(place("start"), {**USUAL, "token": token})

    assert said(answered) == [
        "This page was too old, so nothing was sent. See whether it still stands."
    ]
    assert not RedeliveryBatch.objects.exists()
    answer(root, answered, {})
    assert RedeliveryBatch.objects.count() == 1


def test_two_operators_at_once_send_no_delivery_twice(
    root, operator, receiver, endpoint, send_due, monkeypatch
):
    """Not even what has failed again in between: it died after the other one had asked."""
    monkeypatch.setattr(pump, "CHUNK", 4)
    dead_letters(12)
    receiver.replies(*[404, 200] * 12)
    pages = [ask(client, reason="http_5xx") for client in (root, operator)]
    for client, page in zip((root, operator), pages, strict=True):
        answer(client, page, {"reason": "http_5xx"}, speed="own")
    run(send_due)

    one, other = RedeliveryBatch.objects.order_by("pk")
    sent = [set(each.sendings.values_list("delivery", flat=True)) for each in (one, other)]
    assert not sent[0] & sent[1]
    assert len(sent[0] | sent[1]) == 12 == len(receiver.received)


# How it goes on


def test_a_guard_that_trips_is_shown_and_a_resume_goes_on(operator, receiver, endpoint, send_due):
    dead_letters(10)
    receiver.replies(*[503] * 3)
    batch = start(operator, canary="3")
    run(send_due)

    page = operator.get(url("redeliverybatch", "change", batch.pk))
    told = text_of(page)
    assert "paused itself: 3 of the last 3 failed. Resume it" in told
    assert "Paused itself: 3 of 10 sent, 0 delivered, 3 failed again." in told
    failed = Delivery.objects.filter(pk__in=batch.sendings.values("delivery"))
    for delivery in failed:
        assert f'href="{url("delivery", "change", delivery.pk)}"' in page.content.decode()
    assert told.count("HTTP 503") == 3
    assert say(operator, button("resume", batch)) == [f"Redelivery #{batch.pk} goes on."]
    run(send_due)
    batch.refresh_from_db()
    assert (batch.state, batch.sent) == (State.DONE, 10)


def test_it_is_paused_resumed_slowed_down_and_cancelled(operator, endpoint, send_due):
    dead_letters(60)
    batch = start(operator, rate="20")
    feed()
    send_due()
    sent = RedeliveryBatch.objects.get().sent

    assert say(operator, button("pause", batch)) == [
        f"Redelivery #{batch.pk} is paused: nothing more of it is sent."
    ]
    feed(3)
    assert RedeliveryBatch.objects.get().sent == sent
    say(operator, button("resume", batch))
    assert say(operator, button("rate", batch), {"rate": "2.5"}) == [
        f"Redelivery #{batch.pk} sends at most 2.5 per second."
    ]
    assert RedeliveryBatch.objects.get().rate_per_second == 2.5
    say(operator, button("rate", batch), {"rate": ""})
    assert RedeliveryBatch.objects.get().rate_per_second is None
    say(operator, button("cancel", batch))
    feed(3)

    told = text_of(operator.get(url("redeliverybatch", "change", batch.pk)))
    assert f"Cancelled after {sent}. The other {60 - sent} were not touched." in told
    verbs = ConsoleAction.objects.order_by("pk").values_list("verb", "by_name")
    assert [*verbs] == [
        ("redeliver", "a.smith"),
        ("batch paused", "a.smith"),
        ("batch running", "a.smith"),
        ("batch rate", "a.smith"),
        ("batch rate", "a.smith"),
        ("batch cancelled", "a.smith"),
    ]
    assert LogEntry.objects.filter(object_id=str(batch.pk)).count() == 6


def test_only_the_buttons_that_its_state_allows_are_there(root, endpoint):
    dead_letters(2)
    batch = start(root)

    def shown() -> set[str]:
        page = root.get(url("redeliverybatch", "change", batch.pk)).content.decode()
        return {name for name in BUTTONS if button(name, batch) in page}

    assert shown() == {"pause", "rate", "cancel"}
    batches.pause(batch.pk)
    assert shown() == {"resume", "rate", "cancel"}
    RedeliveryBatch.objects.update(state=State.GUARDED)
    assert shown() == {"resume", "rate", "cancel"}
    batches.cancel(batch.pk)
    assert shown() == set()
    RedeliveryBatch.objects.update(state=State.DONE)
    assert shown() == set()


@pytest.mark.parametrize(
    ("state", "name"),
    [
        (State.PAUSED, "pause"), (State.RUNNING, "resume"), (State.DONE, "pause"),
        (State.DONE, "resume"), (State.DONE, "rate"), (State.DONE, "cancel"),
        (State.CANCELLED, "cancel"), (State.CANCELLED, "resume"), (State.GUARDED, "pause"),
    ],
)  # fmt: skip
def test_a_button_that_came_too_late_says_so_and_changes_nothing(root, endpoint, state, name):
    dead_letters(2)
    batch = start(root)
    RedeliveryBatch.objects.update(state=state)
    before = whole(batch), LogEntry.objects.count(), ConsoleAction.objects.count()

    told = say(root, button(name, batch), {"rate": "3"})

    assert told == [f"Redelivery #{batch.pk} is {state.label}; nothing was changed."]
    assert (whole(batch), LogEntry.objects.count(), ConsoleAction.objects.count()) == before


def whole(batch: RedeliveryBatch) -> dict:
    return RedeliveryBatch.objects.values().get(pk=batch.pk)


@pytest.mark.parametrize("rate", ["0", "-1", "x", "1e9"])
def test_a_speed_that_is_none_changes_nothing(root, endpoint, rate):
    dead_letters(2)
    batch = start(root)
    before = whole(batch)

    assert len(say(root, button("rate", batch), {"rate": rate})) == 1
    assert whole(batch) == before


def test_each_number_of_its_page_is_that_of_the_list_it_leads_to(
    root, receiver, endpoint, send_due
):
    gone = make_endpoint(receiver.url("/gone"), "order.*")
    dead_letters(6)
    dead_letters(3, "invoice.paid")
    receiver.replies(404, 200, 200)
    batch = start(root, {}, rate="1")
    endpoints.switch_off(gone.pk, using="default")
    while RedeliveryBatch.objects.get().left < 6 or not Delivery.objects.pending().exists():
        send_due()
        feed()

    page = root.get(url("redeliverybatch", "change", batch.pk))

    fates = page.context["fates"]
    assert {fate["query"].rpartition("=")[2] for fate in fates} == {
        "delivered", "failed", "waiting", "left", "ahead",
    }  # fmt: skip
    assert all(int(fate["count"]) for fate in fates), fates
    for fate in fates:
        listed = root.get(f"{url('delivery')}?{fate['query']}").context["cl"].result_count
        assert (fate["label"], int(fate["count"])) == (fate["label"], listed)


def test_of_what_is_not_kept_any_more_the_page_says_so(root, receiver, endpoint, send_due):
    dead_letters(2)
    receiver.replies(404)
    batch = start(root)
    run(send_due)
    long_ago = timezone.now() - timedelta(days=31)
    Delivery.objects.delivered().update(created_at=long_ago, ended_at=long_ago)
    pruning.prune(using="default", seconds=30, pauses=0)

    page = text_of(root.get(url("redeliverybatch", "change", batch.pk)))

    assert "Done: 2 of 2 sent, 0 delivered, 1 failed again. Of 1 nothing is kept any more." in page
    [told] = in_json("redelivery", "show", batch.pk)
    assert (told["delivered"], told["failed"], told["gone"]) == (0, 1, 1)


def test_one_that_is_done_has_nothing_that_it_has_not_reached(root, endpoint, send_due):
    discarded, *_ = dead_letters(3)
    batch = start(root)
    lifecycle.discard(Delivery.objects.filter(pk=discarded))
    run(send_due)

    page = root.get(url("redeliverybatch", "change", batch.pk))

    assert "Done: 2 of 3 sent" in text_of(page)
    assert not any(fate["query"].endswith("=ahead") for fate in page.context["fates"])


def test_how_long_it_will_take_is_told_in_words(root, endpoint):
    dead_letters(3)
    batch = start(root)
    RedeliveryBatch.objects.update(expected=3958, sent=1204, rate_per_second=10)

    page = root.get(url("redeliverybatch", "change", batch.pk))

    told = text_of(page)
    assert "Running: 1,204 of 3,958 sent, 0 delivered, 0 failed again." in told
    assert "About 4 min 35 s left." in told
    assert 'max="3958" value="1204"' in page.content.decode()
    assert 'id="webhook-progress" data-webhook-refresh' in page.content.decode()


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.2, "1 s"), (59, "59 s"), (300, "5 min"), (275, "4 min 35 s"), (3600, "1 h"),
        (5400, "1 h 30 min"), (86_400, "1 d"), (187_200, "2 d 4 h"),
    ],
)  # fmt: skip
def test_spans_are_told_in_two_units_and_in_one_if_there_is_no_more(seconds, told):
    assert words.span(seconds) == told


# Who may

RIGHTS = {
    "viewer": set(),
    "redeliverer": {"redeliver_delivery"},
    "operator": {"redeliver_delivery", "bulk_redeliver_delivery"},
    "admin": {"redeliver_delivery", "bulk_redeliver_delivery", "redeliver_unfiltered"},
}
NEEDS = {
    "ids": "redeliver_delivery",
    "reason": "bulk_redeliver_delivery",
    "": "redeliver_unfiltered",
}


@pytest.mark.parametrize("who", RIGHTS)
@pytest.mark.parametrize("what", NEEDS)
def test_each_selection_is_for_who_may_redeliver_so_much(endpoint, who, what):
    client, ids = client_of(staff(who, *VIEWS, *RIGHTS[who])), dead_letters(2)
    query = {"ids": {"ids": ids[0]}, "reason": {"reason": "http_5xx"}, "": {}}[what]
    may = NEEDS[what] in RIGHTS[who]

    asked = ask(client, **query)
    token = str(Token())
    begun = client.post(place("start", **query), {**USUAL, "token": token})

    assert asked.status_code == (200 if may else 403)
    assert begun.status_code == (302 if may else 403)
    assert RedeliveryBatch.objects.exists() == may


@pytest.mark.parametrize(
    "query", ["state=dead", "event_type=*", "endpoint=%20", "reason=", "state__exact=dead", "p=2"]
)
def test_what_narrows_nothing_is_no_filter(endpoint, query):
    client = client_of(staff("operator", *VIEWS, *RIGHTS["operator"]))
    dead_letters(2)

    assert client.get(f"{place('confirm')}{query}").status_code == 403
    posted = {**USUAL, "token": str(Token())}
    assert client.post(f"{place('start')}{query}", posted).status_code == 403
    assert client.get(f"{place('confirm')}{query}&reason=http_5xx").status_code == 200


@pytest.mark.parametrize("query", [f"{name}={span}" for name in ("when", "died") for span in SPANS])
def test_every_span_of_the_lists_narrows(endpoint, query):
    client = client_of(staff("operator", *VIEWS, *RIGHTS["operator"]))

    assert client.get(f"{place('confirm')}{query}").status_code == 200
    assert client.get(f"{place('confirm')}{query}0").status_code == 403


@pytest.mark.parametrize("name", BUTTONS)
@pytest.mark.parametrize("who", RIGHTS)
def test_the_buttons_are_for_who_may_redeliver_many(endpoint, who, name):
    client = client_of(staff(who, *VIEWS, *RIGHTS[who]))
    dead_letters(1)
    batch = batches.start(selection_of())
    if name == "resume":
        batches.pause(batch.pk)
    before = whole(batch)
    may = "bulk_redeliver_delivery" in RIGHTS[who]

    page = client.get(url("redeliverybatch", "change", batch.pk))
    posted = client.post(button(name, batch), {"rate": "3"})

    assert page.status_code == 200
    assert (button(name, batch) in page.content.decode()) == may
    assert posted.status_code == (302 if may else 403)
    assert (whole(batch) != before) == may


def test_without_the_right_to_look_nothing_is_shown_or_done(endpoint):
    client = client_of(staff("blind", "bulk_redeliver_delivery", "redeliver_unfiltered"))
    dead_letters(1)
    batch = batches.start(selection_of())

    asked = [client.get(place("confirm")), client.get(url("redeliverybatch", "change", batch.pk))]
    posted = [client.post(button(name, batch)) for name in BUTTONS]
    posted.append(client.post(place("start"), {**USUAL, "token": str(Token())}))

    assert {answer.status_code for answer in asked + posted} == {403}
    assert RedeliveryBatch.objects.count() == 1


def test_who_may_not_see_redeliveries_comes_to_the_list_instead(endpoint):
    client = client_of(staff("narrow", "view_delivery", "redeliver_delivery"))
    one, _other = dead_letters(2)

    answered = answer(client, ask(client, ids=one), {"ids": one})

    assert answered.request["PATH_INFO"] == url("delivery")
    assert len(said(answered)) == 1


def test_strangers_are_sent_to_the_login(endpoint):
    batch = batches.start(selection_of())
    stranger = Client()

    for where in [place("confirm"), url("redeliverybatch", "change", batch.pk)]:
        assert "/login/" in stranger.get(where)["Location"]
    for where in [place("start"), *(button(name, batch) for name in BUTTONS)]:
        assert "/login/" in stranger.post(where)["Location"]
    assert RedeliveryBatch.objects.get().state == State.RUNNING


def test_nothing_is_begun_or_changed_without_a_csrf_token(endpoint):
    user = User.objects.create_superuser("root", password="x")
    client = client_of(user, enforce_csrf_checks=True)
    dead_letters(1)
    batch = batches.start(selection_of())

    refused = [client.post(place("start"), {**USUAL, "token": str(Token())})]
    refused += [client.post(button(name, batch), {"rate": "3"}) for name in BUTTONS]

    assert {answer.status_code for answer in refused} == {403}
    assert whole(batch)["state"] == State.RUNNING
    assert RedeliveryBatch.objects.count() == 1


def test_what_acts_is_not_got_and_what_asks_is_not_posted(root, endpoint):
    batch = batches.start(selection_of())

    got = [root.get(where) for where in [place("start"), *(button(n, batch) for n in BUTTONS)]]
    posted = [root.post(place("confirm")), root.post(url("redeliverybatch", "change", batch.pk))]

    assert {answer.status_code for answer in got + posted} == {405}


@pytest.mark.parametrize("name", BUTTONS)
def test_of_a_redelivery_that_is_none_nothing_is_changed(root, name):
    where = reverse(f"admin:webhook_delivery_redeliverybatch_{name}", args=[7])

    assert root.post(where, {"rate": "3"}).status_code == 404
    assert root.get(url("redeliverybatch", "change", 7)).status_code == 404


# Tenants


def seen_by(user) -> list[str] | None:
    return None if user.is_superuser else [user.username]


@pytest.fixture
def tenants(settings, receiver) -> dict[str, Endpoint]:
    """Two endpoints of two tenants, each with two dead letters; and a dead letter of nobody."""
    settings.WEBHOOK_DELIVERY = {
        **settings.WEBHOOK_DELIVERY,
        "CONSOLE_TENANTS": "tests.test_console_redeliveries.seen_by",
    }
    made = {
        name: make_endpoint(receiver.url(f"/{name}"), name="hook") for name in ("acme", "globex")
    }
    dead_letters(2)
    for name, endpoint in made.items():
        Endpoint.objects.filter(pk=endpoint.pk).update(tenant=name)
    return made


def tenant_client(name: str) -> Client:
    return client_of(staff(name, *VIEWS, *RIGHTS["admin"]))


@pytest.mark.parametrize("query", [{}, {"reason": "http_5xx"}, {"endpoint": "hook"}])
def test_a_redelivery_is_bound_to_the_tenants_of_who_began_it(tenants, send_due, query):
    acme = tenant_client("acme")
    page = ask(acme, **query)
    answer(acme, page, query)
    run(send_due)

    batch = RedeliveryBatch.objects.get()
    assert batch.selection["tenants"] == ["acme"]
    assert page.context["sent"] == "2"
    assert set(Delivery.objects.delivered().values_list("endpoint", flat=True)) == {
        tenants["acme"].pk
    }


def test_ids_of_another_tenant_choose_nothing(tenants):
    foreign = Delivery.objects.for_endpoint(tenants["globex"]).values_list("pk", flat=True)
    acme, query = tenant_client("acme"), {"ids": ",".join(map(str, foreign))}

    acme.post(place("start", **query), {**USUAL, "token": str(Token())})

    assert "Nothing to redeliver" in text_of(ask(acme, **query))
    assert not RedeliveryBatch.objects.exists()


def test_the_question_tells_nothing_of_another_tenants_endpoints(tenants):
    Endpoint.objects.filter(tenant="globex").update(name="secret-customer")
    acme = tenant_client("acme")

    by_number = text_of(ask(acme, endpoint=tenants["globex"].pk))
    by_name = text_of(ask(acme, endpoint="secret-customer"))

    for page in (by_number, by_name):
        assert "Dead letters · no endpoint" in page
        assert "secret-customer" not in page


def test_who_sees_one_tenant_sees_no_redelivery_of_another_or_of_all(tenants, root):
    acme, globex = tenant_client("acme"), tenant_client("globex")
    mine, all_of_them = start(acme, {}), start(root, {})

    for client, sees in [(acme, {mine.pk}), (globex, set()), (root, {mine.pk, all_of_them.pk})]:
        listed = client.get(url("redeliverybatch")).context["cl"].result_list
        assert {row.pk for row in listed} == sees
        for batch in (mine, all_of_them):
            page = client.get(url("redeliverybatch", "change", batch.pk))
            assert page.status_code == (200 if batch.pk in sees else 404)
            paused = client.post(button("pause", batch)).status_code
            assert paused == (302 if batch.pk in sees else 404)
    assert "redelivery #" not in text_of(ask(globex)).lower()


def test_the_numbers_of_another_tenants_redelivery_lead_to_nothing(tenants, root, send_due):
    batch = start(root, {})
    run(send_due)

    listed = tenant_client("acme").get(url("delivery"), {"batch": batch.pk}).context["cl"]

    assert {row.endpoint_id for row in listed.result_list} == {tenants["acme"].pk}


# What it costs, and what strangers wrote


def test_pages_cost_the_same_for_few_as_for_many(root, receiver, endpoint, send_due):
    def costs() -> list[int]:
        batch = RedeliveryBatch.objects.earliest("pk")
        found = []
        for where in [
            place("confirm"),
            place("confirm", reason="http_5xx", endpoint=endpoint.name),
            url("redeliverybatch"),
            url("redeliverybatch", "change", batch.pk),
        ]:
            root.get(where)
            with CaptureQueriesContext(connection) as asked:
                assert root.get(where).status_code == 200
            found.append(len(asked))
        return found

    dead_letters(1)
    receiver.replies(404)
    batches.start(selection_of(endpoint=endpoint.pk))
    feed()
    send_due()
    dead_letters(1)
    few = costs()
    receiver.replies(*[404] * 30)
    for number in range(30):
        more = make_endpoint(receiver.url(f"/{number}"), "none", name=endpoint.name)
        batches.start(selection_of(endpoint=more.pk, ids=[number]))
    dead_letters(199)
    batches.start(selection_of())
    feed(3)
    send_due()
    dead_letters(199)

    assert costs() == few
    assert max(few) <= 12


def test_what_strangers_wrote_is_inert(root, receiver):
    name = "<script>alert(1)</script>\u202e"
    hostile = make_endpoint(receiver.url(), name=name)
    dead_letters(2)
    batch = start(root, {"endpoint": hostile.pk}, reason="<script>alert(2)</script>")

    pages = [
        ask(root, endpoint=hostile.pk),
        ask(root, q="<script>alert(3)</script>"),
        root.get(url("redeliverybatch")),
        root.get(url("redeliverybatch", "change", batch.pk)),
    ]

    assert all("<script>alert" not in page.content.decode() for page in pages)
    assert "&lt;script&gt;alert(1)" in pages[2].content.decode()


def test_how_they_fared_may_take_too_long_to_count(root, endpoint, monkeypatch):
    dead_letters(1)
    batch = start(root)

    def slow(batch):
        raise TooSlow

    monkeypatch.setattr(batches, "progress", slow)
    page = text_of(root.get(url("redeliverybatch", "change", batch.pk)))

    assert "Running: 0 of 1 sent. To count how they fared took too long." in page


def test_more_than_can_be_counted_says_so(root, endpoint, monkeypatch):
    dead_letters(5)
    monkeypatch.setattr(batches, "COUNTED", 4)

    page = ask(root)

    assert page.context["title"] == "Redeliver 4+ deliveries"


def test_one_that_makes_what_was_missed_has_a_page_too(root, endpoint):
    batch = RedeliveryBatch.objects.create(
        kind="missed",
        selection={"endpoint": endpoint.pk, "since": "2026-01-01T00:00:00+00:00"},
        cutoff=0,
        expected=3,
        sent=2,
        state=State.PAUSED,
    )

    page = text_of(root.get(url("redeliverybatch", "change", batch.pk)))
    listed = text_of(root.get(url("redeliverybatch")))

    assert "Paused: 2 of 3 made." in page
    assert f"What was never made · endpoint {endpoint.name}" in listed


def test_a_list_without_redeliveries_says_so(root):
    assert "No redeliveries yet." in text_of(root.get(url("redeliverybatch")))
    filtered = root.get(url("redeliverybatch"), {"state__exact": "done"})
    assert "No redeliveries match these filters." in text_of(filtered)


def test_the_list_tells_what_was_chosen_and_how_far_it_is(root, endpoint):
    dead_letters(2)
    batch = start(root, {"reason": "http_5xx", "endpoint": endpoint.pk}, reason="after 4.2")
    RedeliveryBatch.objects.update(sent=1)
    due_again()

    row = text_of(root.get(url("redeliverybatch")))

    assert f"#{batch.pk} running Dead letters · endpoint {endpoint.name} · reason: Receiver" in row
    assert "1 of 2 ada after 4.2" in row
    assert not Transition.objects.exists()
