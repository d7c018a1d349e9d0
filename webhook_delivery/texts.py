"""Says which texts every database keeps (pure)."""

from __future__ import annotations

import re

UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def is_storable(text: str) -> bool:
    """PostgreSQL refuses NUL, and every database half of a character."""
    return UNSTORABLE.search(text) is None
