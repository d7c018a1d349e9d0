"""The verb about who may do what: `create-groups`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from webhook_delivery.management.verbs.verb import Verb
from webhook_delivery.roles import ROLES, PermissionsMissing, ensure_groups


class CreateGroups(Verb):
    """Creates the three groups of users, or gives them back what they lack of their rights."""

    name = "create-groups"
    help = "create groups of users: viewers, operators and admins of webhooks"
    changes = True
    example = "create-groups"
    fails = "the permissions are not there yet: migrate first"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        """It has none of its own."""

    def run(self, *, dry_run: bool, **options: Any) -> None:
        try:
            created = self._created(dry_run)
        except PermissionsMissing as missing:
            raise CommandError(f"Run `manage.py migrate` first: there is no {missing}.") from None
        groups = {
            name: {"created": created[name], "permissions": sorted(rights)}
            for name, rights in ROLES.items()
        }
        self.say(groups, "\n".join(_line(name, created[name], dry_run) for name in ROLES))

    def _created(self, dry_run: bool) -> dict[str, bool]:
        """Whether each is new; three small rows are created, and forgotten, to know it."""
        with transaction.atomic(using=self.database):
            created = ensure_groups(using=self.database)
            transaction.set_rollback(dry_run, using=self.database)
        return created


def _line(name: str, created: bool, dry_run: bool) -> str:
    done = "would be created" if dry_run else "created"
    return f"{name}: {done if created else 'was there'}, {len(ROLES[name])} permissions"
