"""Whose rows a user sees: who says it is asked once in a request, and about who asks."""

import pytest
from django.utils import timezone
from rest_framework.request import Request

from tests.conftest import make_endpoint
from tests.owing import statements
from webhook_delivery import batches, tenancy
from webhook_delivery.models import Endpoint, RedeliveryBatch
from webhook_delivery.selecting import selection_of

asked: list[str] = []


def only_acme(user) -> list[str]:
    asked.append(user.username)
    return ["acme"]


def of_two_memberships(user) -> list[str]:
    return ["globex", "acme", "acme"]


@pytest.fixture
def questions(settings) -> list[str]:
    """For whom the project's function was asked."""
    wanted = {"CONSOLE_TENANTS": "tests.test_tenancy.only_acme"}
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, **wanted}
    asked.clear()
    return asked


@pytest.mark.parametrize(
    "address",
    [
        "/admin/webhook_delivery/overview/",
        "/admin/webhook_delivery/endpoint/",
        "/admin/webhook_delivery/endpoint/add/",
        "/admin/webhook_delivery/consoleaction/",
        "/admin/webhook_delivery/redeliverybatch/",
        "/webhooks/api/endpoints/",
        "/webhooks/api/redeliveries/",
        "/webhooks/api/retries/",
    ],
)
def test_a_page_asks_once(admin_client, questions, address):
    assert admin_client.get(address).status_code == 200
    assert questions == ["admin"]


def test_a_tenant_that_is_named_twice_is_one(rf, settings, django_user_model):
    wanted = {"CONSOLE_TENANTS": "tests.test_tenancy.of_two_memberships"}
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, **wanted}
    request = rf.get("/")
    request.user = django_user_model(username="ann")

    assert tenancy.tenants_of(request) == ["acme", "globex"]


def test_what_wraps_a_request_knows_the_answer(rf, questions, django_user_model):
    plain = rf.get("/")
    wrapped = Request(plain)
    wrapped.user = django_user_model(username="ann")

    assert [tenancy.tenants_of(each) for each in (plain, wrapped, plain)] == [["acme"]] * 3
    assert questions == ["ann"]


def test_nobody_is_given_the_answer_of_who_asked_before(rf, questions, django_user_model):
    """An authenticator of an API may know another user than the session."""
    request = rf.get("/")
    for name in ("ann", "ben", "ben"):
        request.user = django_user_model(username=name)
        tenancy.tenants_of(request)
        tenancy.tenants_of(request)

    assert questions == ["ann", "ben", "ben"]


def test_a_tenant_of_many_endpoints_sees_what_each_of_them_missed(db):
    Endpoint.objects.bulk_create(
        Endpoint(name=f"{n}", url="https://receiver.example/", tenant="acme") for n in range(1002)
    )
    ends = [Endpoint.objects.earliest("pk"), Endpoint.objects.latest("pk")]
    other = make_endpoint(tenant="globex")
    theirs = [batches.start_missed(each.pk, timezone.now()).pk for each in [*ends, other]][:2]
    for which in ({"tenants": ["acme", "globex"]}, {"endpoint": ends[0].pk}, {}):
        batches.start(selection_of(**which))
    theirs.append(batches.start(selection_of(tenants=["acme"])).pk)

    with statements() as said:
        seen = tenancy.redeliveries_of(RedeliveryBatch.objects.order_by("pk"), ["acme"])
        assert [each.pk for each in seen] == theirs

    assert len(said) == 1
