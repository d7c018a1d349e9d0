"""A copy of deliveries and their logs: written, read, and used to restore what was lost."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.forms.models import model_to_dict
from hypothesis import given
from hypothesis import strategies as st

from tests.planting import PASTS, write
from webhook_delivery import archive, lifecycle, verification
from webhook_delivery.archive import Unreadable, read_line
from webhook_delivery.judging import Discrepancy
from webhook_delivery.models import Attempt, Delivery, Endpoint, Event, Transition
from webhook_delivery.outcomes import Fault
from webhook_delivery.restoring import Restoration

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(verification, "PAUSE_SECONDS", 0.01)


def exported() -> list[dict[str, Any]]:
    return [json.loads(line) for line in archive.export(Delivery.objects.all())]


def restore(*lines: object, repair: bool = False) -> tuple[list[Discrepancy], dict[str, int]]:
    texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    restoration = Restoration(using="default", repair=repair)
    found = list(restoration.compare(io.BytesIO(b"\n".join(texts))))
    return found, dict(restoration.states)


def differences() -> list[Discrepancy]:
    return list(verification.verify(using="default"))


def rows() -> list[dict[str, Any]]:
    everything = [Delivery.objects.order_by("pk"), Attempt.objects.order_by("delivery", "number")]
    moves = [
        {**model_to_dict(each), "id": 0} for each in Transition.objects.order_by("delivery", "pk")
    ]
    return [{**model_to_dict(each), "id": 0} for rows in everything for each in rows] + moves


# ── there and back


def test_a_line_tells_all_that_the_log_knows():
    write("delivered again")
    Attempt.objects.filter(number=3).update(excerpt=b"\x00\xffhello", detail="it said “no”")

    [line] = exported()

    assert line["version"] == 1
    event = Event.objects.get()
    assert line["delivery"] == {
        "id": 1,
        "webhook_id": event.webhook_id,
        "event_type": "order.created",
        "key": "",
        "endpoint": Endpoint.objects.get().pk,
        "endpoint_state": "on",
        "state": "delivered",
        "due_at": None,
        "sequence": None,
        "trigger": "redelivery",
        "attempts_made": 3,
        "attempts_forgiven": 1,
        "last_status": 200,
        "reason": "",
        "created_at": "2026-11-01T00:00:00.000000+00:00",
        "ended_at": "2026-11-01T00:04:00.007000+00:00",
    }
    assert [attempt["verdict"] for attempt in line["attempts"]] == ["dead", "retry", "delivered"]
    assert line["attempts"][2]["excerpt"] == "AP9oZWxsbw=="
    assert line["transitions"] == [
        {"after": 1, "verb": "redeliver", "at": "2026-11-01T00:02:00.000000+00:00"}
    ]


def test_a_copy_of_what_is_there_is_found_to_agree():
    write(*PASTS)

    found, states = restore(*exported())

    assert found == []
    assert states == {
        "pending": 5,  # among them a claim, what was redelivered, and what was deferred
        "held": 1,
        "delivered": 2,
        "dead": 1,
        "discarded": 1,
    }


def test_a_log_that_was_lost_is_restored_from_a_copy():
    write(*PASTS)
    Attempt.objects.update(excerpt=b"kept")
    copy, before = exported(), rows()
    Attempt.objects.all().delete()
    Transition.objects.all().delete()

    _, states = restore(*copy)
    found, _ = restore(*copy, repair=True)

    assert sum(states.values()) == len(copy)
    assert {each.mended for each in found if each.delivery != 4} == {True}
    sending = [each.mended for each in found if each.delivery == 4]
    assert sending == [False], "its lease has not ended, and its worker is about to add to its log"
    Delivery.objects.sending().update(due_at="2026-11-01T00:00Z")
    restore(*copy, repair=True)
    assert [each for each in before if each not in rows() and each.get("state") != "sending"] == []
    assert differences() == []
    assert restore(*copy)[0] == []


# ── an older backup was put back


@pytest.fixture
def older(db) -> Callable[[], list[dict[str, Any]]]:
    """Copies what there is, then puts the database back to before anything was attempted."""

    def put_back() -> list[dict[str, Any]]:
        copy = exported()
        Attempt.objects.all().delete()
        Transition.objects.all().delete()
        Delivery.objects.update(
            state="pending",
            due_at="2026-11-01T00:00Z",
            claim=None,
            trigger="schedule",
            attempts_made=0,
            attempts_forgiven=0,
            last_status=None,
            reason="",
            ended_at=None,
        )
        assert differences() == []
        return copy

    return put_back


def test_what_had_been_delivered_is_not_sent_again(older):
    write("delivered", "delivered again", "waiting", "dead", "discarded", "redelivered")
    before = rows()
    copy = older()
    assert len(Delivery.objects.due()) == 6

    found, _ = restore(*copy)
    assert {each.mended for each in found} == {False}
    assert Attempt.objects.count() == 0
    restore(*copy, repair=True)

    assert rows() == before
    assert differences() == []
    assert {claim.delivery_id for claim in lifecycle.claim(10, using="default")} == {3, 6}


def test_what_is_pending_by_the_copy_is_held_if_its_endpoint_is_not_on_here(older):
    write("waiting")
    copy = older()
    Endpoint.objects.update(state="off")
    Delivery.objects.update(state="held", due_at=None)

    restore(*copy, repair=True)

    assert Delivery.objects.get().state == "held"
    assert differences() == []


def test_a_claim_whose_outcome_the_copy_knows_is_ended(older):
    write("delivered")
    copy = older()
    lifecycle.claim(1, using="default")
    [found], _ = restore(copy[0] | {"attempts": copy[0]["attempts"][:1]}, repair=True)
    assert not found.mended

    Delivery.objects.update(due_at="2026-11-01T00:00Z")
    restore(copy[0] | {"attempts": copy[0]["attempts"][:1]}, repair=True)

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.claim, delivery.attempts_made) == ("pending", None, 1)
    assert differences() == []


def test_an_older_copy_has_nothing_to_say_about_what_came_later():
    write("redelivered", "discarded")
    copy = exported()
    [claim] = lifecycle.claim(1, using="default")
    lifecycle.restore(Delivery.objects.all())

    assert restore(*copy)[0] == []
    assert claim.delivery_id == 1


def test_what_went_another_way_since_is_reported_and_left_as_it_is(older):
    write("delivered", "discarded")
    copy = older()
    restore(*copy, repair=True)
    Attempt.objects.filter(delivery=1, number=1).update(status=418)
    Attempt.objects.filter(delivery=1, number=2).delete()
    Transition.objects.update(verb="redeliver")
    before = rows()

    found, _ = restore(*copy, repair=True)

    assert [(each.delivery, each.what) for each in found] == [
        (1, "attempt 1"),
        (2, "what follows attempt 1"),
    ]
    assert not any(each.mended for each in found)
    assert found[0].found == "418 → retry at 2026-11-01T00:01:00.000000+00:00"
    assert found[0].expected == "503 → retry at 2026-11-01T00:01:00.000000+00:00"
    assert rows() == before


def test_what_stands_in_for_a_lost_record_does_not_contradict_it():
    write("delivered")
    copy = exported()
    Attempt.objects.filter(number=2).delete()
    list(verification.verify(using="default", repair=True))
    assert Attempt.objects.get(number=2).fault == Fault.UNRECORDED

    assert restore(*copy)[0] == []
    Attempt.objects.filter(number=2).update(verdict="dead")
    assert [each.what for each in restore(*copy)[0]] == ["attempt 2"]


def test_a_delivery_that_is_not_there_is_missing():
    write("delivered", "dead")
    copy = exported()
    Delivery.objects.filter(pk=2).delete()

    [found], _ = restore(*copy, repair=True)

    assert (found.delivery, found.what, found.found, found.mended) == (
        2,
        "delivery",
        "nothing",
        False,
    )


def test_a_number_that_was_given_again_is_not_taken_for_the_same_delivery(older):
    write("delivered")
    copy = older()
    Delivery.objects.update(event=Event.objects.create(event_type="another", body=b"{}"))

    [found], _ = restore(*copy, repair=True)

    assert (found.what, found.mended) == ("delivery", False)
    assert found.expected.startswith(f"event {Event.objects.earliest('created_at').pk}")
    assert Attempt.objects.count() == 0


def test_a_delivery_deleted_meanwhile_is_missing(older, monkeypatch):
    write("delivered")
    copy = older()
    monkeypatch.setattr("webhook_delivery.logbook.read_locked", lambda *_, **__: None)

    assert [each.found for each in restore(*copy)[0]] == ["nothing"]


def test_a_log_that_cannot_be_is_not_added(older):
    write("waiting")
    [line] = older()
    line["attempts"][0]["number"] = 900

    [found], _ = restore(line, repair=True)

    assert (found.what, found.mended) == ("attempt 900", False)
    assert Attempt.objects.count() == 0


# ── files that are not what they should be

LINE = {
    "version": 1,
    "delivery": {
        "id": 1,
        "webhook_id": f"evt_{'0' * 31}1",
        "endpoint": 1,
        "endpoint_state": "on",
        "trigger": "schedule",
        "created_at": "2026-11-01T00:00:00.000000+00:00",
    },
    "attempts": [
        {
            "number": 1,
            "trigger": "schedule",
            "started_at": "2026-11-01T00:00:00.000000+00:00",
            "verdict": "delivered",
            "duration_ms": None,
            "status": 200,
            "fault": "",
            "detail": "",
            "next_due_at": None,
            "excerpt": "",
        }
    ],
    "transitions": [{"after": 1, "verb": "redeliver", "at": "2026-11-01T00:00:00Z"}],
}


def spoilt(part: str, **fields: object) -> bytes:
    """The line, with fields of one part changed."""
    line = json.loads(json.dumps(LINE))
    values = line if part == "line" else line[part] if part == "delivery" else line[part][0]
    values.update(fields)
    return json.dumps(line).encode()


SPOILT = [
    (b"", "no JSON"),
    (b"{", "no JSON"),
    (b"\xff\xfe", "no JSON"),
    (b"[" * 100_000, "no JSON"),
    (b'{"version": ' + b"9" * 5000 + b"}", "no JSON"),
    (b"[]", "the line is no object"),
    (b"{}", "the line has no version"),
    (spoilt("line", version=2), "version 2 is not 1"),
    (spoilt("line", version=True), "wrong version: True"),
    (spoilt("line", delivery=None), "delivery is no object"),
    (spoilt("line", attempts={}), "wrong attempts"),
    (spoilt("line", attempts=[7]), "attempts is no object"),
    (spoilt("line", attempts=LINE["attempts"] * 2), "two attempts have the same number"),
    (spoilt("delivery", id="1"), "wrong id: '1'"),
    (spoilt("delivery", id=2**63), "wrong id"),
    (spoilt("delivery", webhook_id="evt_?"), "wrong webhook_id"),
    (spoilt("delivery", trigger="x" * 11), "wrong trigger"),
    (spoilt("delivery", created_at="yesterday"), "wrong created_at"),
    (spoilt("delivery", created_at="2026-11-01T00:00:00"), "wrong created_at"),
    (spoilt("delivery", created_at="9999-12-31T23:59:59-12:00"), "wrong created_at"),
    (spoilt("attempts", number=-1), "wrong number: -1"),
    (spoilt("attempts", number=1.0), "wrong number: 1.0"),
    (spoilt("attempts", number=2**31), "wrong number"),
    (spoilt("attempts", status=99999), "wrong status"),
    (spoilt("attempts", verdict="perhaps"), "wrong verdict: 'perhaps'"),
    (spoilt("attempts", detail="x" * 201), "wrong detail"),
    (spoilt("attempts", detail="\0"), "wrong detail"),
    (spoilt("attempts", detail="\ud800"), "wrong detail"),
    (spoilt("attempts", excerpt="?"), "wrong excerpt"),
    (spoilt("transitions", verb="vanish"), "wrong verb"),
    (spoilt("transitions", at=None), "wrong at: None"),
]


@pytest.mark.everywhere_once
@pytest.mark.parametrize(("line", "said"), SPOILT, ids=[said for _, said in SPOILT])
def test_a_line_that_cannot_be_read_says_why(line, said):
    with pytest.raises(Unreadable) as raised:
        read_line(line)

    assert said in str(raised.value)


@pytest.mark.everywhere_once
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text() | st.integers(), st.lists))
def test_whatever_stands_in_a_field_it_is_read_or_refused(value):
    for part, name in [("delivery", "id"), ("attempts", "started_at"), ("attempts", "detail")]:
        with suppress(Unreadable):
            assert read_line(spoilt(part, **{name: value})).log


def test_a_line_that_cannot_be_read_costs_only_itself(monkeypatch):
    monkeypatch.setattr("webhook_delivery.restoring.LONGEST_LINE", 4000)
    monkeypatch.setattr("webhook_delivery.archive.LONGEST_LINE", 4000)
    write("delivered", "dead")
    first, second = exported()
    cut = json.dumps(first).encode()[:-20]

    found, states = restore(first, b"x" * 9000, b"", b"\xff", second, cut)

    assert [each.what for each in found] == ["line 2", "line 4", "line 6"]
    assert found[0].found == "longer than 4000 bytes"
    assert states == {"delivered": 1, "dead": 1}


def test_what_a_reader_does_not_know_it_ignores():
    write("delivered")
    [line] = exported()
    line["delivery"]["colour"] = line["weight"] = "unknown"

    assert restore(line) == ([], {"delivered": 1})


def test_a_copy_holds_no_body_and_no_secret(tmp_path: Path, endpoint):
    event = Event.objects.create(event_type="order.created", body=b"confidential")
    Delivery.objects.create(event=event, event_type=event.event_type, endpoint=endpoint)

    text = "".join(archive.export(Delivery.objects.all()))

    assert "confidential" not in text
    assert "whsec" not in text
    assert endpoint.secrets.count() == 1
