"""The documentation is built without a warning, and what follows from the code is current."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from docs import generate
from docs.writers import checks, signals
from docs.writers.docstrings import one_line
from tests.pages import DOCS, PAGES, ROOT, Page
from webhook_delivery import conf
from webhook_delivery.outcomes import Fault

pytestmark = pytest.mark.everywhere_once

PACKAGE = ROOT / "webhook_delivery"
ARCHITECTURE = Page(DOCS / "architecture.md")


def test_the_site_is_built_without_a_warning_and_leads_nowhere_but_into_itself(tmp_path):
    """As `make docs` builds it; in one test, for it takes seconds."""
    built = build(tmp_path)

    pages = [each for each in built.rglob("*.html") if each.name not in NOT_OURS]
    assert names(pages, built) == names(DOCS.rglob("*.md"), DOCS)
    assert [each for page in pages for each in missing_from(page)] == []
    screens = (built / "screens.html").read_text()
    assert screens.count("only-light") == screens.count("only-dark") > 10


NOT_OURS = ("genindex.html", "search.html")


def build(folder: Path) -> Path:
    options = ["-W", "--keep-going", "-n", "-q", "-d", str(folder / "trees")]
    ran = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, str(DOCS), str(folder / "html")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    return folder / "html"


def names(pages: Iterable[Path], folder: Path) -> set[Path]:
    return {page.relative_to(folder).with_suffix("") for page in pages}


def missing_from(page: Path) -> list[str]:
    """To what it links, or what it shows, that the site does not have."""
    found = re.findall(r'(?:href|src)="([^"#?:]+)[^":]*"', page.read_text())
    return [f"{page}: {each}" for each in found if not (page.parent / each).exists()]


def test_every_page_is_in_the_contents():
    index = Page(DOCS / "index.md")
    listed = {DOCS / link for link in index.links}

    assert {page.path for page in PAGES if DOCS in page.path.parents} - {index.path} == listed


def test_the_reference_and_the_picture_are_what_the_code_makes_of_them():
    """Otherwise: `make docs`."""
    assert generate.outdated() == []


def test_the_reference_names_every_setting_with_its_meaning():
    page = (DOCS / "reference" / "settings.md").read_text()
    sections = dict(re.findall(r"^### `(\w+)`\n\n.+\n\n(.+)$", page, re.MULTILINE))

    assert set(sections) == conf.KNOWN
    assert all(len(meaning) > 20 for meaning in sections.values())


def test_the_reference_names_every_check():
    sources = [*(PACKAGE / "checks").glob("*.py"), PACKAGE / "scheduling" / "oddities.py"]
    text = "".join(path.read_text() for path in sources)

    assert {each.code for each in checks.checks()} == set(
        re.findall(r'"(?:webhook_delivery\.)?([EWI]\d{3})"', text)
    )


def test_the_reference_names_every_fault():
    page = (DOCS / "reference" / "faults.md").read_text()

    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == [str(fault) for fault in Fault]


def test_signals_are_sent_with_what_their_texts_explain():
    table = (DOCS / "asking.md").read_text().partition("## Hearing back")[2]
    rows = re.findall(r"^\| `(\w+)` \| .+ \| (.+) \|$", table, re.MULTILINE)

    assert {name: ["sender", *re.findall(r"`(\w+)`", given)] for name, given in rows} == (
        signals.arguments()
    )


def test_whatever_is_offered_to_code_says_what_it_is_for():
    page = (DOCS / "reference" / "python.md").read_text()

    silent = re.findall(r"^### `(\S+)`\n+```py\n[^`]+```\n+(?=#|\Z)", page, re.MULTILINE)
    assert silent == []


def test_each_file_named_on_the_page_of_the_architecture_exists():
    named = re.findall(r"`([\w/]+(?:\.py|/))`", ARCHITECTURE.path.read_text())
    places = [PACKAGE, ROOT, ROOT / "tests"]

    assert len(named) > 50
    assert [each for each in named if not any((place / each).exists() for place in places)] == []


def test_each_test_named_on_a_page_exists():
    named = {
        each
        for page in PAGES
        for each in re.findall(r"(?<!shop/)\b(test_\w+\.py)", page.path.read_text())
    }

    assert [each for each in named if not (ROOT / "tests" / each).exists()] == []


def test_a_text_becomes_one_line_that_a_table_can_hold():
    assert one_line("One\n    | two.") == r"One \| two."
