"""Real payloads: those that GitHub sends, from the npm package `@octokit/webhooks-examples`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from example_project.settings import BASE_DIR

PACKAGE = BASE_DIR / ".node" / "node_modules" / "@octokit" / "webhooks-examples"
FAMILIAR = [
    "push",
    "pull_request.opened",
    "issues.opened",
    "check_run.completed",
    "release.published",
]


def examples(package: Path = PACKAGE) -> list[tuple[str, Any]]:
    """Return event type and payload of each example; none if the package is not installed."""
    files = sorted(package.glob("*/index.json"))
    kinds = [kind for file in files for kind in json.loads(file.read_text(encoding="utf-8"))]
    return [
        (_event_type(kind["name"], payload), payload)
        for kind in kinds
        for payload in kind["examples"]
    ]


def handful() -> list[tuple[str, Any]]:
    """Return one example of each familiar kind."""
    last = dict(examples())
    return [(event_type, last[event_type]) for event_type in FAMILIAR if event_type in last]


def _event_type(name: str, payload: dict[str, Any]) -> str:
    """Name the event as GitHub does, `check_run.completed`; some events have no action."""
    action = payload.get("action")
    return f"{name}.{action}" if action else name
