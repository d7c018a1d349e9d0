"""The settings in force, as anybody may see them."""

import json
import re

import pytest

from webhook_delivery import configuration
from webhook_delivery.conf import KNOWN, SECRET, Settings

pytestmark = pytest.mark.everywhere_once


def test_every_setting_is_told_with_its_value_in_force(settings):
    settings.WEBHOOK_DELIVERY = {"TIMEOUT_SECONDS": 7, "ALLOWED_PORTS": [443]}

    found = configuration.effective()

    assert found.keys() == KNOWN
    assert found["TIMEOUT_SECONDS"] == 7
    assert found["CONCURRENCY"] == Settings().CONCURRENCY
    assert configuration.changed() == {"TIMEOUT_SECONDS", "ALLOWED_PORTS"}
    assert json.loads(json.dumps(found)) == found


def test_no_secret_is_among_them(settings):
    settings.WEBHOOK_DELIVERY = {
        "SECRET_KEYS": ["a-key", "an-older-one"],
        "EGRESS_PROXY": "http://maria:hush@proxy.internal:4750",
    }

    found = configuration.effective()

    assert found["SECRET_KEYS"] == ["***", "***"]
    assert found["EGRESS_PROXY"] == "http://***@proxy.internal:4750"
    settings.WEBHOOK_DELIVERY = {"EGRESS_PROXY": "http://proxy.internal:4750"}
    assert configuration.effective()["EGRESS_PROXY"] == "http://proxy.internal:4750"


def test_what_is_called_like_a_secret_is_one():
    suspicious = {name for name in KNOWN if re.search("SECRET|PASSWORD|TOKEN|PROXY|_KEY$", name)}

    assert suspicious == SECRET
