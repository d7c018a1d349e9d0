"""Standard Webhooks signatures, against the specification's vector and its own library."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from webhook_delivery import signing

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_vector_of_the_specification():
    signed = signing.signature(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        signing.key_of(SECRET),
    )

    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.text(), st.integers(0, 2**33))
def test_the_reference_library_signs_the_same(body, timestamp):
    headers = signing.headers(
        "evt_1", timestamp, body.encode("utf-8", "replace"), [signing.key_of(SECRET)]
    )

    library = Webhook(SECRET).sign(
        "evt_1",
        datetime.fromtimestamp(timestamp, UTC),
        body.encode("utf-8", "replace").decode(),
    )
    assert headers["webhook-signature"] == library


def test_each_live_secret_signs():
    keys = [signing.key_of(signing.generate_secret()) for _ in range(3)]

    signatures = signing.headers("evt_1", 1, b"{}", keys)["webhook-signature"].split(" ")

    assert signatures == [signing.signature("evt_1", 1, b"{}", key) for key in keys]


def test_a_generated_secret_has_32_random_bytes():
    one, other = signing.generate_secret(), signing.generate_secret()

    assert len(signing.key_of(one)) == 32
    assert one != other


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw!",
        "whsec_é",
        "whsec_" + base64.b64encode(b"x" * 23).decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
    ],
)
def test_a_secret_that_is_not_one_is_refused(secret):
    with pytest.raises(signing.InvalidSecret):
        signing.key_of(secret)
