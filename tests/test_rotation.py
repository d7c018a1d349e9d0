"""A signing secret is rotated: for a while both sign, then one; and nobody's rotation is lost."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from standardwebhooks import Webhook

from tests.conftest import SECRET, make_due, make_endpoint
from webhook_delivery import publish, rotation, signing
from webhook_delivery.models import Endpoint, Secret
from webhook_delivery.rotation import MOST_LIVE, rotate
from webhook_delivery.verifying import verify

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = timedelta(hours=1)


def turn(endpoint: Endpoint, **options) -> str:
    return rotate(endpoint.pk, using="default", **options)


def live(endpoint: Endpoint) -> list[str]:
    return [secret.reveal() for secret in endpoint.secrets.live()]


def send(receiver, send_due):
    """Publish, send, and return what came to the receiver."""
    make_due()
    publish("order.paid", {"number": 7})
    send_due()
    return receiver.received[-1]


def signatures(got) -> list[str]:
    return got.headers["webhook-signature"].split()


def signature(got, secret: str) -> str:
    """What the other library would have signed with this secret, whatever the time is by now."""
    at = datetime.fromtimestamp(int(got.headers["webhook-timestamp"]), UTC)
    return Webhook(secret).sign(got.webhook_id, at, got.body.decode())


# ── what signs


def test_before_the_overlap_ends_both_sign_and_after_it_one(
    receiver, endpoint, send_due, database_clock
):
    new = turn(endpoint, overlap=HOUR)

    during = send(receiver, send_due)
    assert signatures(during) == [signature(during, new), signature(during, SECRET)]

    database_clock.step(3601)
    after = send(receiver, send_due)
    assert signatures(after) == [signature(after, new)]


def test_a_receiver_that_changes_its_secret_within_the_overlap_misses_nothing(
    receiver, endpoint, send_due, database_clock
):
    new = turn(endpoint, overlap=HOUR)
    assert send(receiver, send_due).verified, "it still has the old one"

    receiver.secrets["*"] = new
    assert send(receiver, send_due).verified

    database_clock.step(7200)
    got = send(receiver, send_due)
    assert signatures(got) == [signature(got, new)]


def test_without_an_overlap_the_old_one_ends_at_once(receiver, endpoint, send_due, database_clock):
    new = turn(endpoint, overlap=timedelta())
    database_clock.step(1)

    assert live(endpoint) == [new]


def test_a_day_is_the_usual_overlap(endpoint, database_clock):
    new = turn(endpoint)

    database_clock.step(86_400 - 60)
    assert live(endpoint) == [new, SECRET]
    database_clock.step(61)
    assert live(endpoint) == [new]


def test_never_more_than_three_are_live_and_the_oldest_go_at_once(endpoint, database_clock):
    made = [SECRET]
    for count in range(2, 7):
        made.append(turn(endpoint, overlap=HOUR * count))
        database_clock.step(1)
        assert live(endpoint) == made[::-1][: min(count, MOST_LIVE)]

    assert endpoint.secrets.count() == 6, "what has ended is kept, for it is in nobody's way"


def test_what_was_to_end_sooner_is_not_prolonged(endpoint, database_clock):
    middle = turn(endpoint, overlap=HOUR)
    new = turn(endpoint, overlap=HOUR * 10)

    database_clock.step(3601)

    assert live(endpoint) == [new, middle]


def test_what_was_to_end_later_ends_sooner(endpoint, database_clock):
    turn(endpoint, overlap=HOUR * 10)
    new = turn(endpoint, overlap=HOUR)

    database_clock.step(3601)

    assert live(endpoint) == [new]


def test_a_secret_may_be_brought_along(endpoint):
    brought = signing.generate_secret()

    assert turn(endpoint, secret=brought) == brought
    assert live(endpoint) == [brought, SECRET]


def test_a_key_pair_is_followed_by_a_key_pair(receiver, endpoint, send_due):
    pair = signing.generate_signing_key()
    turn(endpoint, secret=pair)

    new = turn(endpoint)

    assert new.startswith("whsk_")
    got = send(receiver, send_due)
    verify(got.body, got.headers, signing.public_key_of(new))
    verify(got.body, got.headers, SECRET)  # the kinds sign side by side


def test_one_that_cannot_be_opened_ends_at_once_so_that_what_is_owed_goes_on(
    receiver, endpoint, send_due, database_clock
):
    Secret.objects.update(sealed=b"garbage")

    new = turn(endpoint)
    database_clock.step(1)

    assert new.startswith("whsec_")
    assert signatures(got := send(receiver, send_due)) == [signature(got, new)]


# ── what is refused


@pytest.mark.parametrize("wrong", ["", "whsec_", "whpk_AAAA", "password"])
def test_what_could_not_sign_is_refused_and_nothing_ends(endpoint, wrong):
    with pytest.raises(signing.InvalidSecret):
        turn(endpoint, secret=wrong)

    assert live(endpoint) == [SECRET]
    assert endpoint.secrets.get().valid_until is None


def test_an_overlap_below_zero_and_an_endpoint_that_is_none_are_refused(endpoint):
    with pytest.raises(ValueError, match="less than nothing"):
        turn(endpoint, overlap=-HOUR)
    with pytest.raises(Endpoint.DoesNotExist):
        rotate(endpoint.pk + 1, using="default")


def test_all_or_nothing(endpoint, monkeypatch):
    def failing(*args, **options):
        raise RuntimeError

    monkeypatch.setattr(Secret, "keep", failing)

    with pytest.raises(RuntimeError):
        turn(endpoint, overlap=timedelta())

    assert live(endpoint) == [SECRET]


def test_another_endpoint_keeps_its_own(endpoint):
    other = make_endpoint()

    turn(endpoint, overlap=timedelta())

    assert live(other) == [SECRET]


# ── at the same time


def test_of_many_at_once_each_counts_and_three_stay(endpoint):
    made, errors = [], []

    def work() -> None:
        try:
            made.append(turn(endpoint))
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert endpoint.secrets.count() == 7
    assert len(live(endpoint)) == MOST_LIVE
    assert set(live(endpoint)) < set(made)


def test_while_one_rotates_events_are_published_all_the_same(endpoint):
    """The lock is not the one that the foreign keys of deliveries wait for."""
    if not connection.features.has_select_for_no_key_update:
        return  # there, publishing waits for the few milliseconds of a rotation
    published = []

    def work() -> None:
        published.append(publish("order.paid", {}))
        connection.close()

    thread = threading.Thread(target=work)
    with transaction.atomic():
        assert rotation.newest(endpoint.pk, using="default")
        thread.start()
        thread.join(5)
        assert published
