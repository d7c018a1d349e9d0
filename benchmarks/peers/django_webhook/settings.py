"""Sets django-webhook up: Celery on Redis, PostgreSQL; the pool comes from the environment."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from staging.databases import django_database

SECRET_KEY = "benchmark"
USE_TZ = True
INSTALLED_APPS = ["django_webhook", "shop"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

POOL = os.environ.get("PEERS_CELERY_POOL", "prefork")
# Each task of gevent is a new greenlet, so connections must outlive them in a pool of psycopg's.
DATABASES = {
    "default": django_database(OPTIONS={"pool": {"min_size": 4, "max_size": 40}})
    if POOL == "gevent" and os.environ.get("PEERS_CELERY_WORKER")
    else django_database(CONN_MAX_AGE=None)
}

DJANGO_WEBHOOK = {"MODELS": ["shop.Order"]}

REDIS = urlsplit(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379"))._replace(path="/9")
CELERY_BROKER_URL = REDIS.geturl()
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = int(os.environ.get("PEERS_CELERY_PREFETCH", "64"))
