"""Reads the pages of the documentation: their headings, links, pictures and code."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
MARKDOWN = MarkdownIt("commonmark").enable("table")
SOURCES = re.compile(r"(?:src|srcset|href)=\"([^\"]+)\"")
STRANGE = re.compile(r"[^\w\- ]")
"""What GitHub leaves out of an anchor."""


@dataclass(frozen=True)
class Code:
    """A fenced block, and the line of the page on which its text begins."""

    language: str
    text: str
    line: int
    section: str
    """The anchor of the heading above it of the second level; empty: there is none."""


class Page:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @cached_property
    def tokens(self) -> list[Token]:
        return MARKDOWN.parse(self.path.read_text())

    @cached_property
    def anchors(self) -> list[str]:
        """As GitHub makes them: of two that are the same, the second ends with `-1`."""
        found, seen = [], Counter[str]()
        for before, inline in pairwise(self.tokens):
            if before.type == "heading_open":
                anchor = anchor_of(inline)
                found.append(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
                seen[anchor] += 1
        return found

    @property
    def links(self) -> list[str]:
        """What its links and its pictures lead to, but for other sites."""
        told = [*self._targets("link_open", "href"), *self.pictures]
        return [unquote(each) for each in told if not re.match(r"[a-z]+:", each)]

    @property
    def pictures(self) -> list[str]:
        html = [each.content for each in self._inner() if each.type.startswith("html_")]
        return [*self._targets("image", "src"), *SOURCES.findall("".join(html))]

    @property
    def code(self) -> Iterator[Code]:
        section = ""
        for token, inline in zip(self.tokens, [*self.tokens[1:], None], strict=True):
            if token.type == "heading_open" and token.tag == "h2" and inline:
                section = anchor_of(inline)
            if token.type == "fence" and token.map:
                yield Code(token.info.strip(), token.content, token.map[0] + 2, section)

    @property
    def prose(self) -> str:
        """What is there to be read: neither code nor addresses."""
        html = "".join(each.content for each in self._inner() if each.type.startswith("html_"))
        told = [each.content for each in self._inner() if each.type == "text"]
        return re.sub(r"\w+://\S+", "", "\n".join([*told, *re.findall(r'alt="([^"]+)"', html)]))

    def _targets(self, kind: str, name: str) -> list[str]:
        return [str(each.attrGet(name)) for each in self._inner() if each.type == kind]

    def _inner(self) -> Iterator[Token]:
        for token in self.tokens:
            yield token
            for child in token.children or ():
                yield child
                yield from child.children or ()


def anchor_of(heading: Token) -> str:
    """The text of a heading, without its marks, in small letters; a blank is a hyphen."""
    kinds = {"text", "code_inline"}
    text = "".join(each.content for each in heading.children or () if each.type in kinds)
    return STRANGE.sub("", text.lower()).replace(" ", "-")


def broken_links(path: Path) -> list[str]:
    """Those of a page to files that do not exist, or to headings that their files do not have."""
    return [link for link in Page(path).links if not _leads(path, link)]


def _leads(path: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = path.parent / name if name else path
    if not target.exists() or not anchor or target.suffix != ".md":
        return target.exists()
    return anchor in _anchors_of(target.resolve())


@cache
def _anchors_of(path: Path) -> list[str]:
    return Page(path).anchors


PAGES = [
    Page(path)
    for path in [
        *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG")),
        ROOT / "benchmarks" / "RESULTS.md",
        *sorted(DOCS.rglob("*.md")),
    ]
]
