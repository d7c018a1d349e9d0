"""Settings of the example shop: SQLite, or DATABASE_URL and REDIS_URL for the real thing."""

import os
from pathlib import Path
from typing import Any

import dj_database_url

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = os.environ.get("SECRET_KEY", "an example, not a secret")
DEBUG = os.environ.get("DEBUG", "1") == "1"
ALLOWED_HOSTS = ["*"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_q",
    "webhook_delivery",
    "example_project.shop",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "example_project.urls"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES: dict[str, Any] = {
    "default": dj_database_url.config(
        default=f"sqlite:///{BASE_DIR / 'db.sqlite3'}",
        conn_max_age=60,  # with 0, django-q2's ORM broker reconnects several times a second
        conn_health_checks=True,
    )
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
if DATABASES["default"]["ENGINE"].endswith("mysql"):
    DATABASES["default"]["OPTIONS"] = {"charset": "utf8mb4"}

SUPPLIER_SECRETS = os.environ.get(
    "SUPPLIER_SECRETS", "whsec_d2hhdCB0aGUgc3VwcGxpZXIgc2lnbnMgd2l0aA=="
)
"""What a supplier's webhooks are signed with."""

Q_CLUSTER: dict[str, Any] = {
    "name": "shop",
    "workers": int(os.environ.get("Q_WORKERS", "2")),
    "timeout": 75,
    "retry": 90,
    "save_limit": 250,
    "max_attempts": 3,
    "queue_limit": 4,
    "catch_up": False,
}
if "REDIS_URL" in os.environ:
    Q_CLUSTER["redis"] = os.environ["REDIS_URL"]
else:
    Q_CLUSTER["orm"] = "default"

WEBHOOK_DELIVERY: dict[str, Any] = {
    # The demo's receivers live on this machine; leave these out in production.
    "ALLOW_HTTP": True,
    "ALLOWED_NETWORKS": ["127.0.0.0/8"],
    "ALLOWED_PORTS": [],
}
if os.environ.get("WEBHOOK_DEMO") == "1":
    # Nobody wants to watch a demo for three days.
    WEBHOOK_DELIVERY |= {"RETRY_SCHEDULE": (1, 2, 3), "TIMEOUT_SECONDS": 2, "DRAIN_SECONDS": 5}

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
