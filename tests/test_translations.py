"""The catalogues: complete, well-formed, compiled, and shown; German, and Arabic from the right."""

from __future__ import annotations

import gettext
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from webhook_delivery.models import DeadLetter, Delivery, Endpoint, Event

PACKAGE = Path(__file__).parent.parent / "webhook_delivery"
LANGUAGES = ["de", "ar"]

once = pytest.mark.everywhere_once


def catalogue(language: str, root: Path = PACKAGE) -> Path:
    return root / "locale" / language / "LC_MESSAGES" / "django.po"


def run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as it is, its catalogues brought up to date with its texts."""
    copy = tmp_path_factory.mktemp("fresh") / "webhook_delivery"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    chosen = [word for language in LANGUAGES for word in ("-l", language)]
    run(
        sys.executable,
        "-m",
        "django",
        "makemessages",
        "--no-wrap",
        "--no-location",
        *chosen,
        cwd=copy,
    )
    return copy


def messages(path: Path, *choice: str) -> set[str]:
    """What the catalogue is asked for, of those of its entries that are chosen."""
    listed = run("msgattrib", "--no-wrap", "--no-obsolete", *choice, path)
    return {line for line in listed.splitlines() if line.startswith("msgid ") and line[6:] != '""'}


@once
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_has_every_text_and_nothing_else(fresh, language):
    assert messages(catalogue(language, fresh)) == messages(catalogue(language))


@once
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_leaves_nothing_untranslated_or_in_doubt(language):
    assert messages(catalogue(language), "--untranslated") == set()
    assert messages(catalogue(language), "--only-fuzzy") == set()


@once
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_compiled_is_the_catalogue_and_every_placeholder_is_there(language, tmp_path):
    compiled = tmp_path / "django.mo"

    run("msgfmt", "--check", "-o", compiled, catalogue(language))

    shipped = catalogue(language).with_suffix(".mo")
    assert texts(shipped) == texts(compiled)


def texts(path: Path) -> dict[object, str]:
    with path.open("rb") as file:
        found = dict(gettext.GNUTranslations(file)._catalog)
    found.pop("", None)  # the head says when, and by which version of the compiler
    return found


@once
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("language", "words", "direction"),
    [("de", "Zustellungen", "ltr"), ("ar", "التسليمات", "rtl"), ("pl", "deliveries", "ltr")],
)
def test_lists_are_shown_in_the_language_of_who_looks(language, words, direction):
    client = Client(headers={"accept-language": language})
    client.force_login(User.objects.create_superuser("ada", password="x"))

    for model in (Delivery, DeadLetter, Event, Endpoint):
        name = f"admin:webhook_delivery_{model._meta.model_name}_changelist"
        page = client.get(reverse(name)).content.decode()
        assert f'<html lang="{language}" dir="{direction}"' in page
        assert words in page
