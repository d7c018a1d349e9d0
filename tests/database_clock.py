"""Moves the database's clock: every `Now()` of ours is so many seconds ahead, or behind."""

from __future__ import annotations

from typing import Any

import pytest

from webhook_delivery.clock import Now

TEMPLATES = {
    "as_sqlite": "STRFTIME('%%%%Y-%%%%m-%%%%d %%%%H:%%%%M:%%%%f', 'NOW', '{0:+d} seconds')",
    "as_postgresql": "(STATEMENT_TIMESTAMP() + INTERVAL '{0} seconds')",
    "as_mysql": "(UTC_TIMESTAMP(6) + INTERVAL {0} SECOND)",
}


class DatabaseClock:
    """Stands `offset` seconds off, for this process, until it is put right."""

    def __init__(self) -> None:
        self.offset = 0
        self._patch = pytest.MonkeyPatch()
        for name, template in TEMPLATES.items():
            self._patch.setattr(Now, name, self._moved(template), raising=False)

    def step(self, seconds: int) -> None:
        self.offset += seconds

    def put_right(self) -> None:
        self._patch.undo()

    def _moved(self, template: str) -> Any:
        def as_vendor(now: Now, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
            return now.as_sql(compiler, connection, template=template.format(self.offset))

        return as_vendor
