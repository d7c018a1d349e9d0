"""Keeps the rows that must exist after `migrate`: the doorbell, and django-q2's schedules."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db import connections, router
from django.db.models.signals import post_migrate
from django.dispatch import receiver

from webhook_delivery.models import Doorbell
from webhook_delivery.scheduling import schedules


@receiver(post_migrate, dispatch_uid="webhook_delivery.provisioning")
def provide(sender: AppConfig, using: str, **kwargs: Any) -> None:
    """Every migration has run by now, django-q2's too."""
    if sender.name == "webhook_delivery":
        _provide_doorbell(using)
        schedules.ensure(using=using)


def _provide_doorbell(using: str) -> None:
    ours = router.allow_migrate_model(using, Doorbell)
    if ours and Doorbell._meta.db_table in connections[using].introspection.table_names():
        Doorbell.objects.using(using).get_or_create(pk=1)
