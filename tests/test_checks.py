"""A configuration that cannot deliver is refused at start-up, with what to change."""

import re
import sys
from importlib.metadata import requires
from types import ModuleType
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core import mail
from django.core.checks import run_checks
from django.db import connection, connections
from django_q.conf import Conf
from packaging.requirements import Requirement

from example_project.settings import BASE_DIR
from tests.conftest import make_endpoint
from webhook_delivery.checks import servers
from webhook_delivery.conf import KNOWN
from webhook_delivery.models import Secret


@pytest.fixture(autouse=True)
def good(settings):
    settings.WEBHOOK_DELIVERY = {"SECRET_KEYS": [Fernet.generate_key().decode()]}


def found(*, deploying: bool = False) -> dict[str, str]:
    """What `check`, or `check --deploy`, says of this app; not what registered models send."""
    said = run_checks(tags=["webhook_delivery"], include_deployment_checks=deploying)
    return {m.id: f"{m.msg} {m.hint}" for m in said if m.id != "webhook_delivery.I002"}


def test_a_good_configuration_passes():
    assert found() == {}


def test_a_function_that_there_is_may_say_whose_rows_a_user_sees(settings):
    path = "tests.test_tenancy.only_acme"
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "CONSOLE_TENANTS": path}

    assert found() == {}


@pytest.mark.parametrize(
    ("name", "value", "code", "said"),
    [
        ("RETRIES", 5, "E001", "RETRY_SCHEDULE"),
        ("TIMEOUT_SECONDS", "15", "E002", "TIMEOUT_SECONDS"),
        ("TIMEOUT_SECONDS", -1, "E002", "15"),
        ("INLINE", 1, "E002", "False"),
        ("CLUSTER", 5, "E002", "CLUSTER"),
        ("RETRY_SCHEDULES", [], "E002", "{}"),
        ("RETRY_SCHEDULE", "5", "E002", "RETRY_SCHEDULE"),
        ("RETRY_SCHEDULE", [-5], "E003", "604 800"),
        ("RETRY_SCHEDULES", {"order.*": 5}, "E003", "list of seconds"),
        ("ALLOWED_NETWORKS", ["10.0.0.1/8"], "E004", "CIDR"),
        ("SECRET_KEYS", ["short"], "E005", "generate_key"),
        ("CONCURRENCY", 0, "E009", "1 to 1024"),
        ("CONCURRENCY", 1.5, "E009", "whole number"),
        ("TIMEOUT_SECONDS", 0, "E009", "more than 0"),
        ("TIMEOUT_SECONDS", 60, "E009", "MAX_TIMEOUT_SECONDS"),
        ("RETRY_JITTER", 20, "E009", "0 to 1"),
        ("MAX_PAYLOAD_BYTES", 0, "E009", "1 or more"),
        ("ALLOWED_PORTS", ["9000"], "E009", "whole numbers"),
        ("RETRY_SCHEDULES", {"ord*": [5]}, "E009", "order.*"),
        ("RETRY_SCHEDULES", {1: [5]}, "E009", "order.*"),
        ("CLUSTER", "nope", "E009", "ALT_CLUSTERS"),
        ("EGRESS_PROXY", "https://proxy.example", "E009", "http://host:port"),
        ("EGRESS_PROXY", "proxy.example:3128", "E009", "http://host:port"),
        ("EGRESS_PROXY", "http://proxy.example:x", "E009", "http://host:port"),
        ("HEADER_PREFIX", "Webhook-", "E009", "lower-case"),
        ("HEADER_PREFIX", "", "E009", "lower-case"),
        ("CLOUDEVENTS_SOURCE", "", "E009", "URI"),
        ("CLOUDEVENTS_SOURCE", "a b", "E009", "URI"),
        ("ALLOWED_NETWORKS", [5.5], "E004", "CIDR"),
        ("MAX_TIMEOUT_SECONDS", 300, "E006", "Q_CLUSTER['retry']"),
        ("RETAIN_DEAD_DAYS", "90", "E002", "90"),
        ("RETAIN_BODIES_DAYS", -1, "E002", "RETAIN_BODIES_DAYS"),
        ("RETAIN_KEYS_DAYS", 40_000, "E009", "at most 36500"),
        ("CONSOLE_TENANTS", "shop.console.tenants_of", "E009", "dotted path of a function"),
        ("CONSOLE_TENANTS", "tests.test_checks", "E009", "dotted path of a function"),
        ("CONSOLE_TENANTS", "", "E009", "dotted path of a function"),
    ],
)
def test_each_mistake_has_its_message(settings, name, value, code, said):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, name: value}

    messages = found()

    assert said in messages[f"webhook_delivery.{code}"]


