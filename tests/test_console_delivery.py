"""The page of one delivery: what it tells of the past and the future, and what its buttons do."""

import json
import re
import subprocess
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db.models import F
from django.test import Client
from django.utils.html import escape

from tests.conftest import SECRET, make_due, make_endpoint
from tests.owing import block
from tests.test_admin import die, say, staff, url
from webhook_delivery import endpoints, lifecycle, publish, verify
from webhook_delivery.admin import hints
from webhook_delivery.admin.deliveries import curl
from webhook_delivery.admin.deliveries.forecast import forecast
from webhook_delivery.clock import Now
from webhook_delivery.models import (
    Attempt,
    ConsoleAction,
    Delivery,
    Doorbell,
    Endpoint,
    Event,
    Lane,
    RedeliveryBatch,
)
from webhook_delivery.outcomes import Policy
from webhook_delivery.testing.receiver import Reply

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.nightly_on_servers]

HOSTILE = "</pre><script>alert(1)</script>\u202egnp\x1b[2J"
SHOWN = escape("</pre><script>alert(1)</script>\\u202egnp\\x1b[2J")
READERS = "view_delivery", "view_event", "view_endpoint"


@pytest.fixture
def root(db) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("ada", password="x"))
    return client


@pytest.fixture
def letter(receiver, endpoint, send_due) -> Delivery:
    return die(receiver, send_due)


def reader(*codenames: str) -> Client:
    client = Client()
    client.force_login(staff("reader", *READERS, *codenames))
    return client


def page_of(client: Client, delivery: Delivery, **query) -> str:
    response = client.get(url("delivery", "change", delivery.pk), query)
    assert response.status_code == 200
    return response.content.decode()


def fail(receiver, send_due, times: int, status: int = 503) -> None:
    """Let what is due fail so often."""
    receiver.replies(*[status] * times)
    for _ in range(times):
        send_due()
        make_due()
        Lane.objects.update(failures=0, openings=0, blocked_until=None)


def waiting(receiver, send_due, schedule=(300, 1800, 7200)) -> Delivery:
    """One that has failed once, and waits."""
    Endpoint.objects.update(retry_schedule=list(schedule))
    return die(receiver, send_due, 503)


