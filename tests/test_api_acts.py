"""What the API changes: as the console does, with who and why, and once for one key."""

import json
import threading
import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.db import connections
from django.utils import timezone
from rest_framework.settings import api_settings
from rest_framework.test import APIClient
from rest_framework.throttling import ScopedRateThrottle

from tests.conftest import make_endpoint
from webhook_delivery import endpoints, publish, roles
from webhook_delivery.models import (
    ConsoleAction,
    Delivery,
    Endpoint,
    Event,
    KeptAnswer,
    RedeliveryBatch,
    Secret,
)

API = "/webhooks/api/"
URL = "https://example.com/hooks"


@pytest.fixture
def root(db):
    client = APIClient()
    client.force_login(User.objects.create_superuser("root"))
    return client


def post(client, address: str, body=None, key: str = ""):
    extra = {"HTTP_IDEMPOTENCY_KEY": key} if key else {}
    return client.post(f"{API}{address}", body or {}, format="json", **extra)


def audit() -> list[tuple[str, str, str]]:
    return list(ConsoleAction.objects.order_by("pk").values_list("verb", "by_name", "reason"))


class TestEndpoints:
    def test_one_that_is_made_can_be_sent_to(self, root, receiver, send_due):
        body = {
            "url": receiver.url(),
            "subscriptions": ["order.*"],
            "headers": {"X-Team": "blue"},
            "timeout_seconds": 1.5,
            "reason": "a new customer",
        }
        answer = post(root, "endpoints/", body)
        made = answer.json()
        receiver.secrets["*"] = made["secret"]
        publish("order.paid", {"number": 7})
        send_due()

        assert answer.status_code == 201
        assert (made["state"], made["subscriptions"]) == ("on", ["order.*"])
        assert made["header_names"] == ["X-Team"]
        assert [each.headers["x-team"] for each in receiver.received] == ["blue"]
        assert receiver.received[0].verified
        assert audit() == [("create_endpoint", "root", "a new customer")]

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({}, "#/url"),
            ({"url": "ftp://example.com"}, "#/url"),
            ({"url": URL, "uri": URL}, "#/uri"),
            ({"url": URL, "subscriptions": ["order*"]}, "#"),
            ({"url": URL, "headers": {"Host": "x"}}, "#"),
            ({"url": URL, "headers": {"X-A": None}}, "#/headers"),
            ({"url": URL, "secret": "whsec_short"}, "#/secret"),
            ({"url": URL, "timeout_seconds": 1e9}, "#/timeout_seconds"),
            ({"url": URL, "timeout_seconds": 10**400}, "#/timeout_seconds"),
            ({"url": URL, "max_in_flight": 2**31}, "#/max_in_flight"),
            ({"url": URL, "name": "a\0b"}, "#/name"),
            ({"url": URL, "conditions": {"a": {"like": "\0"}}}, "#/conditions"),
            ({"url": URL, "client_certificate": "PEM"}, "#"),
        ],
        ids=str,
    )
    def test_what_cannot_be_is_refused_and_nothing_is_made(self, root, body, pointer):
        answer = post(root, "endpoints/", body)

        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"].startswith(pointer)
        assert not Endpoint.objects.exists()
        assert audit() == []

    def test_a_change_leaves_the_rest_as_it_is(self, root):
        endpoint = make_endpoint(URL, "order.*", name="shop").set_headers({"X-A": "1", "X-B": "2"})
        endpoints.pause(endpoint.pk, using="default")
        body = {
            "rate_per_second": 5,
            "headers": {"X-A": None, "X-C": "3"},
            "subscriptions": ["user.*", "order.paid"],
        }

        told = root.patch(f"{API}endpoints/{endpoint.pk}/", body, format="json").json()

        endpoint.refresh_from_db()
        assert (told["name"], told["state"], told["rate_per_second"]) == ("shop", "paused", 5.0)
        assert told["subscriptions"] == ["order.paid", "user.*"]
        assert endpoint.kept_headers == {"X-A": "1", "X-C": "3"}
        assert audit() == [("change_endpoint", "root", "")]

    def test_what_is_sealed_is_not_led_elsewhere(self, db):
        """Who may change an endpoint and not see its tokens must not have them sent to himself."""
        endpoint = make_endpoint(URL).set_headers({"Authorization": "Bearer t0k3n"})
        roles.ensure_groups(using="default")
        user = User.objects.create_user("editor")
        admins = Group.objects.get(name="Webhook admin")
        admins.permissions.filter(codename="reveal_secret").delete()
        user.groups.add(admins)
        editor = APIClient()
        editor.force_login(user)
        there = f"{API}endpoints/{endpoint.pk}/"
        elsewhere = {"url": "https://attacker.example/"}

        refused = [
            editor.patch(there, elsewhere, format="json"),
            editor.patch(there, {**elsewhere, "headers": {"Authorization": None}}, format="json"),
        ]
        assert [each.status_code for each in refused] == [400, 400]
        moved = editor.patch(there, {**elsewhere, "headers": {"X-New": "1"}}, format="json")
        assert moved.status_code == 200
        assert Endpoint.objects.get().kept_headers == {"X-New": "1"}

    def test_switching_is_as_in_the_console(self, root):
        endpoint = make_endpoint(URL)
        delivery = publish("order.paid", {}).deliveries.get()
        there = f"endpoints/{endpoint.pk}/"
        until = (timezone.now() + timedelta(hours=1)).isoformat()

        paused = post(root, f"{there}pause/", {"reason": "they asked", "until": until}).json()
        again = post(root, f"{there}pause/", {"reason": "twice"}).json()
        later = (timezone.now() + timedelta(hours=2)).isoformat()
        longer = post(root, f"{there}pause/", {"reason": "not yet", "until": later}).json()
        delivery.refresh_from_db()
        assert (paused["changed"], paused["moved"], again["changed"]) == (True, 1, False)
        assert (longer["changed"], longer["endpoint"]["state_reason"]) == (True, "not yet")
        assert longer["endpoint"]["resume_at"] > paused["endpoint"]["resume_at"]
        assert delivery.state == "held"
        assert paused["endpoint"]["resume_at"]
        assert post(root, f"{there}resume/").json()["moved"] == 1
        assert post(root, f"{there}switch-off/", {"reason": "gone"}).json()["changed"]
        assert post(root, f"{there}test/").status_code == 409
        assert post(root, f"{there}pause/", {"until": "2020-01-01T00:00:00Z"}).status_code == 400
        assert [verb for verb, *_ in audit()] == ["pause", "pause", "switch_on", "switch_off"]

    def test_a_new_secret_is_told_once(self, root):
        endpoint = make_endpoint(URL)
        there, key = f"endpoints/{endpoint.pk}/rotate-secret/", str(uuid.uuid4())

        first = post(root, there, {"reason": "a leak", "overlap_hours": 0}, key)
        second = post(root, there, {"reason": "a leak", "overlap_hours": 0}, key)

        [signing] = endpoint.secrets.live()
        assert first.json()["secret"] == signing.reveal()
        assert (second.json()["secret"], second["Idempotency-Replayed"]) == (None, "true")
        assert "first answer" in second.json()["notice"]
        assert audit() == [("rotate_secret", "root", "a leak")]

    def test_a_test_reaches_it_alone(self, root, endpoint, receiver):
        make_endpoint("https://other.example/")

        sent = post(root, f"endpoints/{endpoint.pk}/test/")
        drained = post(root, "retries/drain/").json()

        assert sent.status_code == 202
        assert sent.json()["event_type"] == "webhook.test"
        assert drained["delivered"] == len(receiver.received) == 1
        assert audit()[0][:2] == ("test", "root")

    def test_what_it_did_not_get_is_recovered(self, root):
        endpoint, since = make_endpoint(URL), {"since": "2026-01-01T00:00:00Z", "rate": 5}
        publish("order.paid", {})
        Delivery.objects.update(state="dead", due_at=None, ended_at=timezone.now())
        endpoints.switch_off(endpoint.pk, using="default")
        publish("order.paid", {})

        failed = post(root, f"endpoints/{endpoint.pk}/recover/", {**since, "reason": "back"})
        missed = post(root, f"endpoints/{endpoint.pk}/recover-missed/", since)

        assert (failed.status_code, failed.json()["expected"]) == (201, 1)
        assert failed.json()["selection"]["endpoint"] == endpoint.pk
        assert (missed.json()["kind"], missed.json()["expected"]) == ("missed", 1)
        assert [verb for verb, *_ in audit()] == ["redeliver", "recover_missed"]

    def test_recovering_goes_as_carefully_as_from_the_console_unless_asked_otherwise(self, root):
        where, since = f"endpoints/{make_endpoint(URL).pk}/", {"since": "2026-01-01T00:00:00Z"}
        wished = {"rate": None, "canary": 0, "stop_above": None, "once": False}

        usual = post(root, f"{where}recover/", since).json()
        asked = post(root, f"{where}recover/", {**since, **wished}).json()
        missed = post(root, f"{where}recover-missed/", since).json()

        careful = {"rate": 10.0, "canary": 5, "stop_above": 50, "once": True}
        assert {name: usual[name] for name in wished} == careful
        assert {name: asked[name] for name in wished} == wished
        assert missed["rate"] == 10.0
        refused = post(root, f"{where}recover-missed/", {**since, "canary": 5})
        assert refused.status_code == 400


