"""Writes the page of licences: those of all that is installed with the package."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageMetadata, metadata, requires
from pathlib import Path

from packaging.requirements import Requirement

PAGE = Path(__file__).parent.parent / "docs" / "licences.md"
OLDEST_PYTHON = {"python_version": "3.11", "python_full_version": "3.11.9"}
OURS, EXTRAS = "django-webhook-delivery", {"api", "metrics", "redis", "schema"}
HEAD = """# Licences

What is installed with `django-webhook-delivery`, with all its extras, and under which licence: as
the metadata of each says. `make licences` writes this page, and a test compares it. `make dist`
writes the same as a CycloneDX list, `dist/sbom.cdx.json`, with versions.

| package | licence | asked for by |
|---|---|---|
"""
CALLED = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""What classifiers call a licence, and what everybody else does."""


def page() -> str:
    """The page, as it should be."""
    asked: dict[str, set[str]] = {}
    for name, by in _needed(OURS, EXTRAS, set()):
        asked.setdefault(name, set()).add(by)
    rows = [f"| {n} | {licence(n)} | {', '.join(sorted(by))} |" for n, by in sorted(asked.items())]
    return HEAD + "\n".join(rows) + "\n"


def _needed(
    name: str, extras: set[str], seen: set[tuple[str, frozenset[str]]]
) -> Iterator[tuple[str, str]]:
    """Whatever is installed with it, with who asks for it."""
    for each in map(Requirement, requires(name) or []):
        if not _applies(each, extras):
            continue
        wanted = _plain(metadata(each.name))
        yield (
            wanted,
            f"[{extra}]" if (extra := _extra(each)) and name == OURS else _plain(metadata(name)),
        )
        if (asked := (wanted, frozenset(each.extras))) not in seen:
            seen.add(asked)
            yield from _needed(wanted, set(each.extras), seen)


def _applies(requirement: Requirement, extras: set[str]) -> bool:
    """With the oldest Python, which needs the most: the page is the same wherever it is written."""
    marker = requirement.marker
    return not marker or any(
        marker.evaluate({**OLDEST_PYTHON, "extra": extra}) for extra in extras | {""}
    )


def _extra(requirement: Requirement) -> str:
    """The extra of ours that asks for it, if one does."""
    names = [e for e in sorted(EXTRAS) if f'extra == "{e}"' in str(requirement.marker or "")]
    return names[0] if names else ""


def _plain(about: PackageMetadata) -> str:
    return about["Name"].lower().replace("_", "-").replace(".", "-")


def licence(name: str) -> str:
    """As its metadata says: by expression, by classifier, or in a word."""
    about = metadata(name)
    if expression := about.get("License-Expression"):
        return str(expression)
    marked = [
        c.rpartition(" :: ")[2] for c in about.get_all("Classifier") or [] if "License ::" in c
    ]
    named = [CALLED.get(each, each) for each in marked if each != "OSI Approved"]
    return " or ".join(named) or str(about["License"]).partition("\n")[0]


if __name__ == "__main__":
    PAGE.write_text(page())
