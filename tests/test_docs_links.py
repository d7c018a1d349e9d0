"""Every link of the documentation leads somewhere, and every picture is there, used and current."""

from __future__ import annotations

import os

import pytest

from tests.browser import sources
from tests.browser.pictures import PICTURES
from tests.pages import DOCS, PAGES, broken_links

pytestmark = pytest.mark.everywhere_once

CONSOLE = DOCS / "console"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_leads_somewhere(page):
    assert broken_links(page.path) == []


def test_no_picture_of_the_console_is_unused():
    used = {
        os.path.normpath(page.path.parent / picture) for page in PAGES for picture in page.pictures
    }

    assert [each.name for each in CONSOLE.glob("*.png") if str(each) not in used] == []


def test_every_screen_is_there_in_light_and_in_dark():
    wanted = {f"{name}-{scheme}.png" for name in PICTURES for scheme in ("light", "dark")}

    assert {path.name for path in CONSOLE.glob("*.png")} == wanted


def test_the_pictures_were_drawn_from_the_screens_of_today():
    """Otherwise: `make screenshots`."""
    assert sources.changed() == []
