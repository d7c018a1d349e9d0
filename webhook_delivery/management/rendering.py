"""How deliveries look to a person at a terminal, and to a program as JSON."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.color import Style
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Prefetch

from webhook_delivery.lifecycle.sequences import first_before
from webhook_delivery.management.tables import cell, facts
from webhook_delivery.models import Attempt, Delivery, DeliveryQuerySet
from webhook_delivery.models.event import webhook_id
from webhook_delivery.report import Report

COLUMNS = (
    "id", "state", "event_type", "endpoint", "attempts", "last_status", "reason", "due_at",
    "created_at",
)  # fmt: skip
"""What lists show of a delivery."""


def as_json(value: Any, *, indent: int | None = 2) -> str:
    return json.dumps(value, cls=DjangoJSONEncoder, indent=indent)


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


def whole(deliveries: DeliveryQuerySet) -> DeliveryQuerySet:
    """With all that `detailed` tells, out of the same database."""
    log = Attempt.objects.using(deliveries.db).defer("excerpt")
    rows = deliveries.select_related("event", "endpoint").defer("event__body")
    return rows.prefetch_related(Prefetch("attempts", log))


def detailed(delivery: Delivery) -> dict[str, Any]:
    """The facts of one delivery, what it waits for in its sequence, and each attempt."""
    before = first_before(delivery)
    return {
        **row(delivery),
        "key": delivery.event.key,
        "waits_for": before and before.pk,
        "log": [_attempt(each) for each in delivery.attempts.all()],
    }


def page(row: dict[str, Any], style: Style) -> str:
    """One delivery with its attempts, a line each."""
    known = {name: row[name] for name in (*COLUMNS, "webhook_id", "key", "ended_at")}
    head = [facts(known, style)]
    if before := row["waits_for"]:
        head.append(f"waits for its turn: delivery {before} must end first")
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
    answer = cell(attempt["status"] or attempt["detail"] or attempt["fault"])
    return (
        f"  attempt {attempt['number']}  {attempt['started_at']:%Y-%m-%d %H:%M:%S}  "
        f"{attempt['trigger']}: {answer} → {attempt['verdict']}"
    )
