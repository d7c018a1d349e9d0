"""Takes the database of a test back to a version before, and on again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

APP = "webhook_delivery"


def migrate(name: str) -> None:
    """Take our migrations back to this one, or on to it."""
    MigrationExecutor(connection).migrate([(APP, name)])


@contextmanager
def of_today_afterwards() -> Iterator[None]:
    """Whatever the database is made in between, it is one of today again."""
    newest = MigrationExecutor(connection).loader.graph.leaf_nodes(APP)
    yield
    MigrationExecutor(connection).migrate(newest)
