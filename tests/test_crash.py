"""Kill -9 of the whole cluster with deliveries in flight: nothing is lost."""

from collections import Counter

import pytest

from tests.conftest import make_endpoint
from tests.processes import qcluster, run, wait_until
from webhook_delivery.models import Attempt, Delivery

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS, EACH = 3, 60


def publish_in_another_process(count: int, broker: str) -> None:
    """A process of its own, because this one has django-q2's ORM broker."""
    run("-m", "tests.publisher", "--orders", str(count), broker=broker)


def test_a_cluster_that_is_killed_again_and_again_loses_nothing(receiver, broker):
    make_endpoint(receiver.url())
    receiver.thinks = 0.5
    claimed_at_kills = set()
    for _ in range(ROUNDS):
        before = len(receiver.received)
        with qcluster(broker=broker) as cluster:
            publish_in_another_process(EACH, broker)
            assert len(receiver.wait_for(before + 20, seconds=30)) >= before + 20
            cluster.kill()
        sending = Delivery.objects.sending()
        claimed_at_kills |= set(sending.values_list("pk", "attempts_made"))

    with qcluster(broker=broker):
        wait_until(lambda: not Delivery.objects.unfinished().exists(), seconds=60)

    published = ROUNDS * EACH
    requests = Counter(got.webhook_id for got in receiver.received)
    duplicates = requests.total() - len(requests)
    lost_workers = Attempt.objects.filter(fault="worker_lost").count()
    print(f"{published=} {len(claimed_at_kills)=} {duplicates=} {lost_workers=}")
    assert Delivery.objects.delivered().count() == len(requests) == published
    assert lost_workers == len(claimed_at_kills) > 0, "the kills hit nothing, and proved nothing"
    assert duplicates <= len(claimed_at_kills)
    assert all(got.verified for got in receiver.received)
