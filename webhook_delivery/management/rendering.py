"""How deliveries look to a person at a terminal, and to a program as JSON."""

from __future__ import annotations

import json
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from webhook_delivery.lifecycle.sequences import first_before
from webhook_delivery.models import Attempt, Delivery
from webhook_delivery.models.event import webhook_id
from webhook_delivery.report import Report


def as_json(value: Any) -> str:
    return json.dumps(value, cls=DjangoJSONEncoder, indent=2)


def row(delivery: Delivery) -> dict[str, Any]:
    """The facts of one delivery."""
    return {
        "id": delivery.pk,
        "webhook_id": webhook_id(delivery.event_id),
        "event_type": delivery.event_type,
        "endpoint": delivery.endpoint.name,
        "state": delivery.state,
        "attempts": delivery.attempts_made,
        "due_at": delivery.due_at,
        "last_status": delivery.last_status,
        "reason": delivery.reason,
        "created_at": delivery.created_at,
        "ended_at": delivery.ended_at,
    }


def detailed(delivery: Delivery) -> dict[str, Any]:
    """The facts of one delivery, what it waits for in its sequence, and each attempt."""
    before = first_before(delivery)
    return {
        **row(delivery),
        "key": delivery.event.key,
        "waits_for": before and before.pk,
        "log": [_attempt(each) for each in delivery.attempts.all()],
    }


def line(row: dict[str, Any]) -> str:
    """One delivery on one line."""
    return (
        f"{row['id']:>8}  {row['state']:<10} {row['event_type']:<24} {row['endpoint']:<20} "
        f"{row['attempts']:>2} attempts  {_last(row)}"
    ).rstrip()


def page(row: dict[str, Any]) -> str:
    """One delivery with its attempts, a line each."""
    head = [line(row), f"          webhook-id {row['webhook_id']}, created {row['created_at']}"]
    if before := row["waits_for"]:
        head.append(f"          waits for its turn: delivery {before} must end first")
    return "\n".join([*head, *map(_attempt_line, row["log"])])


def sentence(report: Report) -> str:
    """What a drain did, in words."""
    said = f"{report.delivered} delivered, {report.retried} to be retried, {report.dead} dead."
    if report.next_due is None:
        return f"{said} Nothing waits."
    return f"{said} The next is due in {max(0.0, report.next_due):.1f} s."


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "trigger": attempt.trigger,
        "started_at": attempt.started_at,
        "duration_ms": attempt.duration_ms,
        "status": attempt.status,
        "fault": attempt.fault,
        "detail": attempt.detail,
        "verdict": attempt.verdict,
        "next_due_at": attempt.next_due_at,
    }


def _attempt_line(attempt: dict[str, Any]) -> str:
    answer = attempt["status"] or attempt["detail"] or attempt["fault"]
    return (
        f"          attempt {attempt['number']}  {attempt['started_at']:%Y-%m-%d %H:%M:%S}  "
        f"{attempt['trigger']}: {answer} → {attempt['verdict']}"
    )


def _last(row: dict[str, Any]) -> str:
    return " ".join(str(part) for part in (row["last_status"], row["reason"]) if part)
