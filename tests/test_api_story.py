"""What an operator's own tools do through the API, from a failure to its end, on a real socket."""

import pytest
from django.contrib.auth.models import Group, User
from rest_framework.test import APIClient

from tests.conftest import make_due, make_endpoint
from webhook_delivery import publish, roles
from webhook_delivery.models import ConsoleAction, Delivery, Endpoint

API = "/webhooks/api"


@pytest.fixture
def clients(db):
    roles.ensure_groups(using="default")

    def client(role: str) -> APIClient:
        user, _new = User.objects.get_or_create(username=role)
        user.groups.add(Group.objects.get(name=f"Webhook {role}"))
        signed_in = APIClient()
        signed_in.force_login(user)
        return signed_in

    return client


@pytest.fixture
def operator(clients):
    return clients("operator")


def say_inline(django_capture_on_commit_callbacks, **options):
    with django_capture_on_commit_callbacks(execute=True):
        return publish("order.paid", {"number": 7}, inline=True, **options)


def test_a_failure_waits_in_the_queue_until_it_is_drained(
    operator, receiver, django_capture_on_commit_callbacks
):
    endpoint = make_endpoint(receiver.url(), retry_schedule=[1, 1])
    receiver.replies(503, 200)
    event = say_inline(django_capture_on_commit_callbacks)

    queue = operator.get(f"{API}/retries/").json()
    [row] = queue["results"]
    assert queue["counts"] == {"waiting": 1, "due": 0, "sending": 0, "held": 0, "dead": 0}
    assert row["webhook_id"] == event.webhook_id
    assert row["endpoint"] == endpoint.pk
    assert row["state"] == "pending"
    assert row["attempts"] == 1
    assert row["last_status"] == 503
    assert "5xx" in row["last_error"]
    assert row["last_attempt_at"] < row["due_at"]
    assert row["delivered_at"] is None

    make_due()
    assert operator.get(f"{API}/retries/").json()["counts"]["due"] == 1
    drained = operator.post(f"{API}/retries/drain/", {}, format="json").json()
    assert drained == {
        "delivered": 1, "retried": 0, "dead": 0, "left": 0, "next_due_seconds": None
    }  # fmt: skip

    now = operator.get(f"{API}/deliveries/{row['id']}/").json()
    assert (now["state"], now["attempts"], now["last_status"]) == ("delivered", 2, 200)
    assert now["delivered_at"] == now["ended_at"] > row["last_attempt_at"]
    assert [each["status"] for each in now["log"]] == [503, 200]
    assert operator.get(f"{API}/retries/").json()["results"] == []


def test_a_dead_letter_is_sent_again_by_who_may(
    operator, clients, receiver, django_capture_on_commit_callbacks
):
    make_endpoint(receiver.url(), retry_schedule=[])
    receiver.replies(500, 200)
    say_inline(django_capture_on_commit_callbacks)

    [row] = operator.get(f"{API}/retries/?state=dead").json()["results"]
    assert (row["state"], row["attempts"], row["last_status"]) == ("dead", 1, 500)
    assert row["last_error"]
    assert row["last_attempt_at"]
    assert row["due_at"] is None

    redeliver = f"{API}/deliveries/{row['id']}/redeliver/"
    refused = clients("viewer").post(redeliver, {"reason": "I am curious"}, format="json")
    assert refused.status_code == 403
    assert "redeliver_delivery" in refused.json()["detail"]
    assert refused["Content-Type"] == "application/problem+json"
    assert Delivery.objects.get().state == Delivery.State.DEAD

    done = operator.post(redeliver, {"reason": "after deploy 4.2"}, format="json").json()
    assert done["changed"] is True
    assert done["delivery"]["state"] == "pending"
    again = operator.post(redeliver, {}, format="json")
    assert (again.status_code, again.json()["changed"]) == (200, False)

    drained = operator.post(f"{API}/retries/drain/", {"seconds": 5}, format="json").json()
    assert drained["delivered"] == 1
    assert Delivery.objects.get().state == Delivery.State.DELIVERED
    kept = ConsoleAction.objects.get()
    assert (kept.verb, kept.by_name, kept.reason) == ("redeliver", "operator", "after deploy 4.2")


def test_what_cannot_be_sent_again_says_what_to_do(operator):
    endpoint = make_endpoint(state=Endpoint.State.PAUSED)
    event = publish("order.paid", {})
    held = event.deliveries.get()

    answer = operator.post(f"{API}/deliveries/{held.pk}/redeliver/")

    assert endpoint.state == "paused"
    assert answer.status_code == 409
    assert answer.json()["title"] == "Conflict"
    assert "held" in answer.json()["detail"]


def test_who_has_not_signed_in_is_asked_to(client, db):
    answer = client.get(f"{API}/retries/")

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"]
    assert answer.json()["status"] == 401