def text_of(page: str) -> str:
    """What a person reads, with single blanks."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", page).replace("\xa0", " "))


# Where it stands


def test_the_first_line_says_how_it_ended_after_how_many_attempts(
    root, receiver, endpoint, send_due
):
    Endpoint.objects.update(retry_schedule=[1])
    publish("order.paid")
    fail(receiver, send_due, 2)

    told = text_of(page_of(root, Delivery.objects.get()))

    assert "Tried for" in told
    assert "dead after 2 of 2 attempts · died just now · HTTP 503" in told
    assert "order.paid → receiver" in told


def test_what_was_sent_again_says_how_often_it_was_sent_in_all(root, receiver, letter, send_due):
    lifecycle.redeliver(Delivery.objects.all())
    send_due()

    told = text_of(page_of(root, letter))

    assert "delivered after 1 of 10 attempts · delivered just now · 2 attempts in all" in told


def test_the_webhook_id_can_be_copied(root, letter):
    page = page_of(root, letter)

    assert f'<code id="webhook-id">{letter.event.webhook_id}</code>' in page
    assert re.search(r'<button[^>]* data-webhook-copy="webhook-id"[^>]* hidden>', page)


# What comes next


def test_the_rest_of_the_schedule_is_told(root, receiver, endpoint, send_due):
    delivery = waiting(receiver, send_due, [300, 1800, 7200])

    told = text_of(page_of(root, delivery))

    assert "Attempt 2 of 4; if it fails, then after 30 min, 2 h, then dead letter (about " in told
    assert re.search(r"\(in (4 min \d+ s|5 min)\)", told)


def test_the_last_attempt_says_that_it_is_the_last(root, receiver, endpoint, send_due):
    delivery = waiting(receiver, send_due, [300])

    assert "Attempt 2 of 2; if it fails, it is a dead letter." in text_of(page_of(root, delivery))


def test_what_a_batch_sends_once_has_one_attempt_whatever_the_schedule(root, letter):
    lifecycle.redeliver(Delivery.objects.all(), once=True)

    assert "Attempt 1 of 1; if it fails, it is a dead letter." in text_of(page_of(root, letter))


def test_what_is_late_is_never_due_in_the_past(root, receiver, endpoint, send_due):
    delivery = waiting(receiver, send_due)
    Delivery.objects.update(due_at=Now() - timedelta(seconds=12))

    told = text_of(page_of(root, delivery))

    assert re.search(r"\(due 1[2-9] s ago\)", told)
    assert "in -" not in told


def test_what_nobody_will_try_again_says_so(root, letter):
    assert "None, unless a person redelivers it." in page_of(root, letter)


def test_the_forecast_counts_from_the_next_attempt_and_expects_half_of_the_jitter():
    at = datetime(2026, 11, 21, tzinfo=UTC)
    policy = Policy(schedule=[60, 120, 180], retry_after_cap=0)

    seen = forecast(policy, number=2, begins=at, jitter=0.5)

    assert (seen.number, seen.of, seen.waits, seen.last) == (2, 4, (120, 180), False)
    assert seen.dead_at == at + timedelta(seconds=375)


@pytest.mark.parametrize("number", [1, 4])
def test_a_forecast_outlives_a_schedule_that_was_shortened(number):
    seen = forecast(Policy(schedule=[], retry_after_cap=0), number=number, begins=None)

    assert (seen.number, seen.of, seen.last, seen.dead_at) == (number, number, True, None)


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [(12, "12 ms"), (1234, "1.2 s"), (30_000, "30 s"), (90_000, "1 min 30 s")],
)
def test_how_long_an_attempt_took_is_told_exactly(milliseconds, said):
    assert hints.duration(milliseconds) == said


# What keeps it


def test_what_is_held_says_by_what_and_until_when(root, endpoint):
    endpoints.pause(endpoint.pk, using="default")
    Endpoint.objects.update(state_reason="moving", resume_at=datetime(2030, 1, 2, tzinfo=UTC))
    publish("order.paid")

    told = text_of(page_of(root, Delivery.objects.get()))

    assert f"{endpoint} is paused until 2030-01-02 00:00 UTC: what it is owed is kept" in told
    assert "Why: moving" in told
    assert "Not before its endpoint is switched on." in told


def test_an_open_breaker_says_for_how_long_nothing_is_sent(root, receiver, endpoint, send_due):
    delivery = waiting(receiver, send_due)
    block(endpoint, seconds=90, failures=10)

    told = text_of(page_of(root, delivery))

    assert re.search(rf"{endpoint} is sent nothing for 1 min \d+ s more, after 10 failures", told)


@pytest.mark.parametrize("seconds", [-1, 86_400], ids=["over", "by a wrong clock"])
def test_a_breaker_that_is_closed_says_nothing(root, receiver, endpoint, send_due, seconds):
    delivery = waiting(receiver, send_due)
    block(endpoint, seconds=seconds, failures=10)

    assert "is sent nothing" not in page_of(root, delivery)


def test_that_no_worker_runs_is_said_of_what_waits_only(root, receiver, endpoint, letter, send_due):
    delivery = waiting(receiver, send_due)
    Doorbell.objects.update(drained_at=Now() - timedelta(minutes=10))

    told = text_of(page_of(root, delivery))
    assert re.search(r"No worker has reported for 10 min( \d s)?, so nothing is being sent\.", told)
    assert "No worker" not in page_of(root, letter)


def test_who_waits_in_a_sequence_says_for_whom(root, receiver, endpoint, send_due):
    receiver.replies(503)
    for _ in range(2):
        publish("order.paid", key="a")
    send_due()
    first, second = Delivery.objects.order_by("pk")

    told = page_of(root, second)

    assert f'<a href="{url("delivery", "change", first.pk)}">delivery {first.pk}</a>' in told


# What happened


def entries(page: str) -> list[str]:
    """Each entry of the timeline, in short."""
    told = page.partition('<ol class="webhook-timeline">')[2].partition("</ol>")[0]
    return [re.search(r"<strong>(.*?)</strong>", entry)[1] for entry in told.split("<li ")[1:]]


def test_attempts_and_moves_stand_together_the_newest_first(root, receiver, letter, send_due):
    for verb in (lifecycle.discard, lifecycle.restore, lifecycle.redeliver):
        verb(Delivery.objects.all())
    send_due()

    assert entries(page_of(root, letter)) == ["2", "redelivered", "restored", "discarded", "1"]


def test_a_move_names_the_redelivery_of_many_that_it_was_a_part_of(root, letter):
    batch = RedeliveryBatch.objects.create(
        selection={}, cutoff=1, expected=1, by_name="m.jones", reason="after deploy"
    )
    lifecycle.redeliver(Delivery.objects.all(), batch=batch.pk)

    told = text_of(page_of(root, letter))

    assert f"redelivered · by m.jones · redelivery {batch.pk} · after deploy" in told
    assert f"Sent again by redelivery {batch.pk}" in told


def test_a_move_names_who_made_it_and_why(root, letter):
    other = ConsoleAction.objects.create(
        verb="redeliver", by_name="bob", count=1, deliveries=[letter.pk + 1]
    )
    say(root, url("delivery", "redeliver", letter.pk), {"reason": "it is up again"})

    told = text_of(page_of(root, letter))

    assert "redelivered · by ada · it is up again" in told
    assert other.by_name not in told


def test_only_the_newest_attempt_is_open(root, receiver, endpoint, send_due):
    publish("order.paid")
    fail(receiver, send_due, 3)

    page = page_of(root, Delivery.objects.get())

    timeline = page.partition('<ol class="webhook-timeline">')[2].partition("</ol>")[0]
    assert re.findall(r"<details( open)?>", timeline) == [" open", "", ""]


def test_an_attempt_shows_the_headers_that_were_sent_without_what_is_secret(
    root, receiver, endpoint, send_due
):
    endpoint.set_headers({"Authorization": "Bearer s3cret", "X-Shop": "visible to nobody"})
    letter = die(receiver, send_due)

    page = page_of(root, letter)

    got = receiver.received[0].headers
    for name in ["webhook-id", "webhook-attempt", "content-type", "user-agent", "accept-encoding"]:
        assert f"{name}: {escape(got[name])}\n" in page
    assert "webhook-signature: ••••••••" in page
    assert "Authorization: ••••••••" in page
    assert "X-Shop: ••••••••" in page
    for secret in ["s3cret", "visible to nobody", got["webhook-signature"].split(",")[1], SECRET]:
        assert secret not in page


def test_each_header_that_was_sent_is_shown(root, receiver, letter):
    got = {name.lower() for name in receiver.received[0].headers}

    told = page_of(root, letter).partition("Request headers")[2].partition("</pre>")[0]

    shown = {line.partition(":")[0].lower() for line in told.splitlines() if ": " in line}
    framing = {"host", "content-length", "connection", "accept"}
    assert {name.rpartition(">")[2] for name in shown} == got - framing


def test_the_trace_that_a_receiver_was_told_is_shown(root, letter, settings):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    Event.objects.update(traceparent=f"00-{trace}-00f067aa0ba902b7-01")
    assert trace not in page_of(root, letter)

    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "PROPAGATE_TRACE": True}
    assert f"traceparent: 00-{trace}-••••••••-01" in page_of(root, letter)

    Event.objects.update(traceparent="")
    assert "traceparent" not in page_of(root, letter)


def test_secrets_that_cannot_be_opened_hide_no_page(root, letter, settings):
    letter.endpoint.set_headers({"X-Shop": "7"})
    settings.WEBHOOK_DELIVERY = {
        **settings.WEBHOOK_DELIVERY,
        "SECRET_KEYS": [Fernet.generate_key().decode()],
    }

    assert "webhook-signature" in page_of(root, letter)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "rejected the credentials"),
        (404, "knows no such address"),
        (413, "no body of this size"),
        (503, "redeliver once it has recovered"),
        (302, "Redirects are not followed"),
        (410, "gone for good"),
    ],
)
def test_an_attempt_says_in_one_sentence_what_its_answer_means(
    root, receiver, endpoint, send_due, status, said
):
    letter = die(receiver, send_due, status)

    assert said in page_of(root, letter)


def many(delivery: Delivery, count: int) -> None:
    """As if so many attempts had been made."""
    Attempt.objects.bulk_create(
        Attempt(
            delivery=delivery,
            number=number,
            trigger="schedule",
            started_at=delivery.created_at + timedelta(minutes=number),
            duration_ms=10 * number,
            status=503,
            fault="http_5xx",
            verdict="retry",
        )
        for number in range(delivery.attempts_made + 1, count + 1)
    )
    Delivery.objects.filter(pk=delivery.pk).update(attempts_made=count)


def test_fifty_attempts_are_shown_and_the_older_ones_if_asked_for(root, letter):
    many(letter, 120)
    Delivery.objects.update(state="dead")
    lifecycle.discard(Delivery.objects.all())

    newest, middle, oldest = (
        page_of(root, letter, **query) for query in ({}, {"older": 71}, {"older": 21})
    )

    assert entries(newest) == ["discarded", *map(str, range(120, 70, -1))]
    assert entries(middle) == list(map(str, range(70, 20, -1)))
    assert entries(oldest) == list(map(str, range(20, 0, -1)))
    assert "?older=71" in newest
    assert "Show older" not in oldest
    assert "Show the newest" in oldest


def test_the_filters_of_the_list_survive_a_look_at_what_is_older(root, letter):
    many(letter, 120)
    filters = "_changelist_filters=state%3Ddead"

    page = root.get(f"{url('delivery', 'change', letter.pk)}?{filters}").content.decode()
    link = re.search(r'<a href="([^"]*older[^"]*)"', page)[1].replace("&amp;", "&")

    assert filters in link
    assert entries(root.get(link).content.decode())[0] == "70"
    assert filters in root.get(link).content.decode()


@pytest.mark.parametrize("asked", ["x", "-1", "9" * 30, "٣", ""])
def test_a_number_that_is_none_shows_the_newest(root, letter, asked):
    assert entries(page_of(root, letter, older=asked)) == ["1"]


def test_the_picture_of_durations_has_a_bar_for_each_attempt_and_says_so_in_words(root, letter):
    many(letter, 3)

    page = page_of(root, letter)
    picture = page.partition('<svg class="webhook-durations"')[2].partition("</svg>")[0]

    assert picture.count("<rect") == 3
    assert "How long each attempt took</title>" in picture
    assert "3: 30 ms, Receiver failed (5xx);" in picture
    assert "style=" not in picture
    assert all(int(y) + int(h) == 60 for y, h in re.findall(r'y="(\d+)".*?height="(\d+)"', picture))


def test_one_attempt_has_no_picture(root, letter):
    assert "webhook-durations" not in page_of(root, letter)


# What it costs


@pytest.mark.parametrize("attempts", [1, 50])
def test_the_page_costs_as_much_for_fifty_attempts_as_for_one(
    root, receiver, endpoint, letter, django_assert_num_queries, attempts
):
    for number in range(5):
        make_endpoint(receiver.url(f"/{number}"))
    many(letter, attempts)
    page_of(root, letter)  # reads the content type, once in a process

    # The session, the user, the delivery, what is around it, attempts, moves, and siblings.
    with django_assert_num_queries(7):
        page_of(root, letter)


def test_who_may_not_see_the_body_does_not_read_it(letter, django_assert_max_num_queries):
    client = reader()
    page_of(client, letter)

    with django_assert_max_num_queries(10) as queries:
        page_of(client, letter)

    assert not any('body"' in q["sql"] or "`body`" in q["sql"] for q in queries.captured_queries)
    assert not any("excerpt" in query["sql"] for query in queries.captured_queries)


# The body


def test_the_body_is_shown_with_its_size_and_digest(root, receiver, endpoint, letter):
    body = receiver.received[0].body

    page = page_of(root, letter)

    assert escape(json.dumps(json.loads(body), indent=2)) in page
    assert f"{len(body)} bytes" in page
    assert sha256(body).hexdigest() in page


def test_a_long_body_is_folded_a_short_one_is_not(root, receiver, endpoint, send_due):
    short = publish("order.paid").deliveries.get()
    long = publish("order.paid", list(range(100))).deliveries.get()

    folded = [
        re.search(r'<details class="webhook-folded"( open)?>\s*<summary>\d+ lines', page)[1]
        for page in (page_of(root, short), page_of(root, long))
    ]

    assert folded == [" open", None]


def test_who_may_not_see_payloads_is_told_so_and_sees_none(receiver, endpoint, send_due):
    receiver.replies(Reply(404, body=b"the answer"))
    letter = publish("order.paid", {"word": "confidential"}).deliveries.get()
    send_due()

    page = page_of(reader(), letter)

    assert "Hidden. You need the permission “Can see bodies, headers and answers”." in page
    for hidden in ["confidential", "the answer", "webhook-signature", "curl --request"]:
        assert hidden not in page


@pytest.mark.parametrize("model", ["delivery", "event"])
@pytest.mark.parametrize("name", ["payload", "payload_text"])
def test_bodies_are_given_only_to_who_may_see_them(letter, model, name):
    where = url(model, name, letter.pk if model == "delivery" else letter.event_id)

    answers = [reader().get(where).status_code, Client().get(where).status_code]

    assert answers == [403, 302]


@pytest.mark.parametrize("model", ["delivery", "event"])
def test_a_body_is_given_as_it_is_and_no_browser_makes_anything_of_it(root, endpoint, model):
    html = b"<script>alert(1)</script>\x00\xff"
    event = publish("order.paid", html, content_type="text/html")
    row = event.pk if model == "event" else event.deliveries.get().pk

    saved, looked_at = (root.get(url(model, name, row)) for name in ("payload", "payload_text"))

    assert saved.content == looked_at.content == html
    assert saved["Content-Type"] == "application/octet-stream"
    assert saved["Content-Disposition"] == f'attachment; filename="{event.webhook_id}.bin"'
    assert looked_at["Content-Type"] == "text/plain; charset=utf-8"
    for response in (saved, looked_at):
        assert response["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["Referrer-Policy"] == "no-referrer"
        assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize("written", Endpoint.Format.values)
def test_what_is_given_is_what_was_sent_in_that_format(root, receiver, endpoint, send_due, written):
    Endpoint.objects.update(format=written)
    delivery = publish("order.paid", {"number": 7}, source="shop.order:7").deliveries.get()
    send_due()
    got = receiver.received[0]

    given = root.get(url("delivery", "payload", delivery.pk)).content
    page = page_of(root, delivery)

    assert given == got.body
    sent = {name: value for name, value in got.headers.items() if name.startswith("ce-")}
    assert all(escape(f"{name}: {value}") in page for name, value in sent.items())
    assert (written == "binary") == bool(sent)


# By hand


def run(script: str, folder: Path, **environment: str) -> tuple[list[str], bytes]:
    """Let a shell do it, with a curl that only writes down what it was told."""
    fake = folder / "curl"
    fake.write_text(
        '#!/bin/sh\nfor each; do printf "%s\\0" "$each"; done >"$OUT/arguments"\ncat >"$OUT/body"\n'
    )
    fake.chmod(0o755)
    own = {"PATH": f"{folder}:/usr/bin:/bin", "OUT": str(folder), "LC_ALL": "C.UTF-8"}
    for shell in SHELLS:
        subprocess.run([*shell, "-n"], input=script.encode(), check=True, env=own, cwd=folder)
        done = subprocess.run(
            shell,
            input=script.encode(),
            check=True,
            env={**own, **environment},
            cwd=folder,
            capture_output=True,
        )
        assert (done.stdout, done.stderr) == (b"", b"")
    arguments = (folder / "arguments").read_bytes().decode().split("\0")[:-1]
    return arguments, (folder / "body").read_bytes()


SHELLS = [["sh"], ["bash"]]
INJECTIONS = [
    b"'; touch pwned; '",
    b"$(touch pwned)`touch pwned`",
    b"\\'; touch pwned #",
    b"EOF\ntouch pwned\nEOF\n",
    b"%s%n%d%%\\n\\c\\x41\\045",
    b"-n -e --",
    b"\x00\x01\x1b[201~\n touch pwned\r\n\xff\xfe",
    "Grüße, ☃ \u202e".encode(),
    b"!! !touch &&|| > < ; ~ *",
    b"",
    bytes(range(256)) * 4,
]


@pytest.mark.parametrize("body", INJECTIONS)
def test_no_body_escapes_from_the_script(tmp_path, body):
    arguments, sent = run(script(body=body), tmp_path, WEBHOOK_SECRET=SECRET)

    assert sent == body
    assert sorted(path.name for path in tmp_path.iterdir()) == ["arguments", "body", "curl"]
    assert arguments[-1] == "https://receiver.example/hook"


@pytest.mark.parametrize("text", [each.decode("latin-1") for each in INJECTIONS])
def test_no_url_and_no_header_escapes_from_the_script(tmp_path, text):
    hostile = script(url=f"https://x.example/{text}", headers={"x-own": text}, file=text)

    arguments, _ = run(hostile, tmp_path, WEBHOOK_SECRET=SECRET)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["arguments", "body", "curl"]
    assert len(arguments) == 15
    assert hostile.isascii()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", hostile)


def script(**changes) -> str:
    told = {
        "url": "https://receiver.example/hook",
        "webhook_id": "evt_1",
        "headers": {"content-type": "application/json"},
        "body": b"{}",
        "file": "evt_1.json",
        "prefix": "webhook-",
    }
    return curl.script(**{**told, **changes})


def test_the_script_sends_what_a_receiver_accepts(root, receiver, endpoint, send_due, tmp_path):
    publish("order.paid", {"note": "it's 100 % \\ Grüße"})
    send_due()
    delivery = Delivery.objects.get()
    shown = root.get(url("delivery", "change", delivery.pk)).context["curl"]

    arguments, body = run(shown, tmp_path, WEBHOOK_SECRET=SECRET)

    headers = dict(each.split(": ", 1) for each in arguments if ": " in each)
    assert body == receiver.received[0].body
    verify(body, headers, SECRET)  # else it raises
    assert SECRET not in shown
    assert "${WEBHOOK_SECRET#whsec_}" in shown
    assert arguments[-1] == endpoint.url


def test_what_has_to_be_put_into_the_script_stands_in_it_as_its_note_says(root, endpoint):
    endpoint.set_headers({"Authorization": "Bearer s3cret"})
    delivery = publish("order.paid", {}).deliveries.get()

    shown = root.get(url("delivery", "change", delivery.pk)).context["curl"]

    mask = re.search("own values in the place of (.+)[.]", shown)[1]
    assert f"--header 'Authorization: {mask}'" in shown


def test_a_large_body_is_read_from_the_file_that_can_be_downloaded(
    root, receiver, endpoint, send_due, tmp_path
):
    delivery = publish("order.paid", "x" * curl.LARGEST).deliveries.get()
    shown = root.get(url("delivery", "change", delivery.pk)).context["curl"]
    download = root.get(url("delivery", "payload", delivery.pk))
    name = re.search('"(.*)"', download["Content-Disposition"])[1]
    (tmp_path / name).write_bytes(download.content)

    arguments, body = run(shown, tmp_path, WEBHOOK_SECRET=SECRET)

    assert len(shown) < 3000
    assert f"# Download the body to {name} first." in shown
    assert body == download.content
    verify(body, dict(a.split(": ", 1) for a in arguments if ": " in a), SECRET)


def test_who_may_not_see_urls_gets_a_script_without_one(letter, tmp_path):
    shown = reader("view_payload").get(url("delivery", "change", letter.pk)).context["curl"]

    arguments, _ = run(shown, tmp_path, WEBHOOK_SECRET=SECRET, WEBHOOK_URL="https://x.example/")

    assert letter.endpoint.url not in shown
    assert arguments[-1] == "https://x.example/"


# What is around it


def test_the_same_event_to_others_is_linked_with_what_became_of_it(root, receiver, send_due):
    ours, theirs = make_endpoint(receiver.url("/a")), make_endpoint(receiver.url("/b"))
    receiver.replies(404, path="/b")
    event = publish("order.paid")
    send_due()
    own = event.deliveries.get(endpoint=ours)

    page = page_of(root, own)

    related = page.partition("<h2>Related</h2>")[2]
    other = event.deliveries.get(endpoint=theirs)
    assert url("delivery", "change", other.pk) in related
    assert text_of(related).startswith(" The same event to other endpoints: b dead")
    assert f'href="{url("delivery", "change", own.pk)}"' not in related


def test_of_many_others_twenty_are_shown(root, receiver):
    for number in range(25):
        make_endpoint(receiver.url(f"/{number}"))
    own = publish("order.paid").deliveries.order_by("pk").first()

    page = page_of(root, own)

    assert page.partition("<h2>Related</h2>")[2].count("<li>") == 20
    assert f"{url('delivery')}?q={own.event.webhook_id}" in page


def test_dead_letters_lead_to_those_before_and_after_that_failed_alike(
    root, receiver, endpoint, send_due
):
    letters = [die(receiver, send_due, status) for status in (404, 404, 500 - 99, 404)]
    Delivery.objects.update(ended_at=Now())  # all at one moment
    alike = [letters[0], letters[1], letters[3]]

    links = [
        re.findall(r'href="[^"]*/(\d+)/change/" rel="(\w+)"', page_of(root, each)) for each in alike
    ]

    first, second, third = (str(each.pk) for each in alike)
    assert links == [
        [(second, "next")],
        [(first, "prev"), (third, "next")],
        [(second, "prev")],
    ]
    assert "rel=" not in page_of(root, letters[2]).partition("<h2>Related</h2>")[2]


# Buttons

STATES = {
    "pending": ["Retry now"],
    "delivered": ["Redeliver"],
    "dead": ["Redeliver", "Discard"],
    "discarded": ["Restore"],
    "held": [],
    "sending": [],
}


def offered(page: str) -> list[str]:
    return re.findall(r'<button type="submit" class="button" formaction="[^"]*">([^<]*)', page)


@pytest.mark.parametrize("state", STATES)
def test_only_what_makes_sense_in_its_state_is_offered(root, receiver, endpoint, send_due, state):
    delivery = waiting(receiver, send_due)
    due = None if state in ("held", *Delivery.TERMINAL) else F("due_at")
    Delivery.objects.update(state=state, due_at=due)

    assert offered(page_of(root, delivery)) == STATES[state]


def test_only_what_the_user_may_is_offered(letter):
    assert offered(page_of(reader(), letter)) == []
    User.objects.all().delete()
    assert offered(page_of(reader("redeliver_delivery"), letter)) == ["Redeliver"]
    User.objects.all().delete()
    assert offered(page_of(reader("discard_delivery"), letter)) == ["Discard"]


ACTS = {
    "redeliver": ("dead", "pending", "redeliver"),
    "discard": ("dead", "discarded", "discard"),
    "restore": ("discarded", "dead", "restore"),
    "retry_now": ("pending", "pending", "retry_now"),
}
RIGHTS = {
    "redeliver": "redeliver_delivery",
    "retry_now": "redeliver_delivery",
    "discard": "discard_delivery",
    "restore": "discard_delivery",
}


def in_state(state: str, receiver, send_due) -> Delivery:
    delivery = waiting(receiver, send_due)
    if state != "pending":
        Delivery.objects.update(state=state, due_at=None, ended_at=Now())
    return delivery


@pytest.mark.parametrize("name", ACTS)
def test_each_button_acts_once_and_keeps_who_and_why(root, receiver, endpoint, send_due, name):
    before, after, verb = ACTS[name]
    delivery = in_state(before, receiver, send_due)

    first = say(root, url("delivery", name, delivery.pk), {"reason": "because", "seen": before})
    second = say(root, url("delivery", name, delivery.pk), {"reason": "because"})

    delivery.refresh_from_db()
    kept = ConsoleAction.objects.get()
    assert (delivery.state, kept.verb, kept.by_name, kept.reason) == (after, verb, "ada", "because")
    assert kept.deliveries == [delivery.pk]
    assert LogEntry.objects.get().object_id == str(delivery.pk)
    assert not first[0].startswith("Nothing")
    assert second[0].startswith("Nothing")


def test_what_is_brought_forward_is_sent_at_once_and_spends_no_attempt_more(
    root, receiver, endpoint, send_due
):
    delivery = waiting(receiver, send_due)

    said = say(root, url("delivery", "retry_now", delivery.pk))
    send_due()

    delivery.refresh_from_db()
    assert said == ["The next attempt of 1 delivery is due now."]
    assert (delivery.state, delivery.attempts_in_run) == ("delivered", 2)
    assert entries(page_of(root, delivery)) == ["2", "brought forward", "1"]


@pytest.mark.parametrize("name", ACTS)
def test_each_button_is_a_post_with_a_token_from_who_may(receiver, endpoint, send_due, name):
    delivery = in_state(ACTS[name][0], receiver, send_due)
    where = url("delivery", name, delivery.pk)
    may, strict = reader(RIGHTS[name]), Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.create_superuser("root", password="x"))
    User.objects.filter(username="reader").update(username="able")

    answers = [may.get(where), strict.post(where), reader().post(where), Client().post(where)]

    delivery.refresh_from_db()
    assert [answer.status_code for answer in answers] == [405, 403, 403, 302]
    assert (delivery.state, ConsoleAction.objects.count()) == (ACTS[name][0], 0)


@pytest.mark.parametrize("name", ACTS)
def test_a_page_that_is_out_of_date_changes_nothing(root, receiver, endpoint, send_due, name):
    delivery = in_state("delivered", receiver, send_due)

    said = say(root, url("delivery", name, delivery.pk), {"seen": ACTS[name][0]})

    delivery.refresh_from_db()
    assert said == ["This delivery changed while you were looking (now DELIVERED)."]
    assert (delivery.state, ConsoleAction.objects.count()) == ("delivered", 0)


def test_the_page_carries_the_state_that_it_showed(root, letter):
    assert '<input type="hidden" name="seen" value="dead">' in page_of(root, letter)


def test_nobody_reaches_another_tenants_delivery(settings, receiver, endpoint, send_due):
    settings.WEBHOOK_DELIVERY = {
        **settings.WEBHOOK_DELIVERY,
        "CONSOLE_TENANTS": "tests.test_console_delivery.only_acme",
    }
    letter = die(receiver, send_due)
    client = reader("redeliver_delivery", "discard_delivery", "view_payload")

    answers = [client.get(url("delivery", name, letter.pk)) for name in ("payload", "payload_text")]
    answers += [client.post(url("delivery", name, letter.pk)) for name in ACTS]

    assert {answer.status_code for answer in answers} == {404}


def only_acme(user) -> list[str]:
    return ["acme"]


# Strangers


@pytest.mark.parametrize(
    "body",
    [
        HOSTILE.encode(),
        b"\x00" * 5000,
        b"\xff\xfe" * 5000,
        b"<!--" + b"x" * 200_000,
        json.dumps({HOSTILE: [HOSTILE]}).encode(),
    ],
)
def test_whatever_strangers_wrote_is_inert(root, receiver, send_due, body):
    endpoint = make_endpoint(receiver.url("/own"), name="own")
    receiver.replies(Reply(404, body=body * 50, headers={"x": "y" * 4000}), path="/own")
    event = publish("order.paid", body)
    send_due()
    Endpoint.objects.update(name=HOSTILE, state_reason=HOSTILE, state="paused")
    Event.objects.update(event_type=HOSTILE, content_type="text/html<script>")
    Attempt.objects.update(detail=HOSTILE, fault=HOSTILE[:20])
    batch = RedeliveryBatch.objects.create(
        selection={}, cutoff=1, expected=1, by_name=HOSTILE, reason=HOSTILE
    )
    delivery = event.deliveries.get(endpoint=endpoint)
    delivery.transitions.create(after=1, verb="redeliver", at=Now(), batch=batch)

    page = page_of(root, delivery)

    assert SHOWN in page
    assert "<script>alert" not in page
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", page.replace("\t", ""))
    assert len(page) < 400_000


def test_an_endpoint_with_thousands_of_headers_has_a_page(root, receiver, send_due, letter):
    from webhook_delivery import keys

    sealed = keys.seal(json.dumps({f"X-{n}": "y" for n in range(5000)}), owner=letter.endpoint_id)
    Endpoint.objects.update(sealed_headers=sealed)

    assert "X-4999: ••••••••" in page_of(root, letter)
