"""Whatever a receiver says is recorded, once, and can be looked at without harm."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Callable, Iterator
from html.parser import HTMLParser

import pytest
from django.db import connection
from django.urls import reverse
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.conftest import make_endpoint
from tests.hostile.acts import Act, answers
from tests.hostile.misbehaviours import CHUNKED, FORGERY, GZIP, HEADERS, OK, POISON
from tests.hostile.stage import Scene, Stage
from webhook_delivery import publish
from webhook_delivery.admin.text import UNSEEN, readable
from webhook_delivery.models import Attempt
from webhook_delivery.outcomes import Fault
from webhook_delivery.transport import EXCERPT_BYTES, Transport

pytestmark = pytest.mark.django_db(transaction=True)

many = settings(
    max_examples=30 if connection.vendor == "sqlite" else 10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
numbers = itertools.count()


@pytest.fixture
def attempt(send_due) -> Iterator[Callable[[Act], Attempt]]:
    """Send one event to a receiver that does so; returns the only attempt, read again."""
    acts: list[Act] = []
    with Stage({"": Scene(lambda wire: acts[-1](wire))}) as stage:
        url = f"http://127.0.0.1:{stage.ports['']}/"

        def attempt(act: Act) -> Attempt:
            acts.append(act)
            event_type = f"order.number{next(numbers)}"
            make_endpoint(url, event_type, retry_schedule=[])
            event = publish(event_type, {})
            send_due()
            return Attempt.objects.get(delivery__event=event)

        yield attempt


class Answers(HTMLParser):
    """What a browser shows in the boxes for strangers' bytes, if there is nothing but text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        assert not self._inside, f"<{tag}> has got out of the text"
        self._inside = ("class", "webhook-text") in attributes
        self.texts += [""] * self._inside

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[-1] += data


def unseen(page: str) -> Iterator[str]:
    """Characters that show nothing, but may hide or turn around what does."""
    return (c for c in page if unicodedata.category(c) in UNSEEN and c not in "\n\r\t")


def assert_shown_safely(client, attempt: Attempt) -> None:
    url = reverse("admin:webhook_delivery_delivery_change", args=[attempt.delivery_id])
    page = client.get(url).content.decode()
    text = readable(bytes(attempt.excerpt)).text

    assert list(unseen(page)) == []
    assert text in Answers(page).texts or not text


@many
@given(st.binary(max_size=EXCERPT_BYTES + 100))
@example(POISON)
@example(GZIP[: EXCERPT_BYTES * 2])
@example("é".encode() * EXCERPT_BYTES)
@example(b"x" + "💣".encode() * EXCERPT_BYTES)
@example(b"</pre><script>alert(1)</script>" * 100)
@example("\u2066\u202e\u2028\ufeff\x85\x1b[31m".encode())
def test_any_body_is_kept_as_it_came_and_shown_safely(attempt, admin_client, body):
    made = attempt(answers(OK, b"Content-Length: %d\r\n\r\n" % len(body), body))

    assert (made.status, made.fault, made.verdict) == (200, "", "delivered")
    assert bytes(made.excerpt) == body[:EXCERPT_BYTES]
    assert made.delivery.state == "delivered"
    assert_shown_safely(admin_client, made)


status_lines = st.one_of(
    st.sampled_from(
        [OK, b"HTTP/1.1 503 \xff\0\x1b\r\n", b"HTTP/1.0 999 Odd\r\n", b"HTTP/1.1 302\n"]
    ),
    st.integers(-1, 1000).map(lambda status: b"HTTP/1.1 %d Odd\r\n" % status),
)
pieces = st.sampled_from([b"\r\n", b"\r\n\r\n", CHUNKED, b"Content-Length: 3\r\n", b"5\r\n", b": "])
heads = st.lists(st.one_of(pieces, st.binary(max_size=40)), max_size=8).map(b"".join)
whole_answers = st.one_of(st.binary(max_size=400), st.tuples(status_lines, heads).map(b"".join))


@many
@given(whole_answers)
@example(b"")
@example(bytes(100))
@example(FORGERY)
@example(OK + b"Retry-After: \xd9\xa3\r\nSet-Cookie: \0\r\n\r\n" + POISON)
@example(b"HTTP/1.1 429 Slow\r\nRetry-After: " + b"9" * 5000 + b"\r\n\r\n")
@example(b"HTTP/1.1 429 Slow\r\nRetry-After: 5\x1c\r\n\r\n")
@example(b"HTTP/1.1 429 Slow\r\nRetry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n\r\n")
@example(b"HTTP/1.1 \xd9\xa3\xd9\xa3\xd9\xa3 OK\r\n\r\n")
def test_any_answer_is_recorded_once_and_shown_safely(attempt, admin_client, answer):
    made = attempt(answers(answer))

    assert made.delivery.state == ("dead" if made.fault else "delivered")
    assert made.fault in ["", *Fault]
    assert made.status is None or 100 <= made.status <= 999
    assert (not made.fault) == (made.status in range(200, 300))
    assert_shown_safely(admin_client, made)


@pytest.mark.parametrize("headers", HEADERS)
def test_odd_headers_are_recorded_as_what_the_status_line_said(attempt, headers):
    made = attempt(HEADERS[headers].act)

    expected = HEADERS[headers].ends.split()
    assert [str(made.status), made.fault or "delivered"] == expected


def test_an_attempt_that_fails_in_itself_is_recorded_and_not_made_again_at_once(
    send_due, monkeypatch
):
    """Its request may have arrived: who repeats it uncounted, floods its receiver for ever."""
    made: list[str] = []

    def fails(transport: Transport, endpoint: int, url: str, *args: object, **kwargs: object):
        made.append(url)
        raise ArithmeticError("a bug")

    monkeypatch.setattr(Transport, "post", fails)
    make_endpoint("http://127.0.0.1:9/")
    publish("order.created", {})

    send_due()

    assert len(made) == 1
    assert Attempt.objects.get().verdict == "retry"
