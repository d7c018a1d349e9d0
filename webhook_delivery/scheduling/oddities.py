"""What in django-q2's settings makes drains late, double or dangerous, and what to change."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import NamedTuple

from django.conf import settings as django_settings
from django.core import mail
from django.db import connections, router
from django_q.conf import Conf

from webhook_delivery.conf import settings
from webhook_delivery.models import Delivery
from webhook_delivery.scheduling import orm_alias, task_options, uses_redis

CYCLES = (0.125, 0.25, 0.5, 1)
"""The guard subtracts its cycle from a whole number, and acts on exactly 0."""
MANY_AT_ONCE = 10
MANY_PER_WORKER = 20


class Oddity(NamedTuple):
    """A code (E an error, W a warning, I a remark), what is seen, and what to change."""

    code: str
    seen: str
    hint: str


def oddities() -> Iterator[Oddity]:
    """All that can be said of the settings that this process runs with."""
    yield from _of_the_broker()
    yield from _of_time()
    yield from _of_workers()


def knows_cluster(name: str | None) -> bool:
    """Whether django-q2's settings name this cluster; None is the default one."""
    clusters = getattr(django_settings, "Q_CLUSTER", {}).get("ALT_CLUSTERS", {})
    return name in (None, Conf.PREFIX, Conf.CLUSTER_NAME) or name in clusters


def several_clusters() -> bool:
    """Whether more than one cluster is meant to run, by what django-q2 is told."""
    clusters = getattr(django_settings, "Q_CLUSTER", {}).get("ALT_CLUSTERS", {})
    return bool(clusters) or settings.CLUSTER is not None or uses_redis()


def queue_alias() -> str | None:
    """The database that django-q2's clusters poll, if it is configured and theirs is a database."""
    alias = orm_alias()
    return alias if alias in list(connections) else None


def _of_the_broker() -> Iterator[Oddity]:
    if uses_redis() and importlib.util.find_spec("redis") is None:
        yield Oddity(
            "W007",
            "Q_CLUSTER names no broker, so django-q2 uses Redis, whose client is not installed.",
            "Set Q_CLUSTER['orm'] to 'default', or install django-webhook-delivery[redis].",
        )
    if orm_alias() is not None:
        yield from _of_the_database(router.db_for_write(Delivery))


def _of_the_database(ours: str) -> Iterator[Oddity]:
    alias = queue_alias()
    if alias is None:
        yield Oddity(
            "E010",
            f"Q_CLUSTER['orm'] is {orm_alias()!r}, which DATABASES does not have.",
            f"Set it to {ours!r}, where the deliveries are.",
        )
        return
    if connections[alias].settings_dict["CONN_MAX_AGE"] == 0:
        yield Oddity(
            "W006",
            "django-q2's ORM broker reconnects several times a second while CONN_MAX_AGE is 0.",
            "Set CONN_MAX_AGE to 60 and CONN_HEALTH_CHECKS to True.",
        )
    if alias != ours:
        yield Oddity(
            "I001",
            f"Deliveries are in the database {ours!r}, and django-q2's queue is in {alias!r}.",
            f"Set Q_CLUSTER['orm'] to {ours!r}, so that one database is enough to deliver in time.",
        )


def _of_time() -> Iterator[Oddity]:
    needed = task_options()["timeout"]
    if needed >= Conf.RETRY:
        yield Oddity(
            "E006",
            f"A drain may take {needed} s, but django-q2 repeats tasks after {Conf.RETRY} s.",
            "Raise Q_CLUSTER['retry'], or lower MAX_TIMEOUT_SECONDS.",
        )
    if not Conf.TIMEOUT or Conf.TIMEOUT >= Conf.RETRY:
        yield Oddity(
            "W004",
            "Q_CLUSTER has no timeout below its retry: slow tasks run twice at the same time.",
            "Set Q_CLUSTER['timeout'], and 'retry' above it.",
        )
    if Conf.GUARD_CYCLE not in CYCLES:
        yield Oddity(
            "W010",
            f"With a guard_cycle of {Conf.GUARD_CYCLE} s, django-q2 never ends a task that hangs.",
            "Remove Q_CLUSTER['guard_cycle'], or set it to 0.25, 0.5 or 1.",
        )
    if not Conf.SCHEDULER:
        yield Oddity(
            "W005",
            "Q_CLUSTER['scheduler'] is off: nothing sweeps up what a lost task left behind.",
            "Switch it on in at least one cluster, or run `manage.py webhooks drain` from cron.",
        )


def _of_workers() -> Iterator[Oddity]:
    if Conf.WORKERS == 1 and settings.CLUSTER is None:
        yield Oddity(
            "W008",
            "The cluster has one worker: deliveries and the project's own tasks await each other.",
            "Set Q_CLUSTER['workers'] to 2, or name a cluster in WEBHOOK_DELIVERY['CLUSTER'].",
        )
    if Conf.BULK > MANY_AT_ONCE or not 0 < Conf.QUEUE_LIMIT <= MANY_PER_WORKER * Conf.WORKERS:
        yield Oddity(
            "W009",
            f"A cluster takes many tasks ahead (bulk {Conf.BULK}, queue_limit {Conf.QUEUE_LIMIT}): "
            "if it is killed, they are lost, or seen again only after Q_CLUSTER['retry'].",
            "Set Q_CLUSTER['bulk'] to 1 and 'queue_limit' to twice the workers.",
        )
    if Conf.SYNC and not _testing():
        yield Oddity(
            "W011",
            "Q_CLUSTER['sync'] is on: whoever publishes waits for every receiver.",
            "Switch it off outside tests.",
        )


def _testing() -> bool:
    """Django's test environment replaces the outbox; nothing else does."""
    return hasattr(mail, "outbox")
