"""Every address of the console that changes something: who may, when, and what is kept of it."""

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client

from tests.screens import Address, newest, own_addresses
from tests.screens.acts import ACTS
from tests.screens.past import write_past
from webhook_delivery.models import Doorbell

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.nightly_on_servers]

ACTING = [address for address in own_addresses() if address.name in ACTS]

each_act = pytest.mark.parametrize("address", ACTING, ids=str)


@pytest.fixture
def root(db) -> Client:
    return client_of(User.objects.create_superuser("root", password="x"))


def client_of(user: User, **options) -> Client:
    client = Client(**options)
    client.force_login(user)
    return client


def viewer() -> User:
    user = User.objects.create_user("viewer", is_staff=True)
    rights = Permission.objects.filter(content_type__app_label="webhook_delivery")
    user.user_permissions.set(rights.filter(codename__startswith="view_"))
    return user


def rows() -> dict[str, list]:
    """All there is of ours; but the doorbell may ring, and nothing be due."""
    models = apps.get_app_config("webhook_delivery").get_models()
    return {
        model.__name__: list(model._default_manager.order_by("pk").values())
        for model in models
        if not model._meta.proxy and model is not Doorbell
    }


def prepared(address: Address) -> tuple[Model, str, dict]:
    """The row, the URL for it, and what is posted there; there is something to do."""
    write_past(3)
    row = newest(address.admin.model)
    fields = ACTS[address.name].ready(row)
    return row, address.url(row.pk) + address.query(), fields


def levels(answer: HttpResponse) -> list[str]:
    return [message.level_tag for message in answer.context["messages"]]


def test_each_address_that_cannot_be_looked_at_is_tried_here(root):
    write_past(3)

    refusing = {each.name for each in own_addresses() if root.get(each.url_of()).status_code == 405}

    assert refusing == set(ACTS)


def test_looking_changes_nothing(root):
    write_past(3)
    before = rows()

    for address in own_addresses():
        root.get(address.url_of())

    assert rows() == before


def test_nobody_is_let_in_without_a_login(db):
    write_past(3)
    before = rows()

    for address in own_addresses():
        for answer in (Client().get(address.url_of()), Client().post(address.url_of())):
            assert (answer.status_code, "/login/" in answer["Location"]) == (302, True), address

    assert rows() == before


@each_act
def test_nothing_is_done_without_a_csrf_token_or_by_who_may_only_look(root, address):
    _row, url, fields = prepared(address)
    forged = client_of(User.objects.get(username="root"), enforce_csrf_checks=True)
    before = rows()

    codes = [client.post(url, fields).status_code for client in (forged, client_of(viewer()))]

    assert codes == [403, 403]
    assert rows() == before
    assert not LogEntry.objects.filter(user__username__in=["root", "viewer"]).exists()


@each_act
def test_it_is_done_and_kept_once(root, address):
    _row, url, fields = prepared(address)
    before = rows()

    answer = root.post(url, fields, follow=True)

    after = rows()
    assert answer.status_code == 200
    assert "warning" not in levels(answer) and "error" not in levels(answer)
    [kept] = after["ConsoleAction"][len(before["ConsoleAction"]) :]
    assert kept["by_name"] == "root"
    assert LogEntry.objects.filter(user__username="root").count() == 1


@pytest.mark.parametrize("address", [each for each in ACTING if ACTS[each.name].too_late], ids=str)
def test_who_comes_too_late_is_told_so_and_changes_nothing(root, address):
    row, url, fields = prepared(address)
    ACTS[address.name].too_late(row)
    before = rows()

    answer = root.post(url, fields, follow=True)

    assert answer.status_code == 200
    assert levels(answer) == ["warning"]
    assert rows() == before
    assert not LogEntry.objects.filter(user__username="root").exists()
