"""The recurring schedules, rows of django-q2: creates and mends ours, names what stops all."""

from __future__ import annotations

import ast
import inspect
from typing import Any

from django.db import connections, router, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django_q.conf import Conf
from django_q.models import Schedule
from django_q.tasks import async_task

from webhook_delivery.conf import settings
from webhook_delivery.scheduling import task_options

SCHEDULES = {"webhook_delivery sweep": "webhook_delivery.tasks.sweep"}
"""Names and functions of the recurring schedules; each runs every minute."""
LOOKED_AT = 1000
"""How many rows of a project's own are examined, at most."""


def ensure(*, using: str | None = None) -> list[str]:
    """
    Create the recurring schedules that are missing, and mend what would not run them.

    Returns the names it had to mend. What a person changed (when, how often, where) stays.
    """
    alias = using or router.db_for_write(Schedule)
    if not settings.SCHEDULES or alias != router.db_for_write(Schedule):
        return []
    if Schedule._meta.db_table not in connections[alias].introspection.table_names():
        return []
    with transaction.atomic(using=alias):
        return [name for name, task in SCHEDULES.items() if _mend(name, task, alias)]


def missing() -> list[str]:
    """The names of recurring schedules that do not run: absent, or switched off."""
    if not settings.SCHEDULES:
        return []
    running = set(Schedule.objects.exclude(repeats=0).values_list("name", flat=True))
    return [name for name in SCHEDULES if name not in running]


def poisoned() -> list[str]:
    """
    The names of schedules, anybody's, at which django-q2's scheduler stops.

    It reads all that are due in one transaction: one row that it cannot read stops every schedule
    that the same cluster serves, at each tick.
    """
    due = Schedule.objects.exclude(repeats=0).filter(_beside_ours(), next_run__lt=timezone.now())
    rows = due.order_by("next_run")[:LOOKED_AT]
    return [str(row.name or row.pk) for row in rows if not _can_be_queued(row)]


def _mend(name: str, task: str, alias: str) -> bool:
    named = Schedule.objects.using(alias).filter(name=name)
    rows = list(named.order_by("pk"))
    if not rows:
        _create(named, name, task)
    for doubled in rows[1:]:
        doubled.delete()
    return not rows or len(rows) > 1 or _restore(rows[0], task, alias)


def _create(rows: QuerySet[Any], name: str, task: str) -> None:
    rows.create(
        name=name,
        func=task,
        schedule_type=Schedule.MINUTES,
        minutes=1,
        repeats=-1,
        kwargs=_options(),
        cluster=settings.CLUSTER,
    )


def _restore(row: Any, task: str, alias: str) -> bool:
    """Our task takes no arguments: others would make it fail, or stop the scheduler."""
    ours = {"func": task, "args": None, "kwargs": _options()}
    differs = any((getattr(row, name) or None) != value for name, value in ours.items())
    if differs:
        Schedule.objects.using(alias).filter(pk=row.pk).update(**ours)
    return differs


def _options() -> str:
    return repr({"q_options": task_options()})


def _beside_ours() -> Q:
    """The schedules that the cluster of our sweep serves."""
    if settings.CLUSTER in (None, Conf.PREFIX):
        return Q(cluster=None) | Q(cluster=Conf.PREFIX)
    return Q(cluster=settings.CLUSTER)


def _can_be_queued(row: Any) -> bool:
    """Whether each step that the scheduler takes for a row succeeds."""
    try:
        args = ast.literal_eval(row.args) if row.args else ()
        keywords = _keywords_of(row.kwargs)
        dict(keywords.pop("q_options", {}))
        args = args if isinstance(args, tuple) else (args,)
        inspect.signature(async_task).bind(row.func, *args, **keywords)
        if row.schedule_type != Schedule.ONCE:
            row.calculate_next_run(row.next_run)
    except Exception:
        return False
    return True


def _keywords_of(text: str | None) -> Any:
    """As django-q2 reads them: a dict, or keyword arguments; what is neither is left out."""
    if not text:
        return {}
    for read in (ast.literal_eval, _keyword_arguments):
        try:
            return read(text)
        except (SyntaxError, ValueError):
            pass
    return {}


def _keyword_arguments(text: str) -> dict[str, Any]:
    call: Any = ast.parse(f"f({text})").body[0]
    return {each.arg: ast.literal_eval(each.value) for each in call.value.keywords}
