"""The example shop as in production, with receivers on this machine."""

from __future__ import annotations

from example_project.settings import *  # noqa: F403
from example_project.settings import Q_CLUSTER, WEBHOOK_DELIVERY

DEBUG = False  # Django would keep each statement

Q_CLUSTER = {**Q_CLUSTER, "name": "webhook_bench", "log_level": "WARNING"}

WEBHOOK_DELIVERY = {**WEBHOOK_DELIVERY, "TIMEOUT_SECONDS": 5, "CONCURRENCY": 32}
WEBHOOK_DELIVERY["SECRET_KEYS"] = ["b25seSBmb3IgYmVuY2htYXJrcywgbm90IGEgc2VjcmU="]
