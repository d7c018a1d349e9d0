"""The servers fail: connections are cut, PostgreSQL crashes, Redis forgets. Nothing is lost."""

import os

import pytest

from tests import processes, servers
from tests.processes import chaos

pytestmark = [pytest.mark.everywhere_once, pytest.mark.django_db(transaction=True)]

own_postgres, own_redis = servers.own_postgres, servers.own_redis

LONG = os.environ.get("CHAOS_SECONDS", "120")
SECONDS = ["10", pytest.param(LONG, marks=pytest.mark.nightly)]


@pytest.mark.parametrize("seconds", SECONDS)
def test_connections_that_are_cut_every_second_lose_nothing(own_postgres, seconds):
    env = processes.new_database(own_postgres)
    chaos(*("--seconds", seconds), *("--faults", "backends"), *("--every", "1"), env=env)


@pytest.mark.parametrize("seconds", SECONDS)
def test_a_database_that_crashes_again_and_again_loses_nothing(own_postgres, seconds):
    crashing = ("--faults", "postgres", "--every", "3", "--postgres", str(own_postgres.folder))

    env = processes.new_database(own_postgres)
    chaos(*("--seconds", seconds), *crashing, *("--clusters", "1", "--loops", "1"), env=env)


@pytest.mark.parametrize("seconds", SECONDS)
def test_a_broker_that_forgets_everything_loses_nothing(own_postgres, own_redis, seconds):
    forgetting = ("--faults", "flush,flush,flush,redis", "--redis", str(own_redis.port))

    env = processes.new_database(own_postgres, redis=own_redis.url)
    chaos(*("--seconds", seconds), *forgetting, *("--every", "1"), env=env)
