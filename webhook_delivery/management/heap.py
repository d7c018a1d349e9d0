"""Keeps the garbage collector from looking again at what was there when a long run began."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def frozen() -> Iterator[None]:
    """
    Let full collections pass over all that exists now, for as long as this lasts.

    Django and an application are some hundred thousand objects that stay. To look at them takes
    0.1 to 0.3 s, in which nothing is sent, and happens every few seconds under load.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
