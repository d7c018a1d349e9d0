"""Runs the machine's own Chromium, without a screen."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

SWITCHES = [
    "--headless=new",
    "--no-sandbox",  # the tests may be run by root
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
]
LISTEN = """
addEventListener("securitypolicyviolation", (event) => {
  const before = JSON.parse(sessionStorage.violations || "[]");
  const {violatedDirective: rule, sourceFile, lineNumber, sample} = event;
  const said = `${location.pathname}: ${rule} ${sourceFile}:${lineNumber} ${sample}`;
  sessionStorage.violations = JSON.stringify([...before, said]);
});
"""
"""The events outlive their page: a violation on the way is one too."""


@contextmanager
def chromium() -> Iterator[Chrome]:
    """Run Chromium without a screen. Skips the test if it is not installed."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (browser and driver):
        pytest.skip("chromium and chromedriver are not installed (Debian: chromium-driver)")
    options = ChromeOptions()
    options.binary_location = browser
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with tempfile.TemporaryDirectory(prefix="webhook-browser-", ignore_cleanup_errors=True) as own:
        for switch in [*SWITCHES, f"--user-data-dir={own}"]:
            options.add_argument(switch)
        service = ChromeService(driver, env={**os.environ, "HOME": own})
        running = Chrome(options, service)
        try:
            running.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": LISTEN})
            yield running
        finally:
            running.quit()
