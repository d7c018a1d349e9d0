"""Several hosts on one PostgreSQL, with Redis as broker: each works, and one may die."""

import pytest

from tests import processes, servers
from tests.processes import chaos

pytestmark = [pytest.mark.everywhere_once, pytest.mark.django_db(transaction=True)]

own_postgres, own_redis = servers.own_postgres, servers.own_redis

EVENTS = ("--events", "800", "--rate", "50", "--seconds", "60", "--fails", "0", "--timeout", "5")


@pytest.fixture
def env(own_postgres, own_redis):
    return processes.new_database(own_postgres, redis=own_redis.url)


def test_three_clusters_and_a_loop_share_the_work_and_double_nothing(env):
    chaos(*EVENTS, "--clusters", "3", "--loops", "1", env=env)


def test_two_clusters_deliver_what_a_third_was_killed_with(env):
    one_dies = ("--faults", "group", "--every", "5", "--most", "1", "--left-dead")

    chaos(*EVENTS, "--clusters", "3", *one_dies, env=env)
