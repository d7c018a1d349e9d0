"""A browser's window, and what people do in it: click, type, tab, and read."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver import Chrome
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from example_project.settings import BASE_DIR

AXE = BASE_DIR / ".node/node_modules/axe-core/axe.min.js"
WIDE, NARROW = 1280, 400
LIGHT, DARK = "light", "dark"
PATIENCE_SECONDS = 20
FOCUSED = """
const it = document.activeElement;
const named = it.labels && it.labels.length ? it.labels[0].innerText : "";
const called = named || it.getAttribute("aria-label") || it.innerText || it.value || "";
return it === document.body ? "" : called.trim();
"""
RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]}
COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
"""What another scheme may break."""
OVERFLOW = """
const width = document.documentElement.clientWidth;
const scrolls = (it) => it && (["auto", "scroll", "hidden"].includes(getComputedStyle(it).overflowX)
  || scrolls(it.parentElement));
return [...document.querySelectorAll("#content *")]
  .filter((it) => it.getBoundingClientRect().right > width + 1 && !scrolls(it))
  .map((it) => it.outerHTML.slice(0, 120));
"""
EXAMINE = """
const [context, rules, done] = arguments;
const how = {runOnly: rules, resultTypes: ["violations"], preload: false};
axe.run(context, how).then(
  (found) => done(found.violations.flatMap(({id, nodes}) => nodes.map(
    (node) => `${id}: ${node.html.slice(0, 200)} (${node.target}) ${node.failureSummary}`))),
  (error) => done([String(error)]));
"""


class Window:
    """One window, on one server. What is clicked and read is what a person would see."""

    def __init__(self, driver: Chrome, base: str) -> None:
        self.driver, self.base = driver, base

    def sign_in(self, user: User) -> None:
        client = Client()
        client.force_login(user)
        self.go("/admin/login/")
        value = client.cookies[settings.SESSION_COOKIE_NAME].value
        self.driver.add_cookie({"name": settings.SESSION_COOKIE_NAME, "value": value})

    def go(self, path: str) -> None:
        self.driver.get(self.base + path)

    @property
    def path(self) -> str:
        return self.driver.current_url.removeprefix(self.base)

    @property
    def text(self) -> str:
        return self.driver.find_element(By.TAG_NAME, "body").text

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def until_it_says(self, *words: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait, without reloading, until all that can be read."""
        self.until(lambda: all(word in self.text for word in words), words, seconds)

    def until(self, true: Callable[[], bool], what: object = "", seconds: float = 20) -> None:
        def looks(_driver: Chrome) -> bool:
            try:
                return true()
            except StaleElementReferenceException:
                return False

        said = f"{what} not within {seconds} s on {self.path}"
        try:
            WebDriverWait(self.driver, seconds, 0.1).until(looks, said)
        except WebDriverException as error:
            raise AssertionError(f"{said}:\n{self.text}") from error

    # ── with the mouse

    def click(self, words: str, *, within: str = "body") -> None:
        """Click the first link or button that says so, and wait for the page that follows."""
        self._leave(lambda: self.control(words, within=within).click())

    def control(self, words: str, *, within: str = "body") -> WebElement:
        chosen = f"{within} :is(a, button, summary, input[type=submit])"
        for element in self.all(chosen):
            said = element.text or element.get_attribute("value") or ""
            if said.strip() == words and element.is_displayed():
                return element
        raise AssertionError(f"nothing to click says {words!r} on {self.path}:\n{self.text}")

    def field(self, label: str) -> WebElement:
        for each in self.all("label"):
            if each.text.strip().rstrip(":") == label and each.is_displayed():
                return self.driver.execute_script("return arguments[0].control", each)
        raise AssertionError(f"no field is called {label!r} on {self.path}:\n{self.text}")

    def fill(self, label: str, text: str) -> None:
        field = self.field(label)
        field.clear()
        field.send_keys(text)

    def tick(self, label: str) -> None:
        if not self.field(label).is_selected():
            self.field(label).click()

    def _leave(self, act: Callable[[], object]) -> None:
        """Do what leads to another page, and wait until it is there."""
        before = self.driver.find_element(By.TAG_NAME, "html").id
        act()
        self.until(
            lambda: (
                self.driver.find_element(By.TAG_NAME, "html").id != before
                and self.driver.execute_script("return document.readyState") == "complete"
            ),
            "another page",
        )

    # ── with the keyboard

    def press(self, *keys: str) -> None:
        ActionChains(self.driver).send_keys(*keys).perform()

    def tab_to(self, words: str, *, most: int = 400) -> None:
        """Tab until what has the focus is called so."""
        passed = [self.focused]
        while passed[-1].rstrip(":") != words and len(passed) < most:
            self.press(Keys.TAB)
            passed.append(self.focused)
        if passed[-1].rstrip(":") == words:
            return
        raise AssertionError(f"Tab never came to {words!r} on {self.path}, but to {passed}")

    def enter(self, words: str) -> None:
        """Tab to a link or button, and follow it."""
        self.tab_to(words)
        self._leave(lambda: self.press(Keys.ENTER))

    def type_into(self, label: str, text: str) -> None:
        self.tab_to(label)
        keys = ActionChains(self.driver).key_down(Keys.CONTROL).send_keys("a").key_up(Keys.CONTROL)
        keys.send_keys(text).perform()

    @property
    def focused(self) -> str:
        return str(self.driver.execute_script(FOCUSED)).strip()

    # ── as it looks

    def prefer(self, scheme: str) -> None:
        """Let the person prefer `light` or `dark`, and wait until colours have changed."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        moving = "return document.getAnimations().length"
        self.until(lambda: self.driver.execute_script(moving) == 0, "a page that stands still")

    def resize(self, width: int) -> None:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def picture(self) -> bytes:
        """The whole page, as PNG."""
        asked = {"format": "png", "captureBeyondViewport": True}
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", asked)
        return base64.b64decode(shot["data"])

    def overflow(self) -> list[str]:
        """What of the page's content is wider than its window, and cannot be scrolled by itself."""
        return self.driver.execute_script(OVERFLOW)

    # ── what is wrong with it

    def barriers(self, rules: dict[str, object] = RULES, *, beside: list[str]) -> list[str]:
        """What axe finds; `beside`: selectors of what is not ours."""
        self.driver.execute_script(AXE.read_text())
        context = {"exclude": [[each] for each in beside]}
        return self.driver.execute_async_script(EXAMINE, context, rules)

    def violations(self) -> list[str]:
        """Of the policy, since the last time this was asked."""
        said = self.driver.execute_script(
            "const said = sessionStorage.violations; delete sessionStorage.violations; return said"
        )
        return json.loads(said or "[]")

    def errors(self) -> list[str]:
        """What the browser's console was told, since the last time this was asked."""
        return [
            entry["message"]
            for entry in self.driver.get_log("browser")
            if "favicon.ico" not in entry["message"]
        ]
