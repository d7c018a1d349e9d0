"""Writes docs/reference/settings.md from `webhook_delivery/conf.py`."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path

from docs.writers.docstrings import of_attributes, with_names
from webhook_delivery import conf
from webhook_delivery.checks.settings import rules

INTRODUCTION = """# Settings

All are keys of one dict, `WEBHOOK_DELIVERY`, in Django's settings; each has a default. They are
looked up when they are needed, so that `override_settings` works in tests. `manage.py check`
refuses a name that is not here, a type that does not fit, and what is named below as “must be”;
`manage.py webhooks config` prints what is in force.
"""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Retries": ("RETRY_",),
    "One attempt": ("TIMEOUT_", "MAX_TIMEOUT_", "LEASE_"),
    "Drains": ("CONCURRENCY", "MAX_THREADS", "MAX_IN_FLIGHT", "DRAIN_", "CLUSTER", "SCHEDULES"),
    "Endpoints that fail": ("BREAKER_", "WARN_", "DISABLE_", "HELD_", "OPERATIONAL_", "CONTACT_"),
    "What is published": ("INLINE", "MAX_PAYLOAD_", "VALIDATE_", "CLOUDEVENTS_", "SEARCH_"),
    "Where it may go": ("ALLOW_", "ALLOWED_", "EGRESS_", "HEADER_", "SECRET_"),
    "The console": ("CONSOLE_", "CONFIRM_"),
    "What is kept": ("RETAIN_",),
    "Watching it": ("HEALTH_", "METRICS_", "PROPAGATE_"),
}
"""Where a setting is shown, by what its name begins with."""
UNITS = {"_SECONDS": "seconds", "_DAYS": "days", "_BYTES": "bytes", "_SCHEDULE": "seconds"}
"""What a number means, by what the name of its setting ends with."""


def page() -> str:
    return "\n".join([INTRODUCTION, *_sections()])


def _sections() -> Iterator[str]:
    shown = {name for begins in GROUPS.values() for name in _of_group(begins)}
    if missing := sorted(conf.KNOWN - shown):
        raise LookupError(f"{missing[0]} is in no group of docs/writers/settings.py.")
    meanings, types = _meanings()
    for title, begins in GROUPS.items():
        yield f"## {title}\n"
        for name in _of_group(begins):
            yield _section(name, types[name], meanings[name])


def _of_group(begins: tuple[str, ...]) -> list[str]:
    """In the order of the code."""
    return [name for name in vars(conf.Settings) if name in conf.KNOWN and name.startswith(begins)]


def _meanings() -> tuple[dict[str, str], dict[str, str]]:
    """What is written below each setting, and its annotation."""
    tree = ast.parse(Path(inspect.getfile(conf)).read_text())
    [owner] = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    annotated = [node for node in owner.body if isinstance(node, ast.AnnAssign)]
    types = {ast.unparse(node.target): ast.unparse(node.annotation) for node in annotated}
    return of_attributes(owner.body), types


def _section(name: str, kind: str, meaning: str) -> str:
    unit = next((f", {unit}" for ending, unit in UNITS.items() if name.endswith(ending)), "")
    default = repr(vars(conf.Settings)[name]).replace("'", '"')
    must = rules().get(name)
    limits = f" · must be {with_names(must[1])}" if must else ""
    facts = f"`{kind}`{unit} · default `{default}`{limits}"
    return f"### `{name}`\n\n{facts}\n\n{meaning}\n"