@pytest.mark.parametrize("value", [None, 0, 0.5, 36_500])
def test_what_is_kept_is_kept_for_days_or_for_ever(settings, value):
    kept = {name: value for name in KNOWN if name.startswith("RETAIN_")}
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, **kept}

    assert len(kept) == 6
    assert found() == {}


@pytest.mark.parametrize("value", [None, []])
def test_settings_that_are_no_dict_are_refused(settings, value):
    settings.WEBHOOK_DELIVERY = value

    assert list(found()) == ["webhook_delivery.E008"]


def test_redis_without_its_client_is_warned_about(monkeypatch):
    monkeypatch.setattr(Conf, "ORM", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    assert "Q_CLUSTER['orm']" in found()["webhook_delivery.W007"]


def test_times_without_a_zone_are_refused(settings):
    settings.USE_TZ = False

    assert "USE_TZ = True" in found()["webhook_delivery.E007"]


# ── before deployment

TOKEN = "a-token-of-32-visible-characters"
GOOD = {"METRICS_TOKEN": TOKEN}


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"SECRET_KEYS": []}, "W001", "derived from SECRET_KEY"),
        ({"ALLOW_HTTP": True}, "W030", "in the clear"),
        ({"ALLOWED_PORTS": []}, "W031", "any port"),
        ({"ALLOWED_NETWORKS": ["10.0.0.0/8"]}, "W032", "10.0.0.0/8"),
        ({"ALLOWED_NETWORKS": ["10.1.7.0/24", "0.0.0.0/0"]}, "W032", "opens 0.0.0.0/0:"),
        ({"ALLOWED_NETWORKS": ["127.0.0.1/32"]}, "W032", "the host itself"),
        ({"ALLOWED_NETWORKS": ["::1/128"]}, "W032", "::1/128"),
        ({"ALLOWED_NETWORKS": ["fc00::/7"]}, "W032", "all of a network"),
        ({"METRICS_TOKEN": None}, "W034", "Prometheus is refused"),
    ],
)
def test_what_should_not_go_live_is_said_before_deployment_only(settings, change, code, said):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, **GOOD, **change}

    assert found() == {}
    [(found_code, text)] = found(deploying=True).items()
    assert found_code == f"webhook_delivery.{code}"
    assert said in text
    assert found_code in {
        m.id for m in run_checks(tags=["security"], include_deployment_checks=True)
    }


def test_what_is_fine_goes_live_without_a_word(settings):
    narrow = {"ALLOWED_NETWORKS": ["10.1.7.0/24", "fd00:1234:5678::/48"], "ALLOWED_PORTS": [8443]}
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, **GOOD, **narrow}

    assert found(deploying=True) == {}


def test_a_proxy_is_asked_to_refuse_ports(settings):
    proxied = {"ALLOWED_PORTS": [], "EGRESS_PROXY": "http://proxy.internal:4750"}
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, **GOOD, **proxied}

    assert found(deploying=True) == {}


def test_without_the_page_of_metrics_there_is_no_token_to_set(settings):
    for urls in ("webhook_delivery.metrics.urls", "example_project.urls"):
        settings.ROOT_URLCONF = urls
        assert list(found(deploying=True)) == ["webhook_delivery.W034"]

    settings.ROOT_URLCONF = "example_project.shop.nothing"
    sys.modules["example_project.shop.nothing"] = empty = ModuleType("nothing")
    empty.urlpatterns = []
    assert found(deploying=True) == {}
    del sys.modules["example_project.shop.nothing"]

    del settings.ROOT_URLCONF
    assert found(deploying=True) == {}


