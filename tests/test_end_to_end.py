"""From `order.save()` to a receiver that says 503, 503, 200."""

import pytest

from example_project.shop.models import Order
from tests.conftest import make_due
from webhook_delivery.models import Delivery


@pytest.mark.django_db(transaction=True)
def test_an_order_is_saved_and_delivered_at_the_third_attempt(receiver, endpoint, send_due):
    receiver.replies(503, 503, 200)

    Order.objects.create(number=7, total="19.90")
    for _ in range(3):
        send_due()
        make_due()

    delivery = Delivery.objects.get()
    assert delivery.state == "delivered"
    assert [a.status for a in delivery.attempts.all()] == [503, 503, 200]
    assert [got.verified for got in receiver.received] == [True, True, True]
    assert len({got.body for got in receiver.received}) == 1
