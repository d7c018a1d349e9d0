"""Draws every screen, light and dark; not among the tests, for it writes (`make screenshots`)."""

import io
import os
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from example_project.settings import BASE_DIR
from tests.browser import fixtures, sources
from tests.browser.window import DARK, LIGHT, WIDE, Window
from tests.screens import addresses
from tests.screens.past import write_past

pytestmark = pytest.mark.django_db(transaction=True)

driver, server, window = fixtures.driver, fixtures.server, fixtures.window

FOLDER = Path(os.environ.get("SCREENSHOTS_FOLDER", BASE_DIR / "docs" / "console"))
WIDTHS = [int(width) for width in os.environ.get("SCREENSHOTS_WIDTHS", str(WIDE)).split(",")]
COLOURS = 96
"""Enough for flat surfaces and letters; files get a quarter of the size."""
PICTURES = {
    "overview": "overview_changelist",
    "dead-letters": "deadletter_changelist",
    "failure-groups": "failuregroup_changelist",
    "deliveries": "delivery_changelist",
    "delivery": "delivery_change",
    "redeliver": "redeliverybatch_confirm",
    "redeliveries": "redeliverybatch_changelist",
    "redelivery": "redeliverybatch_change",
    "endpoints": "endpoint_changelist",
    "endpoint": "endpoint_change",
    "endpoint-health": "endpoint_health",
    "endpoint-pause": "endpoint_pause",
    "endpoint-recover": "endpoint_recover",
    "events": "event_changelist",
    "event": "event_change",
    "event-forward": "event_forward",
    "actions": "consoleaction_changelist",
}


def test_every_screen_is_drawn(window):
    window.sign_in(User.objects.create_superuser("ada", password="x"))
    write_past(90, told=5)
    for name, screen in PICTURES.items():
        [address] = [each for each in addresses() if each.name == screen]
        window.go(address.url_of())
        for width in WIDTHS:
            window.resize(width)
            draw(window, name if width == WIDE else f"{name}-{width}")
    if sources.KEPT.parent == FOLDER:
        sources.note()


def draw(window: Window, name: str) -> None:
    for scheme in (LIGHT, DARK):
        window.prefer(scheme)
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / f"{name}-{scheme}.png").write_bytes(smaller(window.picture()))


def smaller(picture: bytes) -> bytes:
    """The same picture with few colours."""
    from PIL import Image  # only `make screenshots` needs it

    image = Image.open(io.BytesIO(picture)).convert("RGB")
    drawn = io.BytesIO()
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(drawn, "PNG", optimize=True)
    return drawn.getvalue()
