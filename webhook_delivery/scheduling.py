"""The only module that knows django-q2: how to wake a drain, now or later, and the schedules."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings as django_settings
from django.db import connections, router, transaction
from django.dispatch import receiver
from django.utils import timezone
from django_q.brokers import Broker, get_broker
from django_q.brokers.orm import ORM
from django_q.conf import Conf
from django_q.models import Schedule
from django_q.signals import post_spawn
from django_q.tasks import async_task

from webhook_delivery.claims import lease_seconds
from webhook_delivery.conf import settings

logger = logging.getLogger(__name__)

DRAIN = "webhook_delivery.tasks.drain"
SCHEDULES = {"webhook_delivery sweep": "webhook_delivery.tasks.sweep"}
"""Names and functions of the recurring schedules; each runs every minute."""


def wake(broker: Broker | None = None) -> None:
    """Queue one drain; a broker that fails is logged, and the sweep repairs the loss."""
    try:
        if _orm_alias() is None:
            _enqueue(broker)
        else:
            # Inside a transaction the ORM broker leaves the caller's connection open.
            with transaction.atomic(using=_orm_alias()):
                _enqueue(broker)
    except Exception:
        logger.exception("The broker took no task; the next sweep will find what is due")


@receiver(post_spawn, dispatch_uid="webhook_delivery.scheduling")
def _wake_with_the_worker(**kwargs: Any) -> None:
    """A worker that starts may follow one that was killed, with its task and its claims."""
    wake()


def _enqueue(broker: Broker | None) -> None:
    options = {**task_options(), "broker": broker or get_broker(settings.CLUSTER)}
    async_task(DRAIN, q_options=options)


def task_options() -> dict[str, Any]:
    """How our tasks run: no result kept, never repeated, ended by django-q2 if they hang."""
    ends = budget() + lease_seconds() + 5
    return {"save": False, "ack_failure": True, "timeout": int(ends), "group": "webhook_delivery"}


def budget() -> float:
    """How many seconds a drain may begin new work, so that it ends before django-q2 repeats it."""
    limits = [limit - lease_seconds() - 10 for limit in (Conf.RETRY, Conf.TIMEOUT) if limit]
    return float(max(1.0, min(settings.DRAIN_SECONDS, *limits)))


def can_be_told_a_time() -> bool:
    """Whether a task can be queued for later: only with the ORM broker."""
    return _orm_alias() is not None


def seconds_to_stay() -> float:
    """How long a drain may keep a worker waiting: hardly, if it is the only worker there is."""
    return 1.0 if Conf.WORKERS == 1 else budget()


def wake_in(seconds: float) -> None:
    """Queue one drain that may not run before; needs a broker that can be told a time."""
    if not Conf.SYNC:
        wake(_Later(seconds))


class _Later(ORM):  # type: ignore[misc] # django-q2 is untyped
    """An ORM broker whose task may not be taken before its time: `lock` means just that."""

    def __init__(self, seconds: float) -> None:
        super().__init__(list_key=settings.CLUSTER or Conf.CLUSTER_NAME)
        self.at: datetime = timezone.now() + timedelta(seconds=max(0.0, seconds))

    def enqueue(self, task: str) -> int:
        queued = self.get_connection().create(key=self.list_key, payload=task, lock=self.at)
        return int(queued.pk)


def _orm_alias() -> str | None:
    """The database of django-q2's ORM broker, or None if another broker is configured."""
    other = Conf.BROKER_CLASS or Conf.IRON_MQ or isinstance(Conf.SQS, dict)
    return None if other else Conf.ORM


def knows_cluster(name: str | None) -> bool:
    """Whether django-q2's settings name this cluster; None is the default one."""
    clusters = getattr(django_settings, "Q_CLUSTER", {}).get("ALT_CLUSTERS", {})
    return name in (None, Conf.PREFIX, Conf.CLUSTER_NAME) or name in clusters


def retry_seconds() -> int:
    """After how long django-q2 gives a task to another worker."""
    return int(Conf.RETRY)


def oddities() -> Iterator[tuple[str, str, str]]:
    """What in django-q2's settings delays or doubles drains: code, what is seen, what to do."""
    if not Conf.TIMEOUT or Conf.TIMEOUT >= Conf.RETRY:
        yield (
            "W004",
            "Q_CLUSTER has no timeout below its retry: slow tasks run twice at the same time.",
            "Set Q_CLUSTER['timeout'], and 'retry' above it.",
        )
    if _uses_redis() and importlib.util.find_spec("redis") is None:
        yield (
            "W007",
            "Q_CLUSTER names no broker, so django-q2 uses Redis, whose client is not installed.",
            "Set Q_CLUSTER['orm'] to 'default', or install django-webhook-delivery[redis].",
        )
    if not Conf.SCHEDULER:
        yield (
            "W005",
            "Q_CLUSTER['scheduler'] is off: nothing sweeps up what a lost task left behind.",
            "Switch it on in at least one cluster, or run `manage.py webhooks drain` from cron.",
        )
    alias = _orm_alias()
    if alias and connections[alias].settings_dict["CONN_MAX_AGE"] == 0:
        yield (
            "W006",
            "django-q2's ORM broker reconnects several times a second while CONN_MAX_AGE is 0.",
            "Set CONN_MAX_AGE to 60 and CONN_HEALTH_CHECKS to True.",
        )


def _uses_redis() -> bool:
    others = (Conf.BROKER_CLASS, Conf.IRON_MQ, Conf.SQS, Conf.ORM, Conf.MONGO)
    return not any(others)


def ensure_schedules(*, using: str | None = None) -> list[str]:
    """
    Create the recurring schedules that are missing, and drop what was created twice.

    Returns the names it had to mend. What a person changed (when, how often, where) stays.
    """
    alias = using or router.db_for_write(Schedule)
    if not settings.SCHEDULES or alias != router.db_for_write(Schedule):
        return []
    if Schedule._meta.db_table not in connections[alias].introspection.table_names():
        return []
    with transaction.atomic(using=alias):
        return [name for name, task in SCHEDULES.items() if _mend(name, task, alias)]


def _mend(name: str, task: str, alias: str) -> bool:
    rows = Schedule.objects.using(alias).filter(name=name).order_by("pk")
    first, options = rows.first(), repr({"q_options": task_options()})
    if first is None:
        rows.create(
            name=name,
            func=task,
            schedule_type=Schedule.MINUTES,
            minutes=1,
            repeats=-1,
            kwargs=options,
            cluster=settings.CLUSTER,
        )
        return True
    doubled, _ = rows.exclude(pk=first.pk).delete()
    ours = {"func": task, "kwargs": options}
    changed = rows.filter(pk=first.pk).exclude(**ours).update(**ours)
    return bool(doubled or changed)


def schedules_missing() -> list[str]:
    """The names of recurring schedules that do not run: absent, or switched off."""
    if not settings.SCHEDULES:
        return []
    running = set(Schedule.objects.exclude(repeats=0).values_list("name", flat=True))
    return [name for name in SCHEDULES if name not in running]