@pytest.mark.parametrize("several", [{"ALT_CLUSTERS": {"webhooks": {}}}, {}])
def test_several_clusters_on_sqlite_are_warned_about(settings, monkeypatch, several):
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, **GOOD}
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, **several}
    monkeypatch.setattr(Conf, "ORM", "default" if several else None)
    monkeypatch.setattr(connections["default"], "vendor", "sqlite")

    assert list(found(deploying=True)) == ["webhook_delivery.W033"]

    monkeypatch.setattr(connections["default"], "vendor", "postgresql")
    assert found(deploying=True) == {}


def test_wrong_settings_are_said_first(settings):
    settings.WEBHOOK_DELIVERY = {"ALLOWED_NETWORKS": ["nonsense"], "ALLOW_HTTP": True}

    assert list(found(deploying=True)) == ["webhook_delivery.E004"]


def test_a_token_is_never_printed_and_cannot_be_short(settings):
    for wrong in ("short", "with blanks in its midst", "ünsichtbar-lang-genug", 5):
        settings.WEBHOOK_DELIVERY = {"METRICS_TOKEN": wrong}

        [text] = found().values()
        assert "METRICS_TOKEN" in text
        assert str(wrong) not in text.replace("E00", "")


@pytest.mark.everywhere_once
def test_the_page_on_deployment_names_what_is_said_before_it():
    page = (BASE_DIR / "docs" / "deployment.md").read_text()
    source = (BASE_DIR / "webhook_delivery" / "checks" / "deploying.py").read_text()

    named = re.findall(r"^\| `(W\d+)` \|", page, re.MULTILINE)
    assert named == re.findall(r'"webhook_delivery\.(W\d+)"', source)


DATABASES: dict[str, tuple[dict[str, Any], str]] = {
    "sqlite without immediate": ({"ENGINE": "django.db.backends.sqlite3"}, "W002"),
    "a pool": ({"ENGINE": "django.db.backends.postgresql", "OPTIONS": {"pool": True}}, "W003"),
}


@pytest.mark.parametrize(("database", "code"), DATABASES.values(), ids=DATABASES)
def test_connections_that_fail_workers_are_warned_about(monkeypatch, database, code):
    from django.conf import settings

    monkeypatch.setitem(settings.DATABASES, "default", database)

    assert list(found()) == [f"webhook_delivery.{code}"]


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_who_keeps_moments_in_a_zone_must_be_a_database_that_knows_zones(monkeypatch, zone):
    from django.conf import settings

    monkeypatch.setitem(settings.DATABASES["default"], "TIME_ZONE", zone)

    wrong = zone == "Europe/Berlin" and connection.vendor != "postgresql"
    assert list(found()) == (["webhook_delivery.E014"] if wrong else [])


@pytest.mark.parametrize(
    ("name", "value", "code", "said"),
    [
        ("TIMEOUT", None, "W004", "'retry' above it"),
        ("TIMEOUT", 90, "W004", "twice at the same time"),
        ("SCHEDULER", False, "W005", "cron"),
        ("WORKERS", 1, "W008", "'workers'"),
        ("BULK", 50, "W009", "'bulk'"),
        ("QUEUE_LIMIT", 100, "W009", "'queue_limit'"),
        ("QUEUE_LIMIT", 0, "W009", "'queue_limit'"),
        ("GUARD_CYCLE", 0.3, "W010", "0.25, 0.5 or 1"),
        ("GUARD_CYCLE", 2, "W010", "never ends"),
        ("ORM", "elsewhere", "E010", "'default'"),
    ],
)
def test_settings_of_django_q_that_endanger_drains_are_named(monkeypatch, name, value, code, said):
    monkeypatch.setattr(Conf, name, value)

    [(found_code, text)] = found().items()
    assert found_code == f"webhook_delivery.{code}"
    assert said in text


