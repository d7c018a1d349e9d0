"""Lets a test choose, for the processes it starts, how they claim."""

import os

from django.apps import AppConfig
from django.db import connection


class LibraryConfig(AppConfig):
    name = "tests.library"

    def ready(self) -> None:
        path = os.environ.get("WEBHOOK_TEST_CLAIM_PATH")
        if path:
            features = type(connection.features)
            features.has_select_for_update_skip_locked = path == "skip_locked"
