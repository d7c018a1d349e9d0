"""What the API lists: whose rows, page by page, narrowed, in a constant number of statements."""

import base64
import json
from datetime import timedelta
from inspect import signature

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from tests.conftest import make_endpoint
from tests.owing import owe
from webhook_delivery import batches, publish
from webhook_delivery.api.choosing import SelectionSerializer
from webhook_delivery.api.filters import DeliveryFilter
from webhook_delivery.clock import Now
from webhook_delivery.models import ConsoleAction, Delivery, Endpoint, Event, RedeliveryBatch
from webhook_delivery.selecting import selection_of

API = "/webhooks/api/"
LISTS = ["attempts", "deliveries", "endpoints", "events", "redeliveries", "retries"]


@pytest.fixture
def root(db):
    client = APIClient()
    client.force_login(User.objects.create_superuser("root"))
    return client


def ids(client, address: str) -> list:
    return [row["id"] for row in client.get(f"{API}{address}").json()["results"]]


def dead(*deliveries: Delivery, reason: str = "timeout") -> None:
    rows = Delivery.objects.filter(pk__in=[each.pk for each in deliveries])
    rows.update(state="dead", due_at=None, reason=reason, ended_at=timezone.now())


class TestTenants:
    @pytest.fixture
    def two(self, db, settings):
        """Ann sees acme's; of each tenant there is one of everything."""
        wanted = {"CONSOLE_TENANTS": "tests.test_api_lists.tenants_of"}
        settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, **wanted}
        both = {}
        for tenant in ("acme", "other"):
            endpoint = make_endpoint(f"https://{tenant}.example/", tenant=tenant, name=tenant)
            event = publish("order.paid", {"of": tenant}, tenant=tenant)
            dead(event.deliveries.get())
            selection = selection_of(tenants=[tenant])
            batch = batches.start(selection, by=tenant)
            both[tenant] = endpoint, event, event.deliveries.get(), batch
        return both

    @pytest.fixture
    def ann(self, two):
        client = APIClient()
        client.force_login(User.objects.create_superuser("acme"))
        return client

    def test_lists_hold_only_what_is_of_them(self, ann, two):
        endpoint, event, delivery, batch = two["acme"]

        assert ids(ann, "endpoints/") == [endpoint.pk]
        assert ids(ann, "events/") == [event.webhook_id]
        assert ids(ann, "deliveries/") == ids(ann, "retries/?state=dead") == [delivery.pk]
        assert ids(ann, "redeliveries/") == [batch.pk]
        assert ann.get(f"{API}retries/").json()["counts"]["dead"] == 1

    def test_what_is_of_others_is_not_there(self, ann, two):
        endpoint, event, delivery, batch = two["other"]
        asked = {
            "endpoints": endpoint.pk,
            "events": event.webhook_id,
            "deliveries": delivery.pk,
            "redeliveries": batch.pk,
        }
        for resource, pk in asked.items():
            assert ann.get(f"{API}{resource}/{pk}/").status_code == 404
        for act in (
            f"endpoints/{endpoint.pk}/pause",
            f"deliveries/{delivery.pk}/redeliver",
            f"redeliveries/{batch.pk}/cancel",
        ):
            assert ann.post(f"{API}{act}/", {}, format="json").status_code == 404

    def test_a_redelivery_is_bound_to_whom_its_beginner_sees(self, ann, two):
        begun = ann.post(f"{API}redeliveries/", {"selection": {}}, format="json").json()
        since = {"since": "2026-01-01T00:00:00Z"}
        mine = f"{API}endpoints/{two['acme'][0].pk}/"
        recovered = ann.post(f"{mine}recover/", since, format="json").json()
        missed = ann.post(f"{mine}recover-missed/", since, format="json").json()

        assert begun["expected"] == 1
        for each in (begun, recovered, missed):
            assert RedeliveryBatch.objects.get(pk=each["id"]).selection["tenants"] == ["acme"]
        both = {"selection": {"endpoints": [two["acme"][0].pk, two["other"][0].pk]}}
        previewed = ann.post(f"{API}redeliveries/preview/", both, format="json").json()
        assert previewed["chosen"] == {"of": 1, "capped": False}

    def test_a_redelivery_names_no_endpoint_of_others(self, ann, two):
        both = [endpoint.pk for endpoint, *_ in two.values()]
        of = {"selection": {"endpoints": both}}
        begun = ann.post(f"{API}redeliveries/", of, format="json").json()
        admin = Client()
        admin.force_login(User.objects.get(username="acme"))

        for page in ("", f"{begun['id']}/change/"):
            told = admin.get(f"/admin/webhook_delivery/redeliverybatch/{page}").content.decode()
            assert f"acme, #{both[1]}" in told

    def test_where_an_endpoint_has_gone_its_name_goes_too(self, ann, two):
        endpoint, event, *_ = two["acme"]
        Endpoint.objects.filter(pk=endpoint.pk).update(tenant="other", name="secret-customer")
        admin = Client()
        admin.force_login(User.objects.get(username="acme"))

        assert ann.get(f"{API}events/{event.webhook_id}/").json()["deliveries"] == []
        page = admin.get(f"/admin/webhook_delivery/event/{event.pk}/change/")
        assert page.status_code == 200
        assert "secret-customer" not in page.content.decode()

    def test_nothing_is_made_for_others(self, ann, two):
        new = {"url": "https://example.com/", "tenant": "other"}
        mine = f"{API}endpoints/{two['acme'][0].pk}/"

        assert ann.post(f"{API}endpoints/", new, format="json").status_code == 400
        assert ann.patch(mine, {"tenant": "other"}, format="json").status_code == 400
        assert ann.post(f"{API}endpoints/", {**new, "tenant": "acme"}, format="json").json()["id"]

    def test_draining_and_the_names_in_health_are_not_for_them(self, ann):
        assert ann.post(f"{API}retries/drain/", {}, format="json").status_code == 403
        told = ann.get(f"{API}health/").json()
        assert (told["illnesses"], told["remarks"]) == ([], [])


