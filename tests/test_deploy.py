"""Deploys under load: the whole process group gets SIGTERM, and what is left is killed."""

import pytest

from tests.processes import chaos

pytestmark = [pytest.mark.everywhere_once, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("seconds", ["20", pytest.param("60", marks=pytest.mark.nightly)])
def test_a_deploy_every_five_seconds_loses_nothing(seconds):
    chaos("--seconds", seconds, "--faults", "term", "--every", "5", "--clusters", "1")
