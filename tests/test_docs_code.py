"""All the Python in the documentation is run: here, page by page, or by the test that is named."""

from __future__ import annotations

import ast
import fnmatch
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import override_settings
from django.test.utils import isolate_apps

from example_project.shop.models import Order
from tests.pages import PAGES, ROOT, Code, Page
from webhook_delivery import publish, registry, signals
from webhook_delivery.checks import check_settings
from webhook_delivery.tellers import registered

ELSEWHERE: Mapping[str, str] = {
    "CONTRIBUTING.md": "test_docs_code.py::test_the_example_in_contributing_is_a_test_of_ours",
    "README.md#five-minutes": (
        "test_readme.py::test_a_newcomer_follows_the_quick_start_until_a_dead_letter_has_arrived"
    ),
    "README.md#testing-with-it": "test_guides.py::test_the_test_in_the_readme_passes",
    "docs/asking.md": "test_guides.py::test_all_the_code_of_the_guide_runs",
    "docs/catalogue.md": "test_guides.py::test_the_guide_to_the_catalogue_describes",
    "docs/coming-from/*": "test_coming_from.py::test_each_scenario_sends_what_the_page_says",
    "docs/monitoring.md#the-log": (
        "test_logs.py::test_each_attempt_is_a_line_with_the_ids_of_its_rows"
    ),
    "docs/privacy.md": "test_howto.py::test_who_asks_to_be_forgotten_is",
    "docs/publishing.md": "test_guides.py::test_all_the_code_of_the_guide_runs",
    "docs/receiving.md": "test_guides.py::test_the_guide_to_receiving_receives",
    "docs/several-machines.md": "test_howto.py::test_the_settings_for_several_machines_may_go_live",
    "docs/subscribing.md": "test_guides.py::test_all_the_code_of_the_guide_runs",
    "docs/tenants.md": "test_howto.py::test_the_test_in_the_guide_to_tenants_passes",
    "docs/testing.md": "test_guides.py::test_each_test_in_the_guide_passes",
    "docs/tutorial.md": (
        "test_tutorial.py::test_a_newcomer_follows_the_tutorial_until_dead_letters_have_arrived"
    ),
}
"""By whom code is run that needs another scene than a shop: of a page, or of one section of it."""


REPLACED = {
    "from shop.": "from example_project.shop.",
    "range(10_000)": "range(100)",
    "shop.console.tenants_of": "example_project.shop.pages.tenants_of",
}
"""Where the shop of the pages is; and fewer rows, for they take seconds elsewhere already."""


def place(page: Page, code: Code) -> str:
    return f"{page}#{code.section}"


def claim_of(page: Page, code: Code) -> str:
    """What of the table above is about this code; empty: it is run here."""
    names = (str(page), place(page, code))
    claims = (each for each in ELSEWHERE if any(fnmatch.fnmatchcase(n, each) for n in names))
    return next(claims, "")


def python(page: Page) -> list[Code]:
    return [code for code in page.code if code.language == "python"]


def run_here(page: Page) -> list[Code]:
    return [code for code in python(page) if not claim_of(page, code)]


@pytest.fixture
def shop(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The shop of the pages: its models are there, and what they tell is not said yet."""
    told = registered[Order]
    registry.unregister(Order)
    handlers = signals.delivery_dead.receivers[:]
    with isolate_apps():
        yield
    signals.delivery_dead.receivers[:] = handlers
    for model in [Order] if Order in registered else []:
        registry.unregister(model)
    registry.register(Order)(type(told))


@pytest.fixture
def given(shop: None, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a page need not say again: where it is, an event, and who asks."""
    user = get_user_model().objects.create_user("ada")
    event = publish("order.archived", {"number": 7})
    here = ModuleType("example_project.shop.pages")
    monkeypatch.setitem(sys.modules, here.__name__, here)
    vars(here).update(event=event, request=SimpleNamespace(user=user))
    return vars(here)


@pytest.mark.nightly_on_servers
@pytest.mark.parametrize("page", [page for page in PAGES if run_here(page)], ids=str)
def test_the_code_of_a_page_runs_from_top_to_bottom(page, given):
    for code in run_here(page):
        run(page, code, given)


def run(page: Page, code: Code, given: dict[str, Any]) -> None:
    """Where a page sets something, the checks have nothing against it."""
    text = "\n" * (code.line - 1) + code.text
    for written, meant in REPLACED.items():
        text = text.replace(written, meant)
    given.pop("WEBHOOK_DELIVERY", None)
    exec(compile(text, str(page.path), "exec", dont_inherit=True), given)
    with override_settings(WEBHOOK_DELIVERY=given.get("WEBHOOK_DELIVERY", {})):
        assert check_settings(None) == []


@pytest.mark.everywhere_once
@pytest.mark.parametrize("page", [page for page in PAGES if python(page)], ids=str)
def test_python_is_python(page):
    for code in python(page):
        ast.parse(code.text, f"{page}:{code.line}")


@pytest.mark.everywhere_once
def test_what_is_run_elsewhere_is_there_and_so_is_its_test():
    claimed = {claim_of(page, code) for page in PAGES for code in python(page)}

    assert claimed - {""} == set(ELSEWHERE)
    assert [test for test in ELSEWHERE.values() if not is_test(test)] == []


def is_test(name: str) -> bool:
    file, _, function = name.partition("::")
    tree = ast.parse((ROOT / "tests" / file).read_text())
    return function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.everywhere_once
def test_the_example_in_contributing_is_a_test_of_ours():
    [page] = [page for page in PAGES if str(page) == "CONTRIBUTING.md"]
    tests = "".join(path.read_text() for path in (ROOT / "tests").glob("test_*.py"))

    assert [code.text for code in python(page) if code.text not in tests] == []
