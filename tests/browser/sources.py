"""
What the pictures of the console were drawn from, kept beside them, so that old ones are noticed.

That is what screens look like and what is on them: templates, styles, and the past that they show.
Python code is not among it: most of what changes there is not seen, and each drawing is a megabyte.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
KEPT = ROOT / "docs" / "console" / "drawn-from.txt"
SCREENS = ROOT / "webhook_delivery"
FOLDERS = (SCREENS / "templates" / "admin", SCREENS / "static", ROOT / "tests" / "screens")
FILES = (ROOT / "tests" / "browser" / "pictures.py",)


def note() -> None:
    """Keep what they were drawn from just now."""
    KEPT.write_text("".join(f"{digest}  {name}\n" for name, digest in _now()))


def changed() -> list[str]:
    """The files that are not what they were, that have come, and that have gone."""
    lines = (line.split("  ") for line in KEPT.read_text().splitlines())
    kept = {(name, digest) for digest, name in lines}
    return sorted({name for name, _ in kept ^ set(_now())})


def _now() -> Iterator[tuple[str, str]]:
    within = (path for folder in FOLDERS for path in folder.rglob("*") if path.is_file())
    for path in sorted({*within, *FILES}):
        if path.suffix != ".pyc":
            digest = sha256(path.read_bytes()).hexdigest()[:16]
            yield str(path.relative_to(ROOT)), digest
