"""Somebody with a browser that knows no JavaScript, who clicks, types and reads as a page says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import requests
from django.test.html import Element, parse_html

TOKEN = re.compile(
    r"<(?P<address>http[^>]+)>"
    r"|`(?P<typed>[^`]+)` into \*\*(?P<field>[^*]+)\*\*"
    r"|\*\*(?P<pressed>[^*]+)\*\*"
    r"|“(?P<read>[^”]+)”"
)


class Visitor:
    """
    Does what a step says.

    Opens `<http://…>`, types into **Fields**, clicks **links** and presses **buttons**, by what is
    written on them; “what is quoted” must be on the page then.
    """

    def __init__(self) -> None:
        self.session = requests.Session()
        self.session.trust_env = False
        self.typed: dict[str, str] = {}

    def do(self, step: str) -> None:
        for found in TOKEN.finditer(step):
            if found["address"]:
                self._show(self.session.get(found["address"]))
            elif found["typed"]:
                self.typed[self._field(found["field"])] = found["typed"]
            elif found["pressed"]:
                self._press(found["pressed"])
            else:
                self._read(found["read"])

    def _show(self, answer: requests.Response) -> None:
        assert answer.status_code == 200, f"{answer.url}: {answer.status_code}\n{answer.text}"
        self.page, self.url, self.typed = parse_html(answer.text), answer.url, {}

    def _read(self, words: str) -> None:
        assert words in text_of(self.page), f"{words} is not on {self.url}:\n{text_of(self.page)}"

    def _press(self, words: str) -> None:
        for link in elements(self.page, "a"):
            if text_of(link) == words:
                self._show(self.session.get(urljoin(self.url, attributes(link)["href"])))
                return
        for form in elements(self.page, "form"):
            for button in elements(form, "button", "input"):
                if words in (text_of(button), attributes(button).get("value")):
                    self._send(form, button)
                    return
        raise AssertionError(f"{words} is not to be pressed on {self.url}:\n{text_of(self.page)}")

    def _send(self, form: Element, button: Element) -> None:
        known, sent = attributes(form), {**dict(_filled_in(form)), **self.typed}
        address = attributes(button).get("formaction") or known.get("action", "")
        assert known["method"] == "post"
        self._show(self.session.post(urljoin(self.url, address), data=sent))

    def _field(self, label: str) -> str:
        """The name of the field with this label."""
        labels = elements(self.page, "label")
        [owner] = [attributes(each)["for"] for each in labels if text_of(each).rstrip(":") == label]
        fields = map(attributes, elements(self.page, "input", "textarea", "select"))
        return next(each["name"] for each in fields if each.get("id") == owner)


def _filled_in(form: Element) -> Iterator[tuple[str, str]]:
    """What is in the text fields of a form already, those that are not shown among them."""
    for field in map(attributes, elements(form, "input")):
        if field.get("type", "text") in ("text", "hidden", "password") and "name" in field:
            yield field["name"], field.get("value", "")


def elements(within: Any, *names: str) -> Iterator[Element]:
    """All elements of these names, wherever they are in it."""
    for child in within.children:
        if isinstance(child, Element):
            if child.name in names:
                yield child
            yield from elements(child, *names)


def attributes(element: Element) -> dict[str, str]:
    return {name: value or "" for name, value in element.attributes}


def text_of(element: Any) -> str:
    """What is to be read in it, with single blanks."""
    parts = [each if isinstance(each, str) else text_of(each) for each in element.children]
    return " ".join(" ".join(parts).split())
