"""How far a long run is: one line on a terminal's standard error, written over and over."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from django.core.management.base import OutputWrapper

REFRESH_SECONDS = 0.1


class Progress:
    """Counts; and shows the count, if anybody watches."""

    def __init__(self, words: str, err: OutputWrapper, *, total: int | None = None) -> None:
        self.count = 0
        self._words = words
        self._err = err
        self._of = "" if total is None else f" of {total:,}"
        self._shown = ""
        self._next = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.clear()

    def add(self, count: int) -> None:
        self.count += count
        if self._err.isatty() and time.monotonic() >= self._next:
            self._next = time.monotonic() + REFRESH_SECONDS
            self._write(f"{self.count:,}{self._of} {self._words}")

    def clear(self) -> None:
        """Make room for what is printed on the same terminal."""
        if self._shown:
            self._write("")

    def _write(self, text: str) -> None:
        blank = " " * len(self._shown)
        self._err.write(f"\r{blank}\r{text}", style_func=str, ending="")
        self._err.flush()
        self._shown = text