class TestRedeliveries:
    @pytest.fixture
    def dead(self, root):
        make_endpoint(URL)
        for number in range(3):
            publish("order.paid", {"number": number})
        Delivery.objects.update(
            state="dead", due_at=None, reason="timeout", ended_at=timezone.now()
        )

    def test_one_is_previewed_begun_watched_and_ended(self, root, dead):
        chosen = {"selection": {"reason": "timeout", "event_type": "order.*"}}
        previewed = post(root, "redeliveries/preview/", chosen).json()
        begun = post(root, "redeliveries/", {**chosen, "reason": "fixed", "rate": 2}).json()
        there = f"redeliveries/{begun['id']}/"

        assert previewed["sent"] == {"of": 3, "capped": False}
        assert (begun["expected"], begun["rate"], begun["once"]) == (3, 2.0, True)
        watched = root.get(f"{API}{there}").json()
        assert watched["progress"] == {"delivered": 0, "failed": 0, "waiting": 0, "gone": 0}
        assert post(root, f"{there}pause/").json()["redelivery"]["state"] == "paused"
        assert post(root, f"{there}pause/").json()["changed"] is False
        assert post(root, f"{there}rate/", {"rate": None}).json()["redelivery"]["rate"] is None
        assert post(root, f"{there}resume/").json()["changed"] is True
        assert post(root, f"{there}cancel/", {"reason": "a mistake"}).json()["changed"] is True
        assert post(root, f"{there}cancel/").json()["changed"] is False
        assert post(root, f"{there}resume/").status_code == 409
        assert audit()[0] == ("redeliver", "root", "fixed")
        assert audit()[-1] == ("batch cancelled", "root", f"#{begun['id']} a mistake")

    @pytest.mark.parametrize(
        ("rate", "status"), [(1 / 3600, 201), (100_000, 201), (0, 400), (0.0002, 400), (-1, 400)]
    )
    def test_it_takes_the_rates_that_the_console_takes(self, root, dead, endpoint, rate, status):
        since = {"since": "2026-01-01T00:00:00Z", "rate": rate}

        begun = post(root, "redeliveries/", {"rate": rate})
        again = post(root, f"endpoints/{endpoint.pk}/recover/", since)

        assert (begun.status_code, again.status_code) == (status, status)

    @pytest.mark.parametrize(
        "selection",
        [
            {"endpont": 7}, {"state": ["pending"]}, {"endpoint": 10**20}, {"q": "\0"},
            {"event": "x"}, {"ids": list(range(1, 300))}, {"since": "soon"}, {"status": 1000}, [],
        ],
        ids=lambda selection: str(selection)[:30],
    )  # fmt: skip
    def test_a_mistyped_filter_chooses_nothing(self, root, dead, selection):
        answer = post(root, "redeliveries/", {"selection": selection})

        assert answer.status_code == 400
        assert "/selection" in answer.json()["errors"][0]["pointer"]
        assert not RedeliveryBatch.objects.exists()


