"""The console in a real browser: on every screen no stranger's script, and no barrier."""

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

import webhook_delivery
from tests.browser import fixtures
from tests.browser.window import COLOURS, DARK, LIGHT, NARROW, WIDE, Window
from tests.screens import Address, addresses
from tests.screens.past import write_past

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.everywhere_once]

driver, server, window = fixtures.driver, fixtures.server, fixtures.window

NOT_OURS = [
    "#searchbar",  # its label is a picture
    ".breadcrumbs",  # its links are told from the text by their colour alone
    "td.delete",  # a box in a table of its own, without a label
    "th.original",  # a column of its own, without a name
]
"""What of Django's own pages breaks a rule."""


def screens() -> list[Address]:
    """Ours, and Django's lists and pages of one row; not its history and its questions."""
    shown = ("changelist", "change", "endpoint_add")
    return [each for each in addresses() if each.own or each.name.endswith(shown)]


@pytest.fixture
def root(window, db) -> Window:
    window.sign_in(User.objects.create_superuser("ada", password="x"))
    return window


@pytest.mark.parametrize("address", screens(), ids=str)
def test_a_screen_keeps_the_policy_bars_nobody_and_fits(root, address):
    write_past(20)
    if not is_shown(address):
        return
    root.go(address.url_of())
    wrong = root.violations() + root.errors()
    wrong += root.barriers(beside=NOT_OURS)
    root.prefer(DARK)
    wrong += [f"dark: {said}" for said in root.barriers(COLOURS, beside=NOT_OURS)]
    root.resize(NARROW)
    wrong += [f"too wide: {said}" for said in root.overflow()]
    root.resize(WIDE)
    root.prefer(LIGHT)

    assert not wrong, "\n".join(wrong)


def is_shown(address: Address) -> bool:
    client = Client()
    client.force_login(User.objects.get(username="ada"))
    answer = client.get(address.url_of())
    return answer.status_code == 200 and answer["Content-Type"].startswith("text/html")


# ── what is written in the files

HOME = Path(webhook_delivery.__file__).parent
TEMPLATES = sorted(HOME.glob("templates/**/*.html"))
INLINE = {
    "a style": r"\sstyle=",
    "a handler": r"\son[a-z]+=",
    "a script": r"<script",
    "a style sheet": r"<style",
    "text marked safe": r"\|\s*safe|autoescape off|mark_safe|safestring",
    "a reload": r"http-equiv",
    "another site": r"(?:src|href)=.https?:",
}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_nothing_inline_and_nothing_marked_safe(template):
    text = template.read_text()

    assert [name for name, pattern in INLINE.items() if re.search(pattern, text)] == []


def test_no_module_marks_text_as_safe():
    modules = [path for path in HOME.glob("**/*.py") if "tests" not in path.parts]

    assert [
        path.name for path in modules if re.search(INLINE["text marked safe"], path.read_text())
    ] == []