def test_one_worker_is_enough_for_a_cluster_of_its_own(monkeypatch, settings):
    monkeypatch.setattr(Conf, "WORKERS", 1)
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, "ALT_CLUSTERS": {"webhooks": {}}}
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "CLUSTER": "webhooks"}

    assert found() == {}


def test_sync_mode_is_for_tests_only(monkeypatch):
    monkeypatch.setattr(Conf, "SYNC", True)
    assert found() == {}

    monkeypatch.delattr(mail, "outbox")
    assert "outside tests" in found()["webhook_delivery.W011"]


def test_a_queue_in_another_database_is_remarked_on(monkeypatch):
    monkeypatch.setitem(connections.databases, "queue", connections.databases["default"])
    monkeypatch.setattr(Conf, "ORM", "queue")

    assert "'queue'" in found()["webhook_delivery.I001"]


def test_django_q_is_new_enough_for_every_python():
    [needed] = [Requirement(r) for r in requires("django-webhook-delivery") if "django-q2" in r]

    assert not needed.specifier.contains("1.10.9"), "on Python 3.14 it does not fork"
    assert needed.specifier.contains("1.11.0")


def test_a_broker_that_reconnects_all_the_time_is_warned_about(monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)

    assert list(found()) == ["webhook_delivery.W006"]


# ── the keys of secrets


def test_secret_keys_are_never_printed(settings):
    key = Fernet.generate_key().decode()
    for wrong in (key, [key, "short"], {key: 1}):
        settings.WEBHOOK_DELIVERY = {"SECRET_KEYS": wrong}

        said = found()

        assert said
        assert key not in str(said)


def test_who_sets_keys_for_the_first_time_is_told_to_rotate(settings):
    settings.WEBHOOK_DELIVERY = {}

    assert "rotate-keys" in found(deploying=True)["webhook_delivery.W001"]


def of_database() -> list[str]:
    return [
        message.id
        for message in run_checks(tags=["database"], databases=["default"])
        if message.id.startswith("webhook_delivery")
    ]


def test_who_names_this_app_needs_no_database():
    """Django 6.1 names every database to who names a tag: CI does, and has none."""
    assert run_checks(tags=["webhook_delivery"], databases=["default"]) == []


@pytest.mark.django_db
def test_a_stored_secret_that_does_not_open_is_an_error(settings):
    good = settings.WEBHOOK_DELIVERY
    make_endpoint()
    assert of_database() == []

    settings.WEBHOOK_DELIVERY = {"SECRET_KEYS": [Fernet.generate_key().decode()]}
    assert of_database() == ["webhook_delivery.E011"]
    assert found() == {}, "the database is asked only by who names it"

    settings.WEBHOOK_DELIVERY = good
    assert of_database() == []


@pytest.mark.django_db
def test_a_server_that_sorts_ids_by_their_last_digits_is_refused(monkeypatch):
    """None of those that we test on does: here, the later of two is said to be the earlier."""
    assert of_database() == []

    monkeypatch.setattr(servers, "EARLIER", servers.LATER)

    own_type = connection.vendor == "mysql" and connection.features.has_native_uuid_field
    assert of_database() == (["webhook_delivery.E015"] if own_type else [])


@pytest.mark.django_db
def test_without_a_stored_secret_or_its_table_there_is_nothing_to_open(monkeypatch):
    assert of_database() == []

    make_endpoint()
    monkeypatch.setattr(Secret._meta, "db_table", "not_there")
    assert of_database() == []


@pytest.mark.django_db
@pytest.mark.parametrize("keys", [["short"], "key", [None]], ids=str)
def test_keys_that_are_none_do_not_break_the_look_at_what_is_stored(settings, keys):
    make_endpoint()
    settings.WEBHOOK_DELIVERY = {"SECRET_KEYS": keys}

    assert of_database() in ([], ["webhook_delivery.E011"])
