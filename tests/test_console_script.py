"""What the console's script adds to its pages; and that they do without it."""

import pytest
from django.contrib.auth.models import User

from tests.browser import fixtures
from tests.browser.window import Window
from tests.screens import newest
from tests.screens.past import write_past
from webhook_delivery.models import Delivery, RedeliveryBatch

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.everywhere_once]

driver, server, window = fixtures.driver, fixtures.server, fixtures.window

HOME = "/admin/webhook_delivery"
LOOK_AGAIN = "document.dispatchEvent(new Event('visibilitychange'))"
"""As when the page's tab comes to the front; else a test would wait for its seconds."""
COUNT_REQUESTS = """
window.asked = 0;
const ask = window.fetch;
window.fetch = (...args) => { window.asked += 1; return ask(...args); };
"""
WATCH_THE_BOX = """
window.box = document.getElementById("webhook-attention");
window.announced = 0;
new MutationObserver(() => { window.announced += 1; })
  .observe(window.box, {childList: true, subtree: true, characterData: true});
"""
HALF_A_DAY_AGO = "new Date(Date.now() - 12.5 * 3600e3).toISOString()"
STILL_THERE = "return window.box === document.getElementById('webhook-attention')"


@pytest.fixture
def root(window) -> Window:
    window.sign_in(User.objects.create_superuser("ada", password="x"))
    write_past(12)
    return window


def run(window: Window, script: str):
    return window.driver.execute_script(script)


def tile(window: Window, label: str) -> str:
    return run(window, f"return document.querySelector('[aria-label^=\"{label}\"]').innerText")


def batch_page(window: Window) -> RedeliveryBatch:
    batch = newest(RedeliveryBatch)
    window.go(f"{HOME}/redeliverybatch/{batch.pk}/change/")
    run(window, COUNT_REQUESTS)
    return batch


def test_numbers_change_by_themselves_and_only_what_has_changed_is_announced(root):
    root.go(f"{HOME}/overview/")
    run(root, WATCH_THE_BOX)
    letters = Delivery.objects.dead().count()
    Delivery.objects.delivered().update(state="held")
    held = str(Delivery.objects.held().count())

    run(root, LOOK_AGAIN)
    root.until(lambda: tile(root, "Held") == held)
    assert (tile(root, "Dead letters"), run(root, "return window.announced")) == (str(letters), 0)

    RedeliveryBatch.objects.filter(state="guarded").update(state="done")
    run(root, LOOK_AGAIN)
    root.until(lambda: run(root, "return window.announced") > 0)
    assert "paused itself" not in run(root, "return window.box.innerText")
    assert run(root, STILL_THERE)


@pytest.mark.parametrize(
    "use",
    [
        "document.querySelector('#webhook-progress input[name=rate]').focus()",
        "document.querySelector('#webhook-progress input[name=rate]').value = '7'",
        "getSelection().selectAllChildren(document.querySelector('#webhook-progress h2'))",
    ],
    ids=["focus", "typing", "selection"],
)
def test_what_somebody_is_using_is_left_alone(root, use):
    batch_page(root)
    run(root, use)

    run(root, LOOK_AGAIN)

    assert run(root, "return window.asked") == 0


def test_it_is_no_longer_asked_when_there_is_nothing_more_to_come(root):
    batch = batch_page(root)
    RedeliveryBatch.objects.filter(pk=batch.pk).update(state="done", ended_at=batch.created_at)
    Delivery.objects.update(state="delivered")

    run(root, LOOK_AGAIN)

    root.until(lambda: not root.all("[data-webhook-refresh]"))
    root.until_it_says("done")
    run(root, f"window.asked = 0; {LOOK_AGAIN}")
    assert run(root, "return window.asked") == 0


def test_a_page_that_cannot_be_brought_up_to_date_says_so(root):
    root.go(f"{HOME}/overview/")
    root.driver.delete_all_cookies()

    run(root, LOOK_AGAIN)

    root.until_it_says("This page could not be brought up to date.")
    assert root.all("#webhook-overview") != []


def test_an_opened_answer_stays_open(root):
    row = newest(Delivery)
    Delivery.objects.filter(pk=row.pk).update(state="pending", due_at=row.created_at)
    root.go(f"{HOME}/delivery/{row.pk}/change/")
    opened = root.all("#webhook-timeline details:not([open]) > summary")[0]
    opened.click()
    run(root, "document.activeElement.blur()")
    Delivery.objects.filter(pk=row.pk).update(state="delivered", due_at=None)

    run(root, LOOK_AGAIN)
    root.until(lambda: "delivered" in root.all("#webhook-standing .webhook-state")[0].text)

    assert opened.find_element("xpath", "..").get_attribute("open") is not None


@pytest.mark.parametrize("clipboard", [True, False], ids=["clipboard", "no clipboard"])
def test_a_button_copies_and_says_so(root, clipboard):
    allowed = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    root.driver.execute_cdp_cmd("Browser.grantPermissions", {**allowed, "origin": root.base})
    row = newest(Delivery)
    root.go(f"{HOME}/delivery/{row.pk}/change/")
    if not clipboard:
        run(root, "Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    button = root.all("[data-webhook-copy]")[0]
    source = button.get_attribute("data-webhook-copy")

    button.click()

    root.until(lambda: root.all(".webhook-said")[0].text == "Copied.")
    root.go(f"{HOME}/delivery/{row.pk}/change/")  # where there is a clipboard
    read = "navigator.clipboard.readText().then(arguments[0])"
    copied = root.driver.execute_async_script(read)
    assert copied.strip() == run(root, f"return document.getElementById('{source}').innerText")


@pytest.mark.parametrize(("language", "said"), [("en", "12 hours ago"), ("de", "vor 12 Stunden")])
def test_times_are_told_in_the_language_of_the_page(root, request, language, said):
    request.addfinalizer(root.driver.delete_all_cookies)  # the next one speaks English again
    root.driver.add_cookie({"name": "django_language", "value": language})
    root.go(f"{HOME}/deadletter/")
    run(root, f"document.querySelector('time.webhook-time').dateTime = {HALF_A_DAY_AGO}")

    root.until(lambda: said in root.all("time.webhook-time")[0].text, seconds=10)

    assert root.all("time.webhook-time")[0].get_attribute("title").startswith("20")


def test_everything_is_there_without_a_script(root):
    row = newest(Delivery)
    off = {"value": True}
    root.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", off)
    try:
        for path in ("overview/", f"delivery/{row.pk}/change/", "deadletter/"):
            root.go(f"{HOME}/{path}")
            assert row.endpoint.name in root.driver.page_source
            assert [
                button for button in root.all("[data-webhook-copy]") if button.is_displayed()
            ] == []
    finally:
        root.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
