"""Deploys under load: the whole process group gets SIGTERM, and what is left is killed."""

import pytest

from tests.processes import chaos

pytestmark = [pytest.mark.everywhere_once, pytest.mark.django_db(transaction=True)]


def test_a_deploy_every_five_seconds_for_a_minute_loses_nothing():
    chaos("--seconds", "60", "--faults", "term", "--every", "5", "--clusters", "1")
