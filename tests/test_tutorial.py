"""The tutorial is true: who follows it to the letter sees what it says, to its end."""

from __future__ import annotations

import json
import re

import pytest

from example_project.settings import BASE_DIR
from tests.newcomer import Newcomer, blocks, free_port, newcomer_in, pattern_of

TUTORIAL = (BASE_DIR / "docs" / "tutorial.md").read_text()

pytestmark = pytest.mark.everywhere_once


def deliveries(newcomer: Newcomer) -> list[dict]:
    """All of them with their logs, the first first."""
    return list(map(json.loads, newcomer.run("python manage.py webhooks export").splitlines()))


def test_a_newcomer_follows_the_tutorial_until_dead_letters_have_arrived(tmp_path):
    ports = {port: free_port() for port in ("8000", "9000")}
    with newcomer_in(tmp_path) as newcomer:
        newcomer.follow(re.sub("|".join(ports), lambda found: ports[found[0]], TUTORIAL))

        found = deliveries(newcomer)
        assert [each["delivery"]["state"] for each in found] == ["delivered"] * 4
        assert [[each["trigger"] for each in copy["attempts"]] for copy in found] == [
            ["schedule"],
            ["schedule", "schedule", "schedule", "redelivery"],
            ["schedule", "redelivery"],
            ["schedule"],
        ]


def test_what_is_to_be_seen_follows_something_that_was_done():
    languages = [block.language for block in blocks(TUTORIAL)]

    assert languages[0] == "console"
    assert languages.count("text") > 15
    assert {"step", "python"} <= set(languages)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ID  STATE\n 1  dead", "ID  STATE\n 2  held\n 1  dead\n"),
        ("due at  …", "id  7\ndue   at 2026-11-21T14:02:11\n"),
        ("… 2 passed in …", "== 2 passed in 0.3 s =="),
        ("… 2 passed in …", "2 passed"),
        ("2 passed", "12 passed"),
        ("a\nb", "b\na"),
    ],
)
def test_a_text_is_seen_line_by_line_in_its_order(text, said):
    expected = {"2 passed", "12 passed", "b\na"}
    plain = "\n".join(" ".join(line.split()) for line in said.splitlines())

    assert bool(pattern_of(text).search(plain)) == (said not in expected)