class TestOnce:
    def test_the_same_key_and_body_is_the_same_answer(self, root):
        body, key = {"url": URL}, f'"{uuid.uuid4()}"'

        first, second = post(root, "endpoints/", body, key), post(root, "endpoints/", body, key)

        assert (first.status_code, second.status_code) == (201, 201)
        assert first.json()["id"] == second.json()["id"]
        assert first.json()["secret"].startswith("whsec_")
        assert second.json()["secret"] is None
        assert second["Idempotency-Replayed"] == "true"
        assert Endpoint.objects.count() == Secret.objects.count() == 1
        assert len(audit()) == 1

    def test_what_has_arrived_in_between_is_not_sent_once_more(self, root, receiver, send_due):
        make_endpoint(receiver.url())
        delivery = publish("order.paid", {}).deliveries.get()
        send_due()
        asked = {"reason": "they lost it"}

        first = post(root, f"deliveries/{delivery.pk}/redeliver/", asked, "a")
        send_due()
        second = post(root, f"deliveries/{delivery.pk}/redeliver/", asked, "a")
        send_due()

        assert (first.json()["changed"], second["Idempotency-Replayed"]) == (True, "true")
        assert first.json() == second.json()
        assert len(receiver.received) == 2
        assert len(audit()) == 1

    @pytest.mark.parametrize(
        ("act", "state"),
        [("retry-now", "pending"), ("discard", "dead"), ("restore", "discarded")],
    )
    def test_whatever_is_done_to_a_delivery_may_have_a_key(self, root, act, state):
        make_endpoint(URL)
        delivery = publish("order.paid", {}).deliveries.get()
        later = timezone.now() + timedelta(hours=1) if state == "pending" else None
        as_it_was = {"state": state, "due_at": later}
        Delivery.objects.update(**as_it_was)
        first = post(root, f"deliveries/{delivery.pk}/{act}/", {}, "a")
        Delivery.objects.update(**as_it_was)

        second = post(root, f"deliveries/{delivery.pk}/{act}/", {}, "a")

        assert first.json()["changed"]
        assert (second.json(), second["Idempotency-Replayed"]) == (first.json(), "true")
        assert Delivery.objects.get().state == state

    def test_no_secret_is_kept(self, root):
        body = {"url": URL, "headers": {"Authorization": "Bearer t0k3n"}}
        first = post(root, "endpoints/", body, "a").json()

        kept = str(KeptAnswer.objects.values().get())

        assert first["secret"] not in kept
        assert "t0k3n" not in kept

    def test_another_body_is_another_question(self, root):
        post(root, "endpoints/", {"url": URL}, "a")

        answer = post(root, "endpoints/", {"url": f"{URL}/2"}, "a")

        assert answer.status_code == 422
        assert Endpoint.objects.count() == 1

    def test_another_user_and_another_act_have_keys_of_their_own(self, root):
        other = APIClient()
        other.force_login(User.objects.create_superuser("other"))
        endpoint = make_endpoint(URL)
        for client in (root, other):
            assert post(client, f"endpoints/{endpoint.pk}/test/", {}, "a").status_code == 202
        assert post(root, "redeliveries/", {"selection": {}}, "a").status_code == 201

        assert Event.objects.count() == 2

    def test_what_was_refused_may_be_asked_anew(self, root):
        assert post(root, "endpoints/", {"url": "x"}, "a").status_code == 400
        assert post(root, "endpoints/", {"url": URL}, "a").status_code == 201

    @pytest.mark.parametrize("key", ["a" * 256, "ä", 'a"b', " "])
    def test_a_key_is_short_and_printable(self, root, key):
        assert post(root, "endpoints/", {"url": URL}, key).status_code == 400

    def test_what_is_being_done_is_not_begun_again(self, root):
        post(root, "endpoints/", {"url": URL}, "a")
        KeptAnswer.objects.update(status=None)

        answer = post(root, "endpoints/", {"url": URL}, "a")

        assert answer.status_code == 409
        assert Endpoint.objects.count() == 1

    def test_who_died_over_it_is_taken_over(self, root):
        post(root, "endpoints/", {"url": URL}, "a")
        Endpoint.objects.all().delete()  # as the rollback did
        KeptAnswer.objects.update(status=None, created_at=timezone.now() - timedelta(minutes=2))

        assert post(root, "endpoints/", {"url": URL}, "a").status_code == 201
        assert Endpoint.objects.count() == 1

    def test_the_databases_clock_says_who_died(self, root, database_clock):
        database_clock.step(600)  # a worker's own is so much behind
        post(root, "endpoints/", {"url": URL}, "a")
        KeptAnswer.objects.update(status=None)

        assert post(root, "endpoints/", {"url": URL}, "a").status_code == 409
        assert Endpoint.objects.count() == 1

    @pytest.mark.django_db(transaction=True)
    def test_of_many_at_the_same_time_one_does_it(self):
        user = User.objects.create_superuser("root")
        make_endpoint(URL)
        answers, together = [], threading.Barrier(4)

        def ask() -> None:
            client = APIClient()
            client.force_authenticate(user)
            together.wait()
            try:
                answers.append(post(client, "redeliveries/", {"selection": {}}, "a").status_code)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert set(answers) <= {201, 409}
        assert 201 in answers
        assert RedeliveryBatch.objects.count() == 1


