"""What most tests need: a receiver, endpoints, and ways to send what is due."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import redis
from django.db import connection
from django.db.models import F
from django.utils import timezone, translation

from example_project.receiver import by_the_library
from example_project.shop.models import Order
from tests.database_clock import DatabaseClock
from webhook_delivery import drain as draining
from webhook_delivery import lifecycle
from webhook_delivery.models import Delivery, Endpoint, Secret
from webhook_delivery.testing import Webhooks
from webhook_delivery.testing.receiver import Receiver

pytest_plugins = ["webhook_delivery.testing.plugin"]

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(verifier=by_the_library) as running:
        running.secrets["*"] = SECRET
        yield running


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker) -> None:
    """A test's commits need not outlive the machine; PostgreSQL waits for the disk at each."""
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            name = connection.ops.quote_name(connection.settings_dict["NAME"])
            cursor.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
            connection.close()


def make_endpoint(url: str = "https://receiver.example/", *patterns: str, **fields) -> Endpoint:
    fields.setdefault("name", url.rpartition("/")[2] or "receiver")
    endpoint = Endpoint.objects.create(url=url, **fields).subscribe(*patterns or ["*"])
    Secret.keep(endpoint, SECRET)
    return endpoint


@pytest.fixture
def endpoint(db, receiver: Receiver) -> Endpoint:
    return make_endpoint(receiver.url())


@pytest.fixture
def send_due(db) -> Callable[[], draining.Report]:
    """Drain once, in this process, what is due now."""

    def send() -> draining.Report:
        lifecycle.rescue(using="default")
        return draining.drain(using="default", seconds=10)

    return send


@pytest.fixture(autouse=True)
def plain_english() -> Iterator[None]:
    """A language or a time zone that a test has chosen is its own."""
    yield
    translation.deactivate()
    timezone.deactivate()


@pytest.fixture
def webhooks(webhooks: Webhooks) -> Webhooks:
    """The plugin's, where no order is left of whoever ran before."""
    Order.objects.all()._raw_delete("default")
    return webhooks


def make_due() -> None:
    """Let the waiting time of every pending delivery be over."""
    Delivery.objects.pending().update(due_at=F("due_at") - timedelta(days=30))


def end_leases() -> None:
    """Let the lease of every claim have ended."""
    Delivery.objects.sending().update(due_at=F("due_at") - timedelta(days=30))


@pytest.fixture
def database_clock() -> Iterator[DatabaseClock]:
    """The clock that leases, due times and claims are told by; `step(seconds)` moves it."""
    clock = DatabaseClock()
    yield clock
    clock.put_right()


def choose_claim_path(path: str, patch: pytest.MonkeyPatch) -> None:
    """Claim with SKIP LOCKED or by comparing, in every thread; without row locks both compare."""
    features, name = connection.features, "has_select_for_update_skip_locked"
    patch.delitem(vars(features), name, raising=False)
    patch.setattr(type(features), name, path == "skip_locked")


@pytest.fixture(params=["skip_locked", "compare_and_set"])
def claim_path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the two ways to claim, whatever the database would choose."""
    choose_claim_path(request.param, monkeypatch)
    return request.param


REDIS_URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379")


SELDOM = {"postgresql": "orm", "mysql": "redis"}.get(connection.vendor)
"""The broker that is tested with this database nightly only."""
BROKERS = [
    pytest.param(broker, marks=[pytest.mark.nightly] if broker == SELDOM else [])
    for broker in ("orm", "redis")
]


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest) -> str:
    """Each of the brokers that clusters are tested with."""
    if request.param == "redis":
        with redis.Redis.from_url(REDIS_URL) as server:
            try:
                server.ping()
            except redis.ConnectionError:
                pytest.skip(f"no Redis answers at {REDIS_URL}")
    return request.param


LONG = {
    "test_tutorial",
    "test_readme",
    "test_deploy",
    "test_machine",
    "test_chaos",
    "test_crash",
    "test_hosts",
    "test_many_drains",
}


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """The longest begin first, so that nobody waits for one of them alone at the end."""
    if connection.vendor != "sqlite":
        for item in items:
            if item.get_closest_marker("nightly_on_servers"):
                item.add_marker(pytest.mark.nightly)
    yield
    items.sort(key=lambda item: item.path.stem not in LONG)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Where every server is required, a test that was skipped has failed."""
    report = (yield).get_result()
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("REQUIRE_SERVERS"):
        report.outcome = "failed"
        report.longrepr = f"skipped, though REQUIRE_SERVERS is set: {report.longrepr}"
