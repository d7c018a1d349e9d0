"""Counts the statements that Django sends, on every connection that this process opens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connections
from django.db.backends.signals import connection_created


class Statements:
    """Those that go through a cursor, savepoints too, but neither BEGIN nor COMMIT."""

    def __init__(self) -> None:
        self.count = 0
        for connection in connections.all(initialized_only=True):
            connection.execute_wrappers.append(self._count)
        connection_created.connect(self._watch, weak=False)

    def take(self) -> int:
        """How many since the last time."""
        taken, self.count = self.count, 0
        return taken

    def _watch(self, connection: Any, **kwargs: Any) -> None:
        if self._count not in connection.execute_wrappers:
            connection.execute_wrappers.append(self._count)

    def _count(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        self.count += not sql.startswith("BEGIN")  # through a cursor only on SQLite
        return execute(sql, params, many, context)