def raw(client, body: bytes, kind: str = "application/json"):
    return client.generic("POST", f"{API}endpoints/", body, kind)


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        ({"name": "\ud800"}, "#/name"),
        ({"\ud800": 1}, r"#/\ud800"),
        ({"tls_minimum": "\ud800"}, "#/tls_minimum"),
        ({"headers": {"\ud800": "a" * 1025}}, r"#/headers/\ud800"),
    ],
)
def test_half_a_character_is_no_error_of_ours(root, sent, pointer):
    answer = raw(root, json.dumps({"url": "https://example.com/", **sent}).encode())

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, pointer)


def test_a_body_is_bounded_in_size_and_depth(root):
    large, deep = raw(root, b"[" + b" " * 2**20 + b"]"), raw(root, b"[" * 100_000)
    other = raw(root, b"<a/>", "application/xml")

    assert [each.status_code for each in (large, deep, other)] == [413, 400, 415]
    assert {each["Content-Type"] for each in (large, deep, other)} == {"application/problem+json"}


def test_a_drain_is_bounded_in_number(root, endpoint, receiver):
    for number in range(5):
        publish("order.paid", {"number": number})

    told = post(root, "retries/drain/", {"most": 2}).json()

    assert (told["delivered"], told["left"], len(receiver.received)) == (2, 3, 2)
    assert told["next_due_seconds"] <= 0


@pytest.mark.parametrize(
    ("rates", "statuses"),
    [({}, [200, 200, 200]), ({"webhooks-read": "2/hour"}, [200, 200, 429])],
    ids=["without a rate of ours", "with one"],
)
def test_a_throttle_by_scopes_of_the_project_leaves_ours_alone(root, monkeypatch, rates, statuses):
    cache.clear()
    monkeypatch.setattr(api_settings, "DEFAULT_THROTTLE_CLASSES", [ScopedRateThrottle])
    monkeypatch.setattr(api_settings, "DEFAULT_THROTTLE_RATES", rates)
    monkeypatch.setattr(ScopedRateThrottle, "THROTTLE_RATES", rates)

    assert [root.get(f"{API}deliveries/").status_code for _ in range(3)] == statuses


def test_rates_are_those_of_the_project(root, monkeypatch):
    cache.clear()
    monkeypatch.setattr(api_settings, "DEFAULT_THROTTLE_RATES", {"webhooks-drain": "1/hour"})

    first, second = post(root, "retries/drain/"), post(root, "retries/drain/")

    assert (first.status_code, second.status_code) == (200, 429)
    assert int(second["Retry-After"]) > 3000
    assert root.get(f"{API}retries/").status_code == 200
