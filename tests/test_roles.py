"""The groups of users that a command creates: what each may do, and that people may add to it."""

import json

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command

from webhook_delivery.roles import ADMINISTERING, LOOKING, OPERATING, ROLES

pytestmark = pytest.mark.django_db


def create_groups(capsys, **options) -> str:
    call_command("webhooks", "create-groups", **options)
    return capsys.readouterr().out


def rights_of(name: str) -> set[str]:
    return set(Group.objects.get(name=name).permissions.values_list("codename", flat=True))


def test_three_groups_are_created_each_with_more_rights_than_the_one_before(capsys):
    said = create_groups(capsys)

    assert said.count("created") == 3
    assert {name: rights_of(name) for name in ROLES} == dict(ROLES)
    assert LOOKING < OPERATING < ADMINISTERING


def test_whoever_runs_it_again_changes_nothing_but_mends_what_is_lacking(capsys):
    create_groups(capsys)
    viewers = Group.objects.get(name="Webhook viewer")
    viewers.permissions.remove(viewers.permissions.get(codename="view_event"))
    own = Permission.objects.exclude(content_type__app_label="webhook_delivery").first()
    viewers.permissions.add(own)

    said = json.loads(create_groups(capsys, json=True))

    assert [each["created"] for each in said.values()] == [False] * 3
    assert rights_of("Webhook viewer") == {*LOOKING, own.codename}


def test_without_permissions_it_says_what_to_do():
    Permission.objects.filter(codename="pause_endpoint").delete()

    with pytest.raises(CommandError, match=r"migrate.*pause_endpoint"):
        call_command("webhooks", "create-groups")
    assert not Group.objects.exists()


def test_a_viewer_changes_nothing():
    assert all(codename.startswith("view_") for codename in LOOKING)
    assert "view_payload" not in LOOKING


@pytest.mark.parametrize("model", ["doorbell", "lane", "walk", "rollup"])
def test_of_what_is_the_machines_nobody_has_a_permission(model):
    assert not Permission.objects.filter(
        content_type__app_label="webhook_delivery", content_type__model=model
    ).exists()


def test_every_permission_of_ours_is_somebodys_or_djangos_own():
    ours = Permission.objects.filter(content_type__app_label="webhook_delivery")
    actions = ("add_", "change_", "delete_", "view_")
    special = {each.codename for each in ours if not each.codename.startswith(actions)}
    special |= {"view_payload", "view_endpoint_url"}

    assert special <= ADMINISTERING
