"""Draws docs/architecture.svg: the layers, the units in each, and what imports what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from html import escape

from tests.layers import DEPTH, LAYERS, PURE, imports_by_unit

WIDTH, MARGIN = 880, 16
UNITS = 620
"""How far to the right units stand; beyond it are the arcs."""
FOOT = UNITS + 8
"""Where arcs begin and end."""
LETTER, PADDING, GAP = 6.7, 7, 6
"""Of a unit's box, in pixels: each letter, the blank beside them, and the space to the next box."""
ROW, BOX = 26, 20
"""The height of a line of boxes, and of a box."""
LEAST = 5
"""Fewer imports than these between two layers are not drawn."""
MANY = 10
"""By so many units a unit is used, if it says by how many."""
IMPORTS = imports_by_unit()
SPECIAL = {"lifecycle", "scheduling", "transport"}
"""Alone write a delivery's state, know django-q2, and open connections: tests hold that."""
STYLE = """
  .ground { fill: #ffffff } .band { fill: #f3f6f8 } text { fill: #1f2937 }
  .unit { fill: #ffffff; stroke: #9db8c5 } .pure { fill: #dcefe3; stroke: #5b9a74 }
  .special { fill: #fbe9cf; stroke: #b9812b } .arc { stroke: #2f6f8f; fill: none; opacity: .55 }
  .quiet { fill: #5b6b78 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #14191f } .band { fill: #1b222a } text { fill: #e5e9ee }
    .unit { fill: #222b35; stroke: #4d6575 } .pure { fill: #1f3a2b; stroke: #5b9a74 }
    .special { fill: #46341a; stroke: #c9953f } .arc { stroke: #74b3d1 } .quiet { fill: #9aa9b5 }
  }
"""


def drawing() -> str:
    bands = list(_bands())
    height = bands[-1].bottom + 46
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="11" role="img">',
        "<title>The layers of webhook_delivery: imports point down</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{height}" rx="6"/>',
        *(line for band in bands for line in band.drawn()),
        *_arcs(bands),
        *_legend(height),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


class _Band:
    """One layer: its units in one line, or in several."""

    def __init__(self, units: list[str], top: int) -> None:
        self.top = top
        self.places: list[tuple[str, float, int]] = []
        x, line = float(MARGIN), 0
        for unit in units:
            if x + _width(unit) > UNITS:
                x, line = float(MARGIN), line + 1
            self.places.append((unit, x, line))
            x += _width(unit) + GAP
        self.bottom = top + (line + 1) * ROW + GAP

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2

    def drawn(self) -> Iterator[str]:
        yield (
            f'<rect class="band" x="{MARGIN / 2:g}" y="{self.top}" width="{UNITS:g}" '
            f'height="{self.bottom - self.top - 3}" rx="4"/>'
        )
        for unit, x, line in self.places:
            y = self.top + GAP / 2 + line * ROW
            yield (
                f'<rect class="{_kind(unit)}" x="{x:g}" y="{y:g}" width="{_width(unit):g}" '
                f'height="{BOX}" rx="3"/>'
            )
            count = f' <tspan class="quiet">{told}</tspan>' if (told := _count(unit)) else ""
            yield f'<text x="{x + PADDING:g}" y="{y + 14:g}">{escape(unit)}{count}</text>'


def _bands() -> Iterator[_Band]:
    top = MARGIN
    for layer in LAYERS:
        band = _Band(sorted(layer), top)
        yield band
        top = band.bottom


def _width(unit: str) -> float:
    return len(f"{unit} {_count(unit)}".strip()) * LETTER + 2 * PADDING


def _count(unit: str) -> str:
    """By how many units it is used, in tens, so that one more changes nothing; empty if by few."""
    users = sum(unit in used for used in IMPORTS.values())
    return f"{users // 10 * 10}+" if users >= MANY else ""


def _kind(unit: str) -> str:
    return "special" if unit in SPECIAL else "pure" if unit in PURE else "unit"


def _arcs(bands: list[_Band]) -> Iterator[str]:
    """From layer to layer, the more imports the broader; the longest way round reaches farthest."""
    for (above, below), count in sorted(weights().items()):
        if count >= LEAST:
            begin, end = bands[above].middle, bands[below].middle
            reach = min(WIDTH - MARGIN, UNITS + 24 + (end - begin) * 0.32)
            curve = f"M{FOOT} {begin:g}C{reach:g} {begin:g} {reach:g} {end:g} {FOOT} {end:g}"
            yield f'<path class="arc" stroke-width="{1 + count // 6}" d="{curve}"/>'


def weights() -> Counter[tuple[int, int]]:
    """How many imports there are between each two layers."""
    found: Counter[tuple[int, int]] = Counter()
    for unit, used in IMPORTS.items():
        for name in used:
            found[DEPTH[unit], DEPTH[name]] += 1
    return found


def _legend(height: int) -> Iterator[str]:
    told = {"pure": "decides, and is pure", "special": "alone may do something", "unit": "others"}
    x = float(MARGIN)
    for kind, text in told.items():
        yield f'<rect class="{kind}" x="{x:g}" y="{height - 34}" width="14" height="14" rx="3"/>'
        yield f'<text class="quiet" x="{x + 20:g}" y="{height - 23}">{text}</text>'
        x += 20 + len(text) * LETTER + 24
    said = f"60+: so many units use it · an arc: {LEAST} imports and more"
    yield f'<text class="quiet" x="{x:g}" y="{height - 23}">{said}</text>'
