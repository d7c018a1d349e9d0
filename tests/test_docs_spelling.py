"""Every word of the documentation is English, as it is written in Britain, or one of ours."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.pages import DOCS, PAGES

pytestmark = pytest.mark.everywhere_once

WORDS = (DOCS / "words.txt").read_text().splitlines()
WRITTEN = [page for page in PAGES if page.path.name != "RESULTS.md"]
"""By people; what `make bench` writes names machines and commits."""


def unknown_to_aspell(text: str) -> set[str]:
    """The words that are in no dictionary of British English."""
    if shutil.which("aspell") is None:
        pytest.skip("aspell is not installed (Debian: aspell, aspell-en)")
    ran = subprocess.run(
        ["aspell", "list", "--lang=en", "--master=en_GB", "--encoding=utf-8"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(ran.stdout.split())


def test_every_word_is_in_the_dictionary_or_in_our_list():
    """A word that is right goes into docs/words.txt."""
    unknown = unknown_to_aspell("\n".join(page.prose for page in WRITTEN)) - set(WORDS)

    assert {
        word: [str(page) for page in WRITTEN if re.search(rf"\b{word}\b", page.prose)]
        for word in sorted(unknown)
    } == {}


def test_a_misspelt_word_would_be_found_and_an_american_one():
    assert unknown_to_aspell("Deliverys are colored, and the colour is kept.") == {
        "Deliverys",
        "colored",
    }


def test_our_list_is_in_order():
    assert sorted(set(WORDS), key=lambda word: (word.lower(), word)) == WORDS
