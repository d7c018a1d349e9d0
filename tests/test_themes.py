"""Every screen, under each skin and each Django: what is ours is there, whoever draws the rest."""

from functools import cache

import pytest

from tests.themes import DJANGOS, STOCK, THEMES, NoPython, Screens, screens

pytestmark = [pytest.mark.nightly, pytest.mark.everywhere_once]

NEVER_THERE = {
    "unfold": {"a /admin/webhook_delivery/event/0/change/"},  # it has no way back by breadcrumbs
}


@cache
def stock(django: str) -> Screens:
    return screens(django, STOCK)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("django", DJANGOS)
def test_what_is_ours_is_on_every_screen(django, theme):
    try:
        plain, skinned = stock(django), screens(django, theme)
    except NoPython as none:
        pytest.skip(str(none))

    assert {name: screen["status"] for name, screen in skinned.items()} == {
        name: screen["status"] for name, screen in plain.items()
    }
    left_out = NEVER_THERE.get(theme, set())
    assert {
        name: missing
        for name, screen in plain.items()
        if (missing := set(screen["marks"]) - set(skinned[name]["marks"]) - left_out)
    } == {}


@pytest.mark.parametrize("django", DJANGOS)
def test_every_django_shows_the_same_of_ours(django):
    try:
        first, other = stock("5.2"), stock(django)
    except NoPython as none:
        pytest.skip(str(none))

    assert other == first