def tenants_of(user) -> list[str]:
    return [user.username]


class TestPages:
    def test_they_stay_where_they_are_while_rows_are_added(self, root):
        make_endpoint()
        for number in range(5):
            publish("order.paid", {"number": number})
        first = root.get(f"{API}deliveries/?page_size=2").json()
        publish("order.paid", {"number": 5})
        second = root.get(first["next"]).json()
        third = root.get(second["next"]).json()

        seen = [row["id"] for page in (first, second, third) for row in page["results"]]
        assert seen == sorted(seen, reverse=True)
        assert len(set(seen)) == 5
        assert third["next"] is None
        assert [row["id"] for row in root.get(third["previous"]).json()["results"]] == seen[2:4]

    def test_events_have_them_too(self, root):
        for number in range(3):
            publish("order.paid", {"number": number})
        first = root.get(f"{API}events/?page_size=2").json()
        second = root.get(first["next"]).json()

        assert len({row["id"] for page in (first, second) for row in page["results"]}) == 3

    @pytest.mark.parametrize("size", ["0", "201", "ten", "-1", "1e9", "9" * 30])
    def test_their_size_is_bounded(self, root, size):
        answer = root.get(f"{API}deliveries/?page_size={size}")

        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"] == "#/page_size"

    @pytest.mark.parametrize("position", ["p=x", "p=%00", "p=" + "9" * 40, "o=-1", "x"])
    @pytest.mark.parametrize("resource", LISTS)
    def test_a_cursor_that_is_not_ours_is_no_error_of_ours(self, root, resource, position):
        cursor = base64.b64encode(position.encode()).decode()

        answer = root.get(f"{API}{resource}/", {"cursor": cursor})

        assert answer.status_code in (200, 404)


@pytest.mark.parametrize("resource", LISTS)
def test_a_list_takes_as_many_statements_however_long(root, resource):
    def statements() -> int:
        with CaptureQueriesContext(connection) as found:
            assert root.get(f"{API}{resource}/").status_code == 200
        return len(found)

    def add(count: int) -> None:
        for number in range(count):
            endpoint = make_endpoint(f"https://r{number}.example/", "order.*", name=f"r{number}")
            publish("order.paid", {"number": number}, endpoints=[endpoint])
            batches.start(selection_of(endpoint=endpoint.pk))
        for delivery in Delivery.objects.all():
            attempt = {"trigger": "schedule", "started_at": timezone.now(), "verdict": "retry"}
            delivery.attempts.get_or_create(number=1, defaults=attempt)
        Delivery.objects.update(attempts_made=1, reason="timeout")

    add(1)
    statements()
    few = statements()
    add(4)

    assert statements() == few <= 12


