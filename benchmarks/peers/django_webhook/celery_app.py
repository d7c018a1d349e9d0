"""Is the Celery application that django-webhook's task is registered with."""

from __future__ import annotations

from celery import Celery

app = Celery("peers")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
