"""How far a long run is: a bar of tqdm's on standard error, if that is a terminal."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from django.core.management.base import OutputWrapper
from tqdm import tqdm

REFRESH_SECONDS = 0.1


class Progress:
    """Counts; and shows the count, if anybody watches."""

    def __init__(self, words: str, err: OutputWrapper, *, total: int | None = None) -> None:
        self.count = 0
        self._bar: tqdm[Any] | None = None
        if err.isatty():  # who does not watch costs nothing: tqdm keeps a thread and a lock
            self._bar = tqdm(
                desc=words,
                total=total,
                file=_Plain(err),
                mininterval=REFRESH_SECONDS,
                miniters=1,  # batches differ in size: only the time since the last line tells
                dynamic_ncols=True,
                leave=False,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def add(self, count: int) -> None:
        self.count += count
        if self._bar is not None:
            self._bar.update(count)

    def clear(self) -> None:
        """Make room for what is printed on the same terminal."""
        if self._bar is not None:
            self._bar.clear()


class _Plain:
    """Django's wrapper would colour each piece of the bar and end its line."""

    def __init__(self, err: OutputWrapper) -> None:
        self._err = err

    def write(self, text: str) -> None:
        self._err.write(text, style_func=str, ending="")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._err, name)
