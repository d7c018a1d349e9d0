"""Sets django-outbound-webhooks up: relays of django-domain-events on PostgreSQL."""

from __future__ import annotations

import os

from staging.databases import django_database

SECRET_KEY = "benchmark"
USE_TZ = True
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django_domain_events",
    "django_outbound_webhooks",
    "shop",
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": django_database(CONN_MAX_AGE=None)}

TIMEOUT_SECONDS = float(os.environ.get("PEERS_TIMEOUT", "10"))
DJANGO_OUTBOUND_WEBHOOKS = {
    "ALLOW_PRIVATE_ADDRESSES": True,
    "TIMEOUT_SECONDS": TIMEOUT_SECONDS,
    "DELIVERY_LEASE_SECONDS": int(os.environ.get("PEERS_LEASE", "60")),
}
