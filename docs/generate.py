"""
Writes what of the documentation follows from the code: the reference, the picture of the layers.

`python -m docs.generate` writes; with `--check` it says what it would change, and exits with 1.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

DOCS = Path(__file__).parent
NOTE = "<!-- Written by `make docs` from the code (docs/generate.py): change it there. -->\n"


def files() -> dict[Path, str]:
    """What each file is to hold, by its path."""
    from docs.writers import checks, faults, models, picture, python, settings, signals

    pages: Mapping[str, Callable[[], str]] = {
        "settings": settings.page,
        "python": python.page,
        "models": models.page,
        "signals": signals.page,
        "checks": checks.page,
        "faults": faults.page,
    }
    written = {DOCS / "reference" / f"{name}.md": marked(page()) for name, page in pages.items()}
    return {**written, DOCS / "architecture.svg": picture.drawing()}


def marked(page: str) -> str:
    """The page with a note below its title, without blank lines at its end."""
    title, _, rest = page.partition("\n")
    return f"{title}\n\n{NOTE}{rest.rstrip()}\n"


def outdated() -> list[str]:
    """The names of the files that do not hold what they should."""
    return [
        str(path.relative_to(DOCS.parent))
        for path, text in files().items()
        if not path.exists() or path.read_text() != text
    ]


def main(arguments: list[str]) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")
    import django

    django.setup()
    changed = outdated()
    if changed:
        sys.stdout.write("\n".join(changed) + "\n")
    if "--check" in arguments:
        return 1 if changed else 0
    for path, text in files().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
