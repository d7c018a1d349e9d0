"""The page on security names tests that exist."""

import ast
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.everywhere_once

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "security.md").read_text()
NAMED = sorted(set(re.findall(r"`(test_\w+\.py)(?:::(test_\w+))?`", PAGE)))


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_each_test_that_is_named_exists(file, name):
    tree = ast.parse((TESTS / file).read_text())
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}

    assert not name or name in names


def test_all_inputs_are_there():
    rows = re.findall(r"^\| ([\d–, ]+) \|", PAGE, re.MULTILINE)
    found = set()
    for row in rows:
        for part in row.split(","):
            first, _, last = part.strip().partition("–")
            found |= set(range(int(first), int(last or first) + 1))

    assert found == set(range(1, 53))
