"""Whatever is owed to one endpoint hides nobody else's, and a cap is nobody's to exceed."""

import json

import pytest
from django.core.management import call_command

from tests.conftest import make_endpoint
from tests.counting import CountingReceiver
from tests.legal import unlawful
from tests.owing import block, owe, statements
from tests.processes import environment, run
from webhook_delivery import drain, lifecycle, publish
from webhook_delivery.lifecycle import looking
from webhook_delivery.lifecycle.looking import MANY, TURN, VIEW, Look
from webhook_delivery.models import Attempt, Delivery, Endpoint

pytestmark = pytest.mark.django_db(transaction=True)


def claim(limit: int = 32, **options) -> list[int]:
    """The endpoints that a claim takes something of, in ascending order."""
    return sorted(each.endpoint_id for each in lifecycle.claim(limit, using="default", **options))


def make_many(count: int, url: str = "https://receiver.example/") -> list[Endpoint]:
    rows = [Endpoint(name=f"many-{number}", url=url) for number in range(count)]
    Endpoint.objects.bulk_create(rows, batch_size=500)
    return list(Endpoint.objects.filter(name__startswith="many-").order_by("pk"))


def within(looks: int, endpoint: Endpoint, limit: int = 32) -> bool:
    """Whether so many looks of one drain find something of the endpoint's."""
    look = Look("default")
    return any(endpoint.pk in claim(limit, look=look) for _ in range(looks))


# ── nobody is hidden


@pytest.mark.parametrize("ago", [0, 3600], ids=["newer", "older"])
def test_a_thousand_rows_of_one_endpoint_do_not_hide_one_of_another(ago):
    owe(1000, make_endpoint(), ago=600)
    modest = make_endpoint()
    owe(1, modest, ago=ago)

    assert within(2, modest)


def test_who_looks_again_for_one_event_sees_no_other(endpoint):
    owe(3, endpoint, ago=60)
    event = publish("order.paid", {})

    seen = Look("default", event).again([endpoint.pk])

    assert [due.pk for due in seen] == [event.deliveries.get().pk]


def test_a_thousand_rows_of_a_blocked_endpoint_do_not_hide_one_in_their_middle():
    dead, fresh = make_endpoint(), make_endpoint()
    block(dead)
    owe(500, dead, ago=7200)
    owe(1, fresh, ago=3600)
    owe(500, dead, ago=600)

    assert within(2, fresh)


def test_three_hundred_blocked_endpoints_with_older_rows_do_not_hide_one():
    dead, fresh = make_many(300), make_endpoint()
    block(*dead)
    owe(1, *dead, ago=3600)
    owe(1, fresh)

    assert within(2, fresh)


@pytest.mark.parametrize("limit", [1, 4])
def test_more_blocked_endpoints_than_places_do_not_hide_one(limit):
    dead, fresh = make_many(MANY // 2), make_endpoint()
    block(*dead)
    owe(1, *dead, ago=3600)
    owe(1, fresh)

    assert within(2, fresh, limit)


@pytest.mark.parametrize("blocked", [MANY - 1, MANY, 300])
def test_one_drain_sends_what_stands_behind_many_that_are_blocked(receiver, send_due, blocked):
    dead, fresh = make_many(blocked), make_endpoint(receiver.url())
    block(*dead)
    owe(1, *dead, ago=3600)
    owe(5, fresh)

    assert send_due().delivered == 5


def test_more_blocked_endpoints_than_one_turn_asks_hide_nobody(receiver, send_due):
    dead, fresh = make_many(TURN + 10), make_endpoint(receiver.url())
    block(*dead)
    owe(1, *dead, ago=7200)
    owe(5, fresh, ago=3600)
    owe(1, *dead, ago=600)

    assert send_due().delivered == 5


def test_one_drain_sends_all_that_a_blocked_backlog_encloses(receiver, send_due):
    dead, fresh = make_endpoint(), make_endpoint(receiver.url())
    block(dead)
    owe(VIEW + 50, dead, ago=7200)
    owe(20, fresh, ago=3600)
    owe(VIEW + 50, dead, ago=600)

    assert send_due().delivered == 20


def test_a_backlog_that_is_enclosed_by_a_blocked_one_is_claimed_many_at_a_time():
    dead, fresh = make_endpoint(), make_endpoint()
    block(dead)
    owe(VIEW + 50, dead, ago=7200)
    owe(300, fresh, ago=3600)
    owe(VIEW + 50, dead, ago=600)
    look = Look("default")

    claimed = [len(claim(128, look=look)) for _ in range(8)]

    assert sum(claimed) == 256  # its cap


def test_who_looks_in_vain_asks_all_endpoints_now_and_then_only(monkeypatch):
    monkeypatch.setattr(looking, "TURN_SECONDS", 60)
    dead = make_endpoint()
    block(dead)
    owe(VIEW + 50, dead)
    look = Look("default")
    assert claim(look=look) == []
    assert look.complete

    with statements() as said:
        assert claim(look=look) == []

    assert not [sql for sql in said if "LIMIT 500" in sql]
    assert look.complete


def test_a_drain_ends_when_nothing_is_left_however_many_endpoints_there_are(receiver, send_due):
    make_many(TURN + 10)
    owe(VIEW + 50, make_endpoint(receiver.url()))

    with statements() as said:
        assert send_due().delivered == VIEW + 50

    assert len(said) < 500


def test_a_claim_gives_each_endpoint_the_same():
    everybody = make_many(8)
    for number, endpoint in enumerate(everybody):
        owe(4 + 10 * number, endpoint, ago=100 - number)

    taken = claim(32)

    assert [taken.count(endpoint.pk) for endpoint in everybody] == [4] * 8


# ── first attempts and retries


def test_first_attempts_go_before_late_retries_which_keep_a_quarter():
    failing, new = make_endpoint(), make_endpoint()
    owe(150, failing, ago=3600, retries=True)
    owe(150, new)
    Delivery.objects.update(sequence=None)

    taken = claim(20)

    assert taken.count(new.pk) in (14, 15)
    assert taken.count(failing.pk) in (5, 6)


def test_one_endpoints_retries_are_not_starved_by_its_first_attempts():
    endpoint = make_endpoint(max_in_flight=1)
    owe(50, endpoint, retries=True, ago=3600)
    owe(50, endpoint)

    numbers = set()
    for _ in range(100):
        [taken] = lifecycle.claim(9, using="default")
        numbers.add(taken.number)
        lifecycle.give_back([taken], using="default")

    assert numbers == {1, 2}


# ── caps


def test_no_claim_exceeds_what_an_endpoint_may_have_in_flight():
    endpoint = make_endpoint(max_in_flight=3)
    owe(20, endpoint)

    assert [len(claim(2)), len(claim(9)), len(claim(9))] == [2, 1, 0]


def test_the_settings_cap_counts_where_an_endpoint_has_none(settings):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "MAX_IN_FLIGHT": 5}
    owe(20, make_endpoint())

    assert [len(claim(9)), len(claim(9))] == [5, 0]


