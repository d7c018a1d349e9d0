"""Three ready-made groups of users, and which of our permissions each of them has."""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib.auth.models import Group, Permission
from django.db import transaction

LOOKING = frozenset(
    {
        "view_consoleaction",
        "view_delivery",
        "view_endpoint",
        "view_event",
        "view_redeliverybatch",
    }
)
OPERATING = LOOKING | {
    "bulk_redeliver_delivery",
    "discard_delivery",
    "export_delivery",
    "pause_endpoint",
    "redeliver_delivery",
    "test_endpoint",
    "view_payload",
}
ADMINISTERING = OPERATING | {
    "add_endpoint",
    "add_subscription",
    "change_endpoint",
    "change_subscription",
    "delete_endpoint",
    "delete_subscription",
    "erase_event",
    "redeliver_unfiltered",
    "reveal_secret",
    "rotate_secret",
    "view_endpoint_url",
    "view_subscription",
}
ROLES: Mapping[str, frozenset[str]] = {
    "Webhook viewer": LOOKING,
    "Webhook operator": OPERATING,
    "Webhook admin": ADMINISTERING,
}
"""By the name of the group: what who is in it may do, by the code names of our permissions."""


class PermissionsMissing(Exception):
    """The permissions are not in the database: `manage.py migrate` creates them."""


def ensure_groups(*, using: str) -> dict[str, bool]:
    """
    Create the groups that are missing, and give each at least the permissions of its role.

    What a person added to a group stays. Returns whether each was created.
    Raises PermissionsMissing, with their names.
    """
    with transaction.atomic(using=using):
        return {name: _ensure(name, rights, using) for name, rights in ROLES.items()}


def _ensure(name: str, codenames: frozenset[str], using: str) -> bool:
    group, created = Group.objects.using(using).get_or_create(name=name)
    ours = Permission.objects.using(using).filter(content_type__app_label="webhook_delivery")
    found = {each.codename: each for each in ours.filter(codename__in=codenames)}
    if missing := codenames - set(found):
        raise PermissionsMissing(", ".join(sorted(missing)))
    group.permissions.add(*found.values())
    return created
