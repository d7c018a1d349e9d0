"""Who may do what through the API: every route and method, for everybody there is."""

import itertools
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.utils import timezone
from rest_framework import authentication
from rest_framework.settings import api_settings
from rest_framework.test import APIClient

from tests.conftest import make_endpoint
from webhook_delivery import batches, publish, roles
from webhook_delivery.api import urls
from webhook_delivery.api.rights import RIGHTS
from webhook_delivery.models import (
    ConsoleAction,
    Delivery,
    Endpoint,
    Event,
    RedeliveryBatch,
    SearchKey,
    Secret,
)
from webhook_delivery.selecting import selection_of

API = "/webhooks/api/"
METHODS = ["get", "post", "put", "patch", "delete", "options"]
ROLES = {name.removeprefix("Webhook "): rights for name, rights in roles.ROLES.items()}
BODIES = {
    "endpoints.create": {"url": "https://example.com/new"},
    "endpoints.recover": {"since": "2026-01-01T00:00:00Z"},
    "endpoints.recover_missed": {"since": "2026-01-01T00:00:00Z"},
    "events.erase": {"reason": "at their request"},
    "events.forward": {"endpoint": 1},
    "groups.acknowledge": {"endpoint": 1, "failure": "timeout"},
    "groups.reopen": {"endpoint": 1, "failure": "timeout"},
    "redeliveries.create": {"selection": {"q": "order.paid"}},
    "redeliveries.preview": {"selection": {"q": "order.paid"}},
    "redeliveries.rate": {"rate": 3},
    "retries.drain": {"seconds": 1},
}


def routes():
    """Each address, with the act of each of its methods."""
    for pattern in urls.urlpatterns:
        view = pattern.callback
        yield (
            str(pattern.pattern),
            {
                method: f"{view.cls.resource}.{act}"
                for method, act in view.actions.items()
                if method != "head"
            },
        )


ACTS = {act: (route, method) for route, acts in routes() for method, act in acts.items()}


@pytest.fixture
def rows(db):
    endpoint = make_endpoint()
    event = publish("order.paid", {"number": 7})
    Delivery.objects.update(state="dead", due_at=None, reason="timeout")
    batch = batches.start(selection_of(), rate=1)
    of = {"endpoints": endpoint, "events": event, "redeliveries": batch}
    return {**{name: str(row.pk) for name, row in of.items()}, "deliveries": event.deliveries.get()}


@pytest.fixture
def address(rows):
    def of(route: str) -> str:
        resource = route.strip("^").partition("/")[0]
        row = rows.get(resource)
        pk = str(getattr(row, "pk", row))
        return API + route.strip("^$").replace("(?P<pk>[^/]+)", pk).replace(r"\Z", "")

    return of


def signed_in(role: str = "") -> APIClient:
    user = User.objects.create_user(f"user-{User.objects.count()}")
    if role:
        roles.ensure_groups(using="default")
        user.groups.add(Group.objects.get(name=f"Webhook {role}"))
    client = APIClient()
    client.force_login(user)
    return client


