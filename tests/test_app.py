"""The app as Django sees it."""

import subprocess
import sys

import pytest

import webhook_delivery
from example_project.settings import BASE_DIR
from webhook_delivery.models import Attempt, ConsoleAction, Delivery, Doorbell, Endpoint, Secret

pytestmark = pytest.mark.everywhere_once


def test_the_public_names_are_there_and_no_others():
    assert all(getattr(webhook_delivery, name) for name in webhook_delivery.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        webhook_delivery.nonsense  # noqa: B018


def test_without_django_q_it_says_what_to_install():
    code = """
from django.conf import settings
import django
settings.configure(INSTALLED_APPS=["django.contrib.contenttypes", "webhook_delivery"])
django.setup()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=BASE_DIR, capture_output=True, text=True
    )

    assert "webhook_delivery needs 'django_q' in INSTALLED_APPS." in done.stderr


def test_every_row_has_a_name_for_people():
    rows = [
        Attempt(number=1),
        ConsoleAction(verb="redeliver", count=2),
        Delivery(pk=1),
        Doorbell(),
        Endpoint(name="receiver"),
        Secret(pk=1),
    ]

    assert [str(row) for row in rows] == [
        "attempt 1",
        "redeliver × 2",
        "delivery 1",
        "doorbell",
        "receiver",
        "secret 1",
    ]
