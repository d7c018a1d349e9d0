"""One call makes an endpoint that can be sent to, or nothing at all."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

import webhook_delivery
from webhook_delivery import subscribe
from webhook_delivery.models import Endpoint
from webhook_delivery.signing import InvalidSecret, generate_secret
from webhook_delivery.testing import Webhooks

URL = "https://hooks.example.com/in"


@pytest.fixture
def webhooks(webhooks: Webhooks) -> Webhooks:
    """What is sent matters here, and not what is in it."""
    webhooks.validate = False
    return webhooks


def test_what_one_call_makes_can_be_sent_to(webhooks):
    endpoint = subscribe(
        URL, "order.*", "user.joined", tenant="acme", headers={"Authorization": "Bearer 1"}
    )

    webhook_delivery.publish("order.created", {"number": 7}, tenant="acme")
    [delivery] = webhooks.drain()

    assert delivery.endpoint == endpoint
    assert delivery.state == "delivered"
    [request] = webhooks.requests
    assert request.url == URL
    assert request.headers["authorization"] == "Bearer 1"
    request.verify(endpoint.secrets.get().reveal())


def test_it_is_called_as_its_host_unless_it_has_a_name(db):
    assert subscribe(URL).name == "hooks.example.com"
    assert subscribe(URL, name="Acme").name == "Acme"


def test_a_secret_that_the_receiver_has_is_kept(db):
    secret = generate_secret()

    assert subscribe(URL, secret=secret).secrets.get().reveal() == secret


def test_without_patterns_it_hears_only_what_names_it(webhooks):
    endpoint = subscribe(URL)

    webhook_delivery.publish("order.created", endpoints=[endpoint])

    webhooks.assert_sent("order.created", to=endpoint)
    webhook_delivery.publish("order.paid")
    webhooks.assert_not_sent("order.paid", to=endpoint)


@pytest.mark.parametrize(
    ("url", "pattern", "options"),
    [
        ("ftp://example.com", "order.*", {}),
        ("http://[", "order.*", {}),
        (URL, "*.created", {}),
        (URL, "order.*", {"headers": {"webhook-id": "mine"}}),
        (URL, "order.*", {"timeout_seconds": -1}),
    ],
)
def test_what_could_not_be_sent_to_is_not_made(db, url, pattern, options):
    with pytest.raises(ValidationError):
        subscribe(url, pattern, **options)

    assert not Endpoint.objects.exists()


def test_a_secret_that_cannot_sign_makes_nothing(db):
    with pytest.raises(InvalidSecret):
        subscribe(URL, "order.*", secret="whsec_c2hvcnQ=")

    assert not Endpoint.objects.exists()
