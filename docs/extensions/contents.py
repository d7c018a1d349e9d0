"""
Lets Sphinx read the pages as they are for GitHub: plain Markdown, without a directive of Sphinx.

- The contents are the lists of links on the first page, each under its heading.
- A page that is a title and a link to a file outside docs/ stands for that file.
- Links to such a file lead to its page, wherever they are; others that lead outside become text.
- A `<picture>` becomes two images, of which the theme shows the one for its own light or dark.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

FENCE = re.compile(r"^(```+|~~~+).*?^\1\s*$", re.MULTILINE | re.DOTALL)
STUB = re.compile(r"(# .+)\n+\[[^\]]+\]\((\.\./[^)]+\.md)\)\s*")
TITLE = re.compile(r"\A# .+")
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!\w+:)([^)#\s]*)(#[^)\s]*)?\)")
PICTURE = re.compile(
    r'<picture>\s*<source[^>]*srcset="(?P<dark>[^"]+)"[^>]*>\s*'
    r'<img alt="(?P<alt>[^"]*)" src="(?P<light>[^"]+)"[^>]*>\s*</picture>'
)
SECTION = re.compile(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
ENTRY = re.compile(r"^ *- \[[^\]]+\]\(([^)#]+)\.md\)", re.MULTILINE)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", read)
    return {"parallel_read_safe": True}


def read(app: Sphinx, name: str, source: list[str]) -> None:
    """Take the page's text, and hand on what Sphinx is to read instead."""
    docs, text = Path(app.srcdir), source[0]
    page = docs / f"{name}.md"
    written = page
    if stub := STUB.fullmatch(text):
        written = _resolved(page, stub[2])
        text = TITLE.sub(lambda _: stub[1], written.read_text())
    text = _outside_of_fences(text, lambda part: _led(_pictured(part), written, page, docs))
    source[0] = text + contents(text) if name == app.config.root_doc else text


def contents(text: str) -> str:
    """The lists of links as tables of contents, which only the sidebar shows."""
    trees = []
    for caption, listed in SECTION.findall(text):
        if names := ENTRY.findall(listed):
            options = f":hidden:\n:caption: {caption}\n"
            trees.append("```{toctree}\n" + options + "\n" + "\n".join(names) + "\n```\n")
    return "\n" + "\n".join(trees)


def stubs(docs: Path) -> dict[Path, Path]:
    """The pages that stand for files outside, by those files."""
    found = {}
    for page in docs.rglob("*.md"):
        if stub := STUB.fullmatch(page.read_text()):
            found[_resolved(page, stub[2])] = page
    return found


def _resolved(page: Path, target: str) -> Path:
    return Path(os.path.normpath(page.parent / target))


def _outside_of_fences(text: str, change: Callable[[str], str]) -> str:
    return "".join(_parts(text, change))


def _parts(text: str, change: Callable[[str], str]) -> Iterator[str]:
    last = 0
    for fence in FENCE.finditer(text):
        yield change(text[last : fence.start()])
        yield fence[0]
        last = fence.end()
    yield change(text[last:])


def _pictured(text: str) -> str:
    def images(found: re.Match[str]) -> str:
        light = f"![{found['alt']}]({found['light']}){{.only-light}}"
        return f"{light}\n![{found['alt']}]({found['dark']}){{.only-dark}}"

    return PICTURE.sub(images, text)


def _led(text: str, written: Path, page: Path, docs: Path) -> str:
    """Lead each link, as it was written there, to where it leads from this page."""
    pages = stubs(docs)

    def lead(found: re.Match[str]) -> str:
        image, said, target, anchor = found[1], found[2], found[3], found[4] or ""
        if not target:
            return found[0]
        aim = _resolved(written, target)
        aim = pages.get(aim, aim)
        if not image and docs not in aim.parents:
            return said
        return f"{image}[{said}]({os.path.relpath(aim, page.parent)}{anchor})"

    return LINK.sub(lead, text)
