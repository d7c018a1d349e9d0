"""Names lead nowhere but to public addresses, whatever their server says: with a real resolver."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from example_project.settings import BASE_DIR
from tests.hostile.laboratory import LATE_SECONDS
from tests.hostile.names import PUBLIC, SEARCHED, TIMEOUT_SECONDS, ZONES

pytestmark = [pytest.mark.everywhere_once, pytest.mark.nightly]

OWN_NETWORK = ["unshare", "--map-root-user", "--net", "--mount"]


def reports() -> Mapping[str, Any]:
    """Two attempts at each name."""
    done = subprocess.run(
        [*OWN_NETWORK, sys.executable, "-m", "tests.hostile.names"],
        cwd=BASE_DIR,
        env={**os.environ, "RES_OPTIONS": ""},
        timeout=60,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def found() -> Mapping[str, Any]:
    try:
        subprocess.run([*OWN_NETWORK, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this machine lets nobody have a network of their own")
    return reports()


DELIVERED, BLOCKED = ["delivered"] * 2, ["blocked"] * 2
ENDS = {
    "public.example": DELIVERED,
    "private.example": BLOCKED,
    "metadata.example": BLOCKED,
    "alias.example": BLOCKED,
    "mixed.example": BLOCKED,
    "mixed-the-other-way.example": BLOCKED,
    "mixed-with-ipv6.example": BLOCKED,
    "rebinding.example": ["delivered", "blocked"],
    "first-dead.example": DELIVERED,
    "ipv6-dead.example": DELIVERED,
    "all-dead.example": ["refused"] * 2,
    "hooks.customer.corp.example": DELIVERED,
    "metadata.corp.example": DELIVERED,
}
"""Of all other names, nothing is found."""


@pytest.mark.parametrize("name", [*ZONES, *SEARCHED])
def test_only_public_addresses_are_reached(found, name):
    ended = ENDS.get(name, ["dns"] * 2)

    assert found[name]["ended"] == ended
    assert found[name]["reached"] == [PUBLIC] * ended.count("delivered")


@pytest.mark.parametrize("name", ENDS)
def test_each_attempt_asks_once_and_for_nothing_else(found, name):
    assert found[name]["asked"] == {name: 2}


@pytest.mark.parametrize("name", SEARCHED)
def test_the_search_domain_is_not_tried(found, name):
    """What is found there belongs to this machine's network, not to a receiver."""
    assert set(found[name]["asked"]) == {name}


def test_a_server_that_is_silent_is_waited_for_no_longer_than_the_deadline(found):
    names = ["silent.example", "nonsense.example"]
    most = TIMEOUT_SECONDS + LATE_SECONDS
    if any(found[name]["seconds"] > most for name in names):
        found = reports()  # alone with a busy machine, once more

    assert all(found[name]["seconds"] <= most for name in names)
