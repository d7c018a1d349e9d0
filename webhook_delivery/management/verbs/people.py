"""The verb about who may do what: `create-groups`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from webhook_delivery.management.verbs.verb import Verb
from webhook_delivery.roles import ROLES, PermissionsMissing, ensure_groups


class CreateGroups(Verb):
    """Creates the three groups of users, or gives them back what they lack of their rights."""

    name = "create-groups"
    help = "create groups of users: viewers, operators and admins of webhooks"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        """It has none of its own."""

    def run(self, **options: Any) -> None:
        try:
            created = ensure_groups(using=self.database)
        except PermissionsMissing as missing:
            raise CommandError(f"Run `manage.py migrate` first: there is no {missing}.") from None
        groups = {
            name: {"created": created[name], "permissions": sorted(rights)}
            for name, rights in ROLES.items()
        }
        self.say(groups, "\n".join(_line(name, created[name]) for name in ROLES))


def _line(name: str, created: bool) -> str:
    return f"{name}: {'created' if created else 'was there'}, {len(ROLES[name])} permissions"
