"""What Prometheus scrapes is what the rows say, from a running server, for who may ask."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from django.contrib.auth.models import Permission, User
from django.db import OperationalError, connection
from django.urls import resolve

from example_project.processes import Process
from tests.conftest import make_endpoint
from tests.owing import block, owe, statements
from tests.processes import environment, run, wait_until
from tests.scraping import PAGE, TOKEN, agree, looked_at, scrape
from tests.test_readme import free_port
from webhook_delivery import doorbell, endpoints, health, publish, recording, rollups, tasks
from webhook_delivery.clock import Now
from webhook_delivery.health import STAND_INS
from webhook_delivery.metrics import gauges, views
from webhook_delivery.metrics.gauges import GAUGES
from webhook_delivery.models import Attempt, Delivery, Doorbell, Endpoint, Lane
from webhook_delivery.outcomes import Fault, Verdict
from webhook_delivery.publishing import publish_test

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def token(settings) -> str:
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "METRICS_TOKEN": TOKEN}
    return TOKEN


# ── a running server, and a real drain


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a real server of the example project, on the test's database."""
    port, said = free_port(), json.dumps({"METRICS_TOKEN": TOKEN})
    env = environment() | {"WEBHOOK_TEST_SETTINGS": said}
    command = ["-m", "uvicorn", "tests.asgi:application", "--port", port, "--lifespan", "off"]
    url = f"http://127.0.0.1:{port}"
    with Process(*command, log=tmp_path / "log", env=env):
        wait_until(lambda: _refuses(url), seconds=30)
        yield url


def _refuses(url: str) -> bool:
    try:
        with urlopen(f"{url}{PAGE}", timeout=5):
            return False
    except URLError as error:
        return getattr(error, "code", None) == 401


def test_what_a_real_client_scrapes_agrees_with_the_rows(server, endpoint, receiver):
    receiver.replies(503, 200, 410, 200)
    paused = make_endpoint(receiver.url("/paused"), state="paused")
    unheard = make_endpoint("http://127.0.0.1:1/", "order.unheard")
    for number in range(3):
        publish("order.paid", {"number": number})
    publish("order.unheard")
    publish_test(paused)

    agree(scrape(server))
    run("manage.py", "webhooks", "drain")
    before = scrape(server)
    agree(before)
    rollups.add_up(using="default")
    rollups.add_up(using="default")
    agree(scrape(server, accept="text/plain"))
    run("manage.py", "webhooks", "drain")
    after = scrape(server)

    agree(after)
    assert Attempt.objects.filter(delivery__endpoint=unheard).exists()
    assert before["webhook_delivery_attempts_total"]["http_5xx", "retry"] >= 1
    assert 0 <= after["webhook_delivery_drain_age_seconds"][()] < 60
    for name, told in before.items():
        if name.endswith(("_total", "_bucket", "_count", "_sum")):
            assert all(after[name][labels] >= value for labels, value in told.items())


# ── what each number means


def test_every_gauge_is_told_and_no_other(client, settings, endpoint, send_due):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "METRICS_ENDPOINTS": 5}
    publish("order.paid")
    send_due()
    rollups.add_up(using="default")
    rollups.add_up(using="default")

    told = looked_at(client)

    of_attempts = {name for name in told if name.startswith("webhook_delivery_attempt")}
    assert set(told) - of_attempts == {*GAUGES, "webhook_delivery_read_ok"}
    assert set(told["webhook_delivery_read_ok"].values()) == {1}


def test_before_anything_ran_the_ages_are_above_every_threshold(client):
    Doorbell.objects.all().delete()

    told = looked_at(client)

    assert told["webhook_delivery_drain_age_seconds"][()] == math.inf
    assert told["webhook_delivery_sweep_age_seconds"][()] == math.inf
    assert told["webhook_delivery_due_age_seconds"][()] == 0


def test_a_sweep_that_drains_stand_in_for_is_told_as_health_tells_it(client):
    for _ in range(STAND_INS):
        long_ago = Now() - doorbell.OVERDUE - timedelta(seconds=1)
        Doorbell.objects.update(swept_at=long_ago, drained_at=long_ago)
        tasks.drain()

    told = looked_at(client)

    assert [illness.code for illness in health.examine()] == ["unswept"]
    assert told["webhook_delivery_sweep_age_seconds"][()] < 60
    assert told["webhook_delivery_sweep_stand_ins"][()] == STAND_INS
    tasks.sweep()
    assert looked_at(client)["webhook_delivery_sweep_stand_ins"][()] == 0