class TestFilters:
    def test_they_are_those_that_redeliveries_know(self):
        known = set(signature(selection_of).parameters)

        assert known - {"tenants"} == set(SelectionSerializer().fields) - {"fate"}
        assert known - {"tenants", "endpoints", "ids"} <= set(DeliveryFilter.base_filters)

    @pytest.fixture
    def some(self, root):
        """One paid, delivered; one sent, dead of a timeout; one waiting, elsewhere."""
        a, b = make_endpoint(name="a"), make_endpoint(name="b")
        paid = publish("order.paid", {}, endpoints=[a], source="shop.order:1").deliveries.get()
        sent = publish("order.sent", {}, endpoints=[a], source="shop.order:2").deliveries.get()
        late = publish("user.new", {}, endpoints=[b]).deliveries.get()
        Delivery.objects.filter(pk=paid.pk).update(
            state="delivered", due_at=None, last_status=200, ended_at=timezone.now()
        )
        Delivery.objects.filter(pk=sent.pk).update(
            state="dead", due_at=None, last_status=504, reason="timeout", ended_at=timezone.now(),
            created_at=timezone.now() - timedelta(days=2),
        )  # fmt: skip
        return {"paid": paid.pk, "sent": sent.pk, "late": late.pk, "a": a.pk, "event": paid.event}

    @pytest.mark.parametrize(
        ("asked", "expected"),
        [
            ("state=dead", ["sent"]),
            ("state=dead,pending", ["late", "sent"]),
            ("endpoint={a}", ["sent", "paid"]),
            ("event_type=order.*", ["sent", "paid"]),
            ("event_type=user.new", ["late"]),
            ("event=evt_{event.id.hex}", ["paid"]),
            ("event=nothing", []),
            ("reason=timeout", ["sent"]),
            ("status=504", ["sent"]),
            ("status=0", ["late"]),
            ("since=2020-01-01T00:00:00Z", ["late", "sent", "paid"]),
            ("until=2020-01-01T00:00:00Z", []),
            ("died_since=2020-01-01T00:00:00Z", ["sent", "paid"]),
            ("since=0001-01-01T00:00:00%2B14:00", ["late", "sent", "paid"]),
            ("q=order.sent", ["sent"]),
            ("q={paid}", ["paid"]),
            ("source=shop.order:2", ["sent"]),
            ("batch=12345", []),
            ("due=now", ["late"]),
            ("due=later", []),
        ],
    )
    def test_each_narrows(self, root, some, asked, expected):
        assert ids(root, f"deliveries/?{asked.format(**some)}") == [some[name] for name in expected]

    def test_what_waits_for_its_turn_is_listed_with_what_is_due_later(self, root, endpoint):
        _due, later, turn = owe(3, endpoint)
        Delivery.objects.filter(pk=later.pk).update(due_at=Now() + timedelta(hours=1))
        Delivery.objects.filter(pk=turn.pk).update(due_at=None, sequence=7)

        assert ids(root, "deliveries/?due=later") == [turn.pk, later.pk]
        assert root.get(f"{API}retries/").json()["counts"]["waiting"] == 2

    @pytest.mark.parametrize(
        "asked",
        ["stat=dead", "state=ded", "endpoint=x", "endpoint=" + "9" * 30, "endpoint=", "since=today",
         "status=1000", "state=dead,,held", "reason=rain", "q=%00", "fate=nice", "state="],
    )  # fmt: skip
    def test_what_has_no_meaning_is_refused_and_named(self, root, some, asked):
        answer = root.get(f"{API}deliveries/?{asked}")

        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"].startswith("#/" + asked.partition("=")[0])

    def test_endpoints_and_events_and_attempts_have_theirs(self, root, some):
        assert ids(root, "endpoints/?name=b") == [Endpoint.objects.get(name="b").pk]
        assert ids(root, "endpoints/?failing=true&state=on,off") == []
        assert len(ids(root, "events/?event_type=order.*&since=2020-01-01T00:00:00Z")) == 2
        assert ids(root, "events/?source=shop.order:2") == [
            Event.objects.get(source="shop.order:2").webhook_id
        ]
        assert ids(root, "events/?until=2020-01-01T00:00:00Z") == []
        assert len(ids(root, "events/?until=2100-01-01T00:00:00Z&tenant=acme")) == 0
        assert len(ids(root, "events/?until=2100-01-01T00:00:00Z")) == 3
        assert ids(root, "attempts/?delivery=1&verdict=dead&reason=timeout&status=500") == []


def test_no_secret_is_in_any_answer(root, settings):
    """What is sealed, what opens it, and passwords in settings."""
    settings.WEBHOOK_DELIVERY = {
        **settings.WEBHOOK_DELIVERY,
        "SECRET_KEYS": ["cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4="],
        "EGRESS_PROXY": "http://user:pa55word@proxy.internal:4750/?token=t0k3n",
    }
    body = {"url": "https://example.com/", "headers": {"Authorization": "Bearer t0k3n"}}
    created = root.post(f"{API}endpoints/", body, format="json").json()
    publish("order.paid", {})
    told = [root.get(f"{API}{name}/").content.decode() for name in [*LISTS, "config", "health"]]
    told.append(root.get(f"{API}endpoints/{created['id']}/").content.decode())
    told.append(json.dumps([*ConsoleAction.objects.values_list("about", "reason")]))

    for secret in (created["secret"], "t0k3n", "pa55word", "cw_0x689RpI", settings.SECRET_KEY):
        assert not [text for text in told if secret in text], secret
    config = root.get(f"{API}config/").json()["settings"]
    assert config["EGRESS_PROXY"] == "http://***@proxy.internal:4750/"
    assert config["CONCURRENCY"] == 8
    assert config["SECRET_KEYS"] == ["***"]
