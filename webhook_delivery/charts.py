"""Draws series as bars: where each one stands, how high it is, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from django.utils import formats, timezone
from django.utils.translation import gettext, ngettext

from webhook_delivery.figures import Point, Within

DAY = timedelta(days=1)
STRIPE = 4
"""How far the stripes of what failed are apart: they are told by more than their colour."""


class Frame(NamedTuple):
    """How large a chart is, in units of its own: it is scaled to where it stands."""

    height: int
    step: int
    """From one bar to the next."""
    gap: int


BARS, SPARKLINE = Frame(100, 20, 4), Frame(20, 4, 1)


class Part(NamedTuple):
    """What one bar shows of one kind; y counts from above."""

    y: int
    height: int


@dataclass(frozen=True, slots=True)
class Bar:
    """What was delivered, at the bottom, and what failed, on top of it."""

    x: int
    width: int
    delivered: Part
    failed: Part
    point: Point
    daily: bool
    """Whether it stands for a day or more, so that the hour says nothing."""

    @property
    def when(self) -> str:
        format_ = "Y-m-d" if self.daily else "Y-m-d H:i"
        return formats.date_format(timezone.localtime(self.point.hour), format_)

    @property
    def told(self) -> str:
        """What it shows, in words."""
        return gettext("%(when)s: %(what)s") % {"when": self.when, "what": _sums([self.point])}

    def outline(self, part: Part) -> str:
        """The path around one of its parts; empty if there is nothing of it."""
        if not part.height:
            return ""
        return f"M{self.x} {part.y}h{self.width}v{part.height}h-{self.width}z"

    @property
    def stripes(self) -> str:
        """The path of the lines across what failed."""
        above = range(self.failed.y, self.failed.y + self.failed.height, STRIPE)
        return "".join(f"M{self.x} {y}h{self.width}" for y in above)


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars in a frame, and a sentence that says the same for those who do not see them."""

    width: int
    height: int
    bars: tuple[Bar, ...]
    told: str

    @property
    def delivered(self) -> str:
        """The outlines of all that was delivered, as one path: a chart as small as a word."""
        return "".join(bar.outline(bar.delivered) for bar in self.bars)

    @property
    def failed(self) -> str:
        return "".join(bar.outline(bar.failed) for bar in self.bars)

    @property
    def stripes(self) -> str:
        return "".join(bar.stripes for bar in self.bars)

    @property
    def empty(self) -> bool:
        return not any(bar.point.delivered or bar.point.failed for bar in self.bars)


def draw(series: Sequence[Point], frame: Frame = BARS) -> Chart:
    """Draw a bar for each point; the highest fills the frame, and what is not zero is seen."""
    highest = max((point.delivered + point.failed for point in series), default=0)
    daily = len(series) > 1 and series[1].hour - series[0].hour >= DAY
    bars = tuple(_bar(point, place, highest, frame, daily) for place, point in enumerate(series))
    return Chart(max(len(bars), 1) * frame.step, frame.height, bars, _told(series))


def lasting(within: Within | None) -> str:
    """“≤ 350 ms”, “≤ 2 s”, “> 30 s”; empty for None."""
    if within is None:
        return ""
    words = {
        (False, False): gettext("≤ %(number)s ms"),
        (False, True): gettext("≤ %(number)s s"),
        (True, False): gettext("> %(number)s ms"),
        (True, True): gettext("> %(number)s s"),
    }
    seconds = within.ms >= 1000
    number = f"{within.ms / 1000:g}" if seconds else str(within.ms)
    return words[within.beyond, seconds] % {"number": formats.number_format(number)}


def percent(share: float | None) -> str:
    """“99.1 %”; rounded down, so that only all are 100 %; empty for None."""
    if share is None:
        return ""
    tenths = int(share * 1000) / 10
    number = formats.number_format(tenths, 0 if share == 1 else 1)
    return gettext("%(number)s %%") % {"number": number}


def _bar(point: Point, place: int, highest: int, frame: Frame, daily: bool) -> Bar:
    delivered, failed = _heights(point, highest, frame.height)
    return Bar(
        x=place * frame.step,
        width=frame.step - frame.gap,
        delivered=Part(frame.height - delivered, delivered),
        failed=Part(frame.height - delivered - failed, failed),
        point=point,
        daily=daily,
    )


def _heights(point: Point, highest: int, height: int) -> tuple[int, int]:
    """Of what was delivered and what failed; what rounding adds too much, the higher one loses."""
    delivered, failed = (_height(n, highest, height) for n in (point.delivered, point.failed))
    over = max(0, delivered + failed - height)
    return (delivered - over, failed) if delivered > failed else (delivered, failed - over)


def _height(number: int, highest: int, height: int) -> int:
    return max(1, round(number * height / highest)) if number else 0


def _told(series: Sequence[Point]) -> str:
    if not any(point.delivered or point.failed for point in series):
        return gettext("Nothing was sent.")
    return gettext("Attempts: %(what)s") % {"what": _sums(series)}


def _sums(series: Sequence[Point]) -> str:
    delivered = sum(point.delivered for point in series)
    failed = sum(point.failed for point in series)
    good = ngettext("%(count)s delivered", "%(count)s delivered", delivered)
    bad = ngettext("%(count)s failed", "%(count)s failed", failed)
    return gettext("%(delivered)s, %(failed)s") % {
        "delivered": good % {"count": formats.number_format(delivered, force_grouping=True)},
        "failed": bad % {"count": formats.number_format(failed, force_grouping=True)},
    }
