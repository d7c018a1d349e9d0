"""All that knows django-q2. Here: how to wake a drain, now or later, and how long it may run."""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django_q.brokers import Broker, get_broker
from django_q.brokers.orm import ORM
from django_q.conf import Conf
from django_q.signals import post_spawn
from django_q.tasks import async_task

from webhook_delivery.claims import lease_seconds
from webhook_delivery.conf import settings
from webhook_delivery.logs import log_of

logger = log_of(__name__)

DRAIN, PRUNE = "webhook_delivery.tasks.drain", "webhook_delivery.tasks.prune"


def wake(broker: Broker | None = None, *, task: str = DRAIN) -> None:
    """Queue one drain; a broker that fails is logged, and the sweep repairs the loss."""
    try:
        if orm_alias() is None:
            _enqueue(broker, task)
        else:
            # Inside a transaction the ORM broker leaves the caller's connection open.
            with transaction.atomic(using=orm_alias()):
                _enqueue(broker, task)
    except Exception:
        logger.exception("The broker took no task; the next sweep will find what is due")


def when_a_worker_starts(act: Callable[[], None]) -> Callable[[], None]:
    """
    Have this done in each worker of a cluster as it starts; it must not raise.

    A task that runs inside of its caller starts a worker, too, as far as django-q2 says: not here.
    """

    def started(**kwargs: Any) -> None:
        if multiprocessing.parent_process() is not None and not runs_inside_callers():
            act()

    post_spawn.connect(started, dispatch_uid=act, weak=False)
    return act


def runs_inside_callers() -> bool:
    """Whether tasks are not queued, but run where they are asked for: `Q_CLUSTER['sync']`."""
    return bool(Conf.SYNC)


def _enqueue(broker: Broker | None, task: str) -> None:
    options = {**task_options(), "broker": broker or _broker()}
    async_task(task, q_options=options)


def _broker() -> Broker:
    """Redis' client connects anew for each broker, and keeps its connections over a fork."""
    if uses_redis():
        return _redis(settings.CLUSTER or Conf.CLUSTER_NAME, repr(Conf.REDIS))
    return get_broker(settings.CLUSTER)


@functools.lru_cache(maxsize=8)
def _redis(cluster: str, server: str) -> Broker:
    return get_broker(cluster)


def uses_redis() -> bool:
    """Whether nothing else is configured: then django-q2 takes Redis."""
    others: tuple[Any, ...] = (Conf.BROKER_CLASS, Conf.IRON_MQ, Conf.SQS, Conf.ORM, Conf.MONGO)
    return not any(others)


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
    return orm_alias() is not None


def seconds_to_stay() -> float:
    """How long a drain may keep a worker waiting: hardly, if it is the only worker there is."""
    return 1.0 if Conf.WORKERS == 1 else budget()


def seconds_to_prune() -> float:
    """How long a task may prune: not for long, if no other worker sends meanwhile."""
    return min(5.0, budget()) if Conf.WORKERS == 1 else budget()


def wake_in(seconds: float) -> None:
    """Queue one drain that may not run before; needs a broker that can be told a time."""
    wake(_Later(seconds))


class _Later(ORM):  # type: ignore[misc] # django-q2 is untyped
    """An ORM broker whose task may not be taken before its time: `lock` means just that."""

    def __init__(self, seconds: float) -> None:
        super().__init__(list_key=settings.CLUSTER or Conf.CLUSTER_NAME)
        self.at: datetime = timezone.now() + timedelta(seconds=max(0.0, seconds))

    def enqueue(self, task: str) -> int:
        queued = self.get_connection().create(key=self.list_key, payload=task, lock=self.at)
        return int(queued.pk)


def orm_alias() -> str | None:
    """The database of django-q2's ORM broker, or None if another broker is configured."""
    other = Conf.BROKER_CLASS or Conf.IRON_MQ or isinstance(Conf.SQS, dict)
    return None if other else Conf.ORM