@pytest.mark.parametrize("path", ["skip_locked", "compare_and_set"])
def test_four_drains_together_never_exceed_a_cap(path):
    env = environment() | {"WEBHOOK_TEST_CLAIM_PATH": path}
    with CountingReceiver(thinks=0.01) as receiver:
        capped, free = (make_endpoint(receiver.url(name)) for name in ("capped", "free"))
        Endpoint.objects.filter(pk=capped.pk).update(max_in_flight=2)
        owe(120, capped, free)

        attempts = json.loads(run("-m", "tests.drains", "4", env=env))

    assert sum(attempts) == receiver.received.total() == Attempt.objects.count() == 240
    assert receiver.most["/capped"] <= 2
    assert receiver.most["/free"] > 2
    assert unlawful() == []


def test_a_drain_whose_time_is_up_knows_that_more_is_due_to_a_capped_endpoint():
    with CountingReceiver(thinks=0.2) as receiver:
        owe(60, make_endpoint(receiver.url(), max_in_flight=2))

        report = drain.drain(using="default", seconds=1)

    assert 0 < report.delivered < 60
    assert report.next_due <= drain.LOOK_SECONDS


def test_a_drain_that_is_full_looks_for_nothing_more(settings):
    """Each look would find that there is no room: it is not worth a transaction."""
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "CONCURRENCY": 4}
    with CountingReceiver(thinks=0.15) as receiver:
        owe(1, *[make_endpoint(receiver.url(str(number))) for number in range(20)])

        with statements() as said:
            assert drain.drain(using="default", seconds=10).delivered == 20

    looks = [sql for sql in said if "ORDER BY" in sql and "due_at" in sql]
    assert len(looks) < 30


# ── giving back


def test_what_is_given_back_is_as_it_was(endpoint):
    owe(5, endpoint, ago=60)
    owe(5, endpoint, ago=30, retries=True)
    facts = ["pk", "state", "due_at", "attempts_made", "attempts_forgiven", "claim", "ended_at"]
    before = list(Delivery.objects.order_by("pk").values(*facts))

    claims = lifecycle.claim(10, using="default")
    assert Delivery.objects.sending().count() == len(claims) == 10
    assert lifecycle.give_back(claims, using="default") == 10

    assert list(Delivery.objects.order_by("pk").values(*facts)) == before
    assert lifecycle.give_back(claims, using="default") == 0


def test_after_a_drain_gave_back_what_it_had_claimed_ahead_all_is_lawful(settings):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "CONCURRENCY": 2}
    with CountingReceiver(thinks=0.05) as receiver:
        make_endpoint(receiver.url())
        for _ in range(40):
            publish("order.paid", {})
        asked = iter([False] * 3)

        report = drain.drain(using="default", seconds=9, stopped=lambda: next(asked, True))

        assert report.delivered == receiver.received.total() < 40
    assert not Delivery.objects.sending().exists()
    assert Delivery.objects.pending().filter(attempts_made=0).count() == 40 - report.delivered
    assert report.next_due <= drain.LOOK_SECONDS
    assert unlawful() == []
    call_command("webhooks", "verify")  # exits with 1 if it finds a fault


def test_the_one_free_place_is_never_kept_for_an_endpoint_that_is_paused():
    paused, other = make_endpoint(), make_endpoint()
    owe(1, paused, ago=60)
    owe(1, other)
    Endpoint.objects.filter(pk=paused.pk).update(state="paused")  # and what it is owed is a stray

    for _ in range(30):
        [claim] = lifecycle.claim(1, using="default")
        assert claim.endpoint_id == other.pk
        lifecycle.give_back([claim], using="default")
