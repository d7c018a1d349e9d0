"""Sets drf-hooks up: hooks in PostgreSQL, its own queue and threads in the publishing process."""

from __future__ import annotations

from staging.databases import django_database

SECRET_KEY = "benchmark"
USE_TZ = True
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "drf_hooks",
    "shop",
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": django_database(CONN_MAX_AGE=None)}

HOOK_EVENTS = {"order.created": "shop.Order.created+"}
HOOK_SERIALIZERS = {"shop.Order": "shop.serializers.OrderSerializer"}
HOOK_CUSTOM_MODEL = "shop.TimedHook"
