"""
The app's log: its loggers, the ids that each record has, and a formatter that writes them as JSON.

Every logger is below `webhook_delivery`, named as its module. Each record has all of `FIELDS` as
attributes, None where it is about no such thing: so a format may name them. No record has a
secret, a body, a URL or a header: what goes wrong is named by its kind and its place.
"""

from __future__ import annotations

import json
import logging
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

FIELDS = (
    "webhook_id",
    "delivery",
    "endpoint",
    "attempt",
    "outcome",
    "verdict",
    "status",
    "duration_ms",
    "redelivery",
)
"""What a record may be about: ids are those of the rows; `outcome` is `delivered` or the fault."""
NOTHING: dict[str, Any] = dict.fromkeys(FIELDS)


class Log(logging.LoggerAdapter[logging.Logger]):
    """A logger whose records all have the same fields; `extra` says what one is about."""

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        return msg, {**kwargs, "extra": {**NOTHING, **kwargs.get("extra", {})}}


def log_of(module: str) -> Log:
    """The logger of a module, by its `__name__`."""
    return Log(logging.getLogger(module))


class JSONFormatter(logging.Formatter):
    """Writes a record as one line of JSON: when, how bad, who, what, and about what."""

    def format(self, record: logging.LogRecord) -> str:
        """Fields that are None are left out; an exception is text, as tracebacks are."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: getattr(record, name, None) for name in FIELDS},
            "exception": self.formatException(record.exc_info) if record.exc_info else None,
        }
        return json.dumps({name: value for name, value in told.items() if value is not None})
