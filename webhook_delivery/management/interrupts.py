"""How whoever watches or sends for long is asked to end: by SIGTERM, or by Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupts() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set, for as long as this lasts; then they do as before."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # which alone hears signals
        yield asked
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda *_: asked.set()) for number in numbers]
    try:
        yield asked
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