@contextmanager
def undone():
    """Whatever is done is undone."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def allowed(act: str, rights: frozenset[str]) -> bool:
    wanted = [{right} if isinstance(right, str) else right for right in RIGHTS[act]]
    return all(each & rights for each in wanted)


def ask(client: APIClient, act: str, address, method: str = ""):
    route, usual = ACTS[act]
    return getattr(client, method or usual)(address(route), BODIES.get(act, {}), format="json")


def test_the_table_is_of_just_those_acts_that_there_are():
    assert set(ACTS) == set(RIGHTS)


def test_each_right_is_one_that_a_role_has():
    named = itertools.chain(*RIGHTS.values())
    flat = {one for each in named for one in ({each} if isinstance(each, str) else each)}

    assert flat <= roles.ADMINISTERING


def test_who_has_not_signed_in_gets_nothing_by_any_method(address):
    for (path, _acts), method in itertools.product(routes(), METHODS):
        answer = getattr(APIClient(), method)(address(path), {}, format="json")

        assert answer.status_code == 401, (path, method)
        assert answer["WWW-Authenticate"]
        assert answer["Content-Type"] == "application/problem+json"


def test_who_has_no_right_of_ours_gets_nothing(address):
    nobody = signed_in()

    found = {act: ask(nobody, act, address).status_code for act in RIGHTS if RIGHTS[act]}

    assert set(found.values()) == {403}, found


@pytest.mark.parametrize("role", ROLES)
def test_each_role_may_do_what_the_table_says(role, address):
    user = signed_in(role=role)
    for act in RIGHTS:
        with undone():
            answer = ask(user, act, address)

        if allowed(act, ROLES[role]):
            assert answer.status_code in (200, 201, 202, 409, 503), (act, answer.content)
        else:
            assert answer.status_code == 403, act
            assert "permission" in answer.json()["detail"]


def test_a_viewer_reads_everything_and_changes_nothing(address):
    def everything():
        kinds = Delivery, Endpoint, Event, RedeliveryBatch, Secret, ConsoleAction
        return [sorted(map(str, model.objects.values_list())) for model in kinds]

    viewer, before = signed_in(role="viewer"), everything()

    for act, (_route, method) in ACTS.items():
        answered = ask(viewer, act, address).status_code
        assert (answered in (200, 503)) is (method == "get"), (act, answered)

    assert everything() == before


def test_a_method_that_there_is_not_is_405(address):
    client = APIClient()
    client.force_login(User.objects.create_superuser("root"))
    for path, acts in routes():
        for method in set(METHODS) - set(acts):
            answer = getattr(client, method)(address(path), {}, format="json")
            assert answer.status_code == 405, (path, method)
            assert answer["Content-Type"] == "application/problem+json"


def test_an_act_without_an_entry_in_the_table_is_refused(monkeypatch, address):
    monkeypatch.setattr("webhook_delivery.api.rights.RIGHTS", {})
    root = User.objects.create_superuser("root")
    client = APIClient()
    client.force_login(root)

    answer = client.get(f"{API}deliveries/")

    assert answer.status_code == 403
    assert "no entry" in answer.json()["detail"]


@pytest.mark.parametrize(
    "authenticators", [[], ["Session"], ["Token"], ["Basic", "Session"]], ids=str
)
def test_whatever_the_project_lets_through_ours_is_closed(authenticators, address, monkeypatch):
    """Its defaults allow anybody; and no authenticator, or one, may know what to ask for."""
    classes = [getattr(authentication, f"{name}Authentication") for name in authenticators]
    monkeypatch.setattr(api_settings, "DEFAULT_AUTHENTICATION_CLASSES", classes)

    answer = APIClient().get(f"{API}deliveries/")

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"]


def test_settings_for_the_projects_own_api_change_nothing_here(address, settings):
    """They are read live, or not at all."""
    settings.REST_FRAMEWORK = {
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"],
        "DEFAULT_VERSIONING_CLASS": "rest_framework.versioning.NamespaceVersioning",
        "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.StaticHTMLRenderer"],
        "EXCEPTION_HANDLER": "tests.nowhere",
        "NON_FIELD_ERRORS_KEY": "all",
        "DATETIME_FORMAT": "%d.%m.%Y",
        "STRICT_JSON": False,
    }
    admin = signed_in(role="admin")

    [row] = admin.get(f"{API}deliveries/").json()["results"]
    wrong = admin.post(f"{API}redeliveries/", {"selection": 7}, format="json").json()
    odd = admin.generic("POST", f"{API}retries/drain/", b'{"seconds": NaN}', "application/json")

    assert row["created_at"].endswith("Z")
    assert [each["pointer"] for each in wrong["errors"]] == ["#/selection"]
    assert odd.status_code == 400


def test_no_act_is_inside_of_a_transaction_of_its_request():
    """With ATOMIC_REQUESTS, a drain would hold locks while it waits for receivers."""
    for pattern in urls.urlpatterns:
        assert pattern.callback._non_atomic_requests >= {"default"}


def test_more_deliveries_take_more_rights(address):
    rights = {
        "operator": {"ids": 201, "endpoint": 201, "all": 403},
        "admin": {"ids": 201, "endpoint": 201, "all": 201},
    }
    pk = Delivery.objects.get().pk if Delivery.objects.exists() else 1
    selections = {"ids": {"ids": [pk]}, "endpoint": {"endpoint": 1}, "all": {"event_type": "*"}}
    for role, expected in rights.items():
        client = signed_in(role=role)
        for name, selection in selections.items():
            body = {"selection": selection}
            answer = client.post(f"{API}redeliveries/", body, format="json")
            assert answer.status_code == expected[name], (role, name, answer.content)


@pytest.mark.parametrize(
    ("bound", "days", "status"),
    [
        ("since", -29, 201), ("died_since", -29, 201),
        ("since", -31, 403), ("died_since", -31, 403), ("since", -20_000, 403),
        ("until", 1, 403), ("until", -1, 403), ("died_until", 9_000, 403), ("died_until", -1, 403),
    ],
)  # fmt: skip
def test_a_moment_narrows_only_what_began_lately(rows, bound, days, status):
    """All there is lies after 1970 and before tomorrow."""
    moment = timezone.now() + timedelta(days=days)
    body = {"selection": {bound: moment.isoformat()}}

    for where in ("", "preview/"):
        answer = signed_in("operator").post(f"{API}redeliveries/{where}", body, format="json")
        assert answer.status_code == (200 if where and status == 201 else status), answer.content
    assert signed_in("admin").post(f"{API}redeliveries/", body, format="json").status_code == 201


def test_urls_are_masked_for_who_may_not_see_them(db):
    endpoint = make_endpoint("https://receiver.example/t0k3n?key=1")

    def seen_by(role: str) -> str:
        return signed_in(role=role).get(f"{API}endpoints/{endpoint.pk}/").json()["url"]

    assert seen_by("operator") == "https://receiver.example/…"
    assert seen_by("admin") == "https://receiver.example/t0k3n?key=1"


def test_bodies_and_answers_are_for_who_may_see_payloads(db, endpoint, receiver, send_due):
    event = publish("order.paid", {"number": 7})
    SearchKey.objects.create(event=event, key="order", value="7")
    send_due()
    delivery = event.deliveries.get()

    def seen_by(role: str):
        client = signed_in(role=role)
        told = client.get(f"{API}events/{event.webhook_id}/").json()
        log = client.get(f"{API}deliveries/{delivery.pk}/").json()["log"]
        listed = client.get(f"{API}attempts/").json()["results"]
        return told["body"], told["search_keys"], log[0]["excerpt"], listed[0]["excerpt"]

    assert seen_by("viewer") == (None, None, None, None)
    body, keys, *excerpts = seen_by("operator")
    assert '"number":7' in body
    assert keys == {"order": "7"}
    assert excerpts[0] is not None
    assert excerpts[0] == excerpts[1]