def test_every_ending_is_told_before_it_has_happened(client):
    told = looked_at(client)["webhook_delivery_attempts_total"]

    assert set(told.values()) == {0}
    assert {outcome for outcome, _ in told} == {"delivered", *Fault}
    assert {verdict for _, verdict in told} == {*Verdict}
    deferred = {outcome for outcome, verdict in told if verdict == Verdict.DEFERRED}
    assert deferred == {Fault.SECRET, Fault.EXHAUSTED}


def test_ages_are_those_of_the_databases_clock(client, endpoint):
    doorbell.answer(using="default")
    ago = timedelta(seconds=500)
    stamps = dict.fromkeys(("drained_at", "swept_at", "ringing_since"), Now() - ago)
    Doorbell.objects.update(ringing=True, **stamps)
    owe(3, endpoint, ago=400)

    told = looked_at(client)

    for name in ("drain", "sweep", "ring"):
        assert told[f"webhook_delivery_{name}_age_seconds"][()] == pytest.approx(500, abs=20)
    assert told["webhook_delivery_due_age_seconds"][()] == pytest.approx(400, abs=20)
    assert told["webhook_delivery_due_deliveries"][()] == 3


def test_endpoints_are_told_of_by_what_keeps_them_from_being_sent_to(client):
    well, broken, gone, person = (make_endpoint(name=name) for name in "abcd")
    block(broken)
    Lane.objects.filter(pk=broken.pk).update(failing_since=Now() - timedelta(hours=2))
    endpoints.switch_off(person.pk, reason="failing since Monday", using="default")
    endpoints.mark_off(gone.pk, reason=recording.GONE, using="default")

    told = looked_at(client)

    assert told["webhook_delivery_endpoints"] == {("on",): 2, ("paused",): 0, ("off",): 2}
    assert told["webhook_delivery_endpoints_switched_off"][()] == 1
    assert told["webhook_delivery_endpoints_failing"][()] == 1
    assert told["webhook_delivery_breakers_open"][()] == 1
    age = told["webhook_delivery_breaker_open_age_seconds"][()]
    assert age == pytest.approx(7200, abs=20)
    assert well.pk


def test_counts_end_somewhere(client, endpoint, monkeypatch):
    monkeypatch.setattr(gauges, "COUNTED", 2)
    owe(5, endpoint)

    told = looked_at(client)

    assert told["webhook_delivery_deliveries"]["pending",] == 2
    assert told["webhook_delivery_due_deliveries"][()] == 2


# ── how many series there may be


def test_no_label_names_an_endpoint_unless_that_is_asked_for(client, receiver, send_due):
    for name in ("acme", "acme", "big"):
        make_endpoint(receiver.url(f"/{name}"), name=name)
    publish("order.paid", {"number": 1})
    send_due()
    rollups.add_up(using="default")
    rollups.add_up(using="default")

    text = client.get(PAGE, headers={"authorization": f"Bearer {TOKEN}"}).content.decode()

    assert "acme" not in text
    assert receiver.url() not in text


def test_the_busiest_endpoints_are_told_of_by_name_if_asked(client, settings, receiver, send_due):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "METRICS_ENDPOINTS": 1}
    awkward = 'ac"me\\\n{}'
    for name in (awkward, awkward, "big"):
        make_endpoint(receiver.url("/x"), name=name)
    publish("order.paid", {"number": 1})
    send_due()
    rollups.add_up(using="default")
    rollups.add_up(using="default")

    told = looked_at(client)["webhook_delivery_endpoint_day_attempts"]

    assert told == {(awkward, "delivered"): 2, (awkward, "failed"): 0, (awkward, "dead"): 0}


def test_the_page_costs_a_constant_number_of_statements(client, settings, endpoint):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "METRICS_ENDPOINTS": 5}
    looked_at(client)

    def cost() -> int:
        with statements() as said:
            looked_at(client)
        return len([sql for sql in said if sql.startswith("SELECT") and "set_config" not in sql])

    few = cost()
    owe(50, endpoint, *(make_endpoint() for _ in range(5)))

    assert cost() == few <= 9


