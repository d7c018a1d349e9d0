"""The example shop, as tests want it: a database of its own, and quick retries."""

import json
import os
import tempfile
from pathlib import Path

from example_project.settings import *  # noqa: F403
from example_project.settings import DATABASES, INSTALLED_APPS, Q_CLUSTER, WEBHOOK_DELIVERY

INSTALLED_APPS = [*INSTALLED_APPS, "tests.library", "tests.emptying", "tests.owners"]

pinned = os.environ.get("WEBHOOK_TEST_DATABASE")
"""The name of a running test's database, for the processes it starts."""

if pinned:
    DATABASES["default"]["NAME"] = pinned
elif DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, not memory: clusters and threads have connections of their own.
    folder = os.environ.get("WEBHOOK_TEST_FOLDER") or tempfile.mkdtemp(prefix="webhook-tests-")
    DATABASES["default"]["NAME"] = str(Path(folder) / "db.sqlite3")
    DATABASES["default"]["TEST"] = {"NAME": str(Path(folder) / "test.sqlite3")}

ROOT_URLCONF = os.environ.get("WEBHOOK_TEST_URLS", ROOT_URLCONF)  # noqa: F405

# Django 6.1 wants to be told; older ones are told by the test runner only.
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

Q_CLUSTER = {**Q_CLUSTER, "poll": 0.05, "log_level": "WARNING"}
if pinned and "REDIS_URL" in os.environ:
    Q_CLUSTER["name"] = f"shop {pinned}"  # test runs beside this one share the Redis server


class EveryCycle(float):
    """A guard's cycle after each of which the scheduler's 30 s have passed for django-q2."""

    def __radd__(self, waited: float) -> float:
        return waited + 30


if os.environ.get("WEBHOOK_TEST_TICKS") == "fast":
    Q_CLUSTER["guard_cycle"] = EveryCycle(0.5)

WEBHOOK_DELIVERY = {
    **WEBHOOK_DELIVERY,
    "RETRY_SCHEDULE": (1, 1, 1, 1, 1, 1, 1, 1, 1),
    "RETRY_JITTER": 0.0,
    "TIMEOUT_SECONDS": 2,
    "MAX_TIMEOUT_SECONDS": 3,
    "LEASE_MARGIN_SECONDS": 2,
    "CONCURRENCY": 8,
    "DRAIN_SECONDS": 5,
}
WEBHOOK_DELIVERY |= json.loads(os.environ.get("WEBHOOK_TEST_SETTINGS", "{}"))
