"""A browser for all tests of a module, and a window for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import override_settings
from pytest_django.live_server_helper import LiveServer
from selenium.webdriver import Chrome

from tests import settings
from tests.browser.chromium import chromium
from tests.browser.window import LIGHT, WIDE, Window

STRICT = [*settings.MIDDLEWARE, "tests.browser.policy.StrictPolicy"]


@pytest.fixture(scope="module")
def driver() -> Iterator[Chrome]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with override_settings(MIDDLEWARE=STRICT):
        running = LiveServer("localhost")
    yield running
    running.stop()


@pytest.fixture
def window(driver: Chrome, server: LiveServer, db: None) -> Iterator[Window]:
    opened = Window(driver, server.url)
    driver.delete_all_cookies()
    opened.resize(WIDE)
    opened.prefer(LIGHT)
    yield opened
    driver.get("about:blank")  # it must not ask the server while the rows are deleted
    opened.errors()