# ── trouble


def test_what_cannot_be_read_is_missing_and_the_rest_is_told(client, monkeypatch):
    def broken(using: str) -> Iterator[gauges.Reading]:
        raise OperationalError("too many connections")
        yield

    monkeypatch.setattr(gauges, "PARTS", {**gauges.PARTS, "backlog": broken})
    monkeypatch.setattr("webhook_delivery.metrics.families.PARTS", gauges.PARTS)

    told = looked_at(client)

    read = told["webhook_delivery_read_ok"]
    assert {part: fine for (part,), fine in read.items() if not fine} == {"backlog": 0}
    assert "webhook_delivery_deliveries" not in told
    assert "webhook_delivery_drain_age_seconds" in told


def test_a_slow_query_is_stopped_where_the_database_can(client, settings, monkeypatch):
    def slow(using: str) -> Iterator[gauges.Reading]:
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("SELECT pg_sleep(5)")
        yield gauges.Reading("webhook_delivery_info", 1, ("x",))

    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "CONSOLE_TIMEOUT_SECONDS": 0.2}
    monkeypatch.setattr("webhook_delivery.metrics.families.PARTS", {"slow": slow})

    read = looked_at(client)["webhook_delivery_read_ok"]

    assert read["slow",] == (0 if connection.vendor == "postgresql" else 1)
    assert read["attempts",] == 1


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/plain;version=0.0.4",
        "application/openmetrics-text;version=x",
        "application/openmetrics-text; version=1.0.0; escaping=underscores",
        "text/plain;version=;;;",
    ],
)
def test_whatever_is_accepted_the_answer_can_be_parsed(client, accept):
    assert looked_at(client, accept=accept)["webhook_delivery_info"]


# ── who may ask


def refused(client, **headers: str) -> int:
    answer = client.get(PAGE, headers=headers)
    assert b"webhook_delivery_" not in answer.content
    return answer.status_code


@pytest.mark.parametrize(
    "shown", ["", "Bearer", "Bearer nope", f"Basic {TOKEN}", TOKEN, "Bearer é"]
)
def test_without_the_token_nothing_is_told(client, shown):
    assert refused(client, authorization=shown) == 401


@pytest.mark.parametrize("shown", ["", "Bearer", "Bearer ", "Bearer None", f"Bearer {TOKEN}"])
@pytest.mark.parametrize("unset", [None, ""])
def test_where_no_token_is_set_none_opens(client, settings, shown, unset):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "METRICS_TOKEN": unset}

    assert refused(client, authorization=shown) == 403


def test_staff_who_may_view_deliveries_may_look(client):
    user = User.objects.create_user("ann", is_staff=True)
    client.force_login(user)
    assert refused(client) == 401

    user.user_permissions.add(Permission.objects.get(codename="view_delivery"))
    assert client.get(PAGE).status_code == 200

    User.objects.update(is_staff=False)
    assert refused(client) == 401


def acmes_but_for_root(user) -> list[str] | None:
    return None if user.is_superuser else ["acme"]


def test_who_sees_some_tenants_only_does_not_see_the_sums_of_all(client, settings):
    wanted = {"CONSOLE_TENANTS": "tests.test_metrics.acmes_but_for_root"}
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, **wanted}
    user = User.objects.create_user("ann", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_delivery"))
    client.force_login(user)

    assert refused(client) == 401
    assert client.get(PAGE, headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    client.force_login(User.objects.create_superuser("root"))
    assert client.get(PAGE).status_code == 200


def test_it_is_only_read_and_never_kept(client, rf):
    answer = client.get(PAGE, headers={"authorization": f"Bearer {TOKEN}"})

    assert "no-store" in answer.headers["cache-control"]
    assert client.post(PAGE).status_code == 405
    assert views.prometheus(rf.get(PAGE)).status_code == 401, "without sessions, too"
    assert resolve(PAGE).func is views.prometheus


def test_what_is_told_of_the_log_counts_no_tests(client, endpoint, send_due):
    publish_test(endpoint)
    send_due()

    assert Delivery.objects.get().state == "delivered"
    assert Endpoint.objects.count() == 1
    assert set(looked_at(client)["webhook_delivery_attempts_total"].values()) == {0}
