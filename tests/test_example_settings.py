"""The example's settings: what the environment says makes them those of a server."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from cryptography.fernet import Fernet

from example_project.settings import BASE_DIR

pytestmark = pytest.mark.everywhere_once

SERVER = {
    "DEBUG": "0",
    "SECRET_KEY": "k" * 60,
    "WEBHOOK_KEYS": Fernet.generate_key().decode(),
    "METRICS_TOKEN": "t" * 40,
    "ALLOWED_HOSTS": "shop.example",
    "DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing",
}


def django(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    plain = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-W", "error", "manage.py", *arguments],
        env={**plain, "DJANGO_SETTINGS_MODULE": "example_project.settings", **environment},
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
    )


def test_on_a_server_nothing_of_ours_should_not_go_live_so():
    said = django("check", "--deploy", "--tag", "webhook_delivery", **SERVER)

    assert "webhook_delivery.W" not in said.stdout + said.stderr
    assert said.returncode == 0, said.stderr


def test_a_server_needs_a_key_of_its_own():
    asked = "from django.core import signing; signing.dumps(7)"
    said = django("shell", "-v", "0", "-c", asked, **{**SERVER, "SECRET_KEY": ""})

    assert said.returncode != 0
    assert "SECRET_KEY" in said.stderr


def test_a_server_serves_the_consoles_styles(tmp_path):
    server = {**SERVER, "STATIC_ROOT": str(tmp_path)}
    assert django("collectstatic", "--no-input", **server).returncode == 0

    asked = "; ".join(
        [
            "from django.test import Client",
            "got = Client().get('/static/webhook_delivery/console.css', HTTP_HOST='shop.example')",
            "print(got.status_code, got['content-type'])",
        ]
    )
    assert django("shell", "-v", "0", "-c", asked, **server).stdout.startswith("200 text/css")


def test_on_a_server_the_log_is_json():
    asked = "import logging; logging.getLogger('webhook_delivery').warning('hot')"
    said = django("shell", "-v", "0", "-c", asked, **SERVER)

    assert json.loads(said.stderr)["message"] == "hot"
