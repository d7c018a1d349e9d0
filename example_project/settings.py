"""
Settings of the example shop: as they are for a look around on one's own machine, on SQLite.

The environment makes them those of a server: DEBUG=0, SECRET_KEY, ALLOWED_HOSTS, DATABASE_URL,
REDIS_URL, WEBHOOK_KEYS (Fernet keys, newest first), METRICS_TOKEN.
"""

import os
from pathlib import Path
from typing import Any

import dj_database_url

BASE_DIR = Path(__file__).resolve().parent.parent


def words(name: str, default: str = "") -> list[str]:
    """What a variable of the environment lists, with commas between."""
    return [word for word in os.environ.get(name, default).split(",") if word]


DEBUG = os.environ.get("DEBUG", "1") == "1"
# Django refuses an empty one: nobody goes live with an example's.
SECRET_KEY = os.environ.get("SECRET_KEY", "an example, not a secret" if DEBUG else "")
ALLOWED_HOSTS = words("ALLOWED_HOSTS", "*")
CSRF_TRUSTED_ORIGINS = words("CSRF_TRUSTED_ORIGINS")
if not DEBUG:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True

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
    "SECRET_KEYS": words("WEBHOOK_KEYS"),
    "METRICS_TOKEN": os.environ.get("METRICS_TOKEN"),
}
if DEBUG:  # receivers live on one's own machine
    WEBHOOK_DELIVERY |= {
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
STATIC_ROOT = os.environ.get("STATIC_ROOT", BASE_DIR / ".build" / "static")

if not DEBUG:
    MIDDLEWARE.insert(1, "whitenoise.middleware.WhiteNoiseMiddleware")  # serves STATIC_ROOT
    LOGGING = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "webhook_delivery.logs.JSONFormatter"}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json"}},
        "loggers": {"webhook_delivery": {"handlers": ["console"], "level": "INFO"}},
    }
