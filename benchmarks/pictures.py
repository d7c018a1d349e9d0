"""
Draws bars and histograms as SVG.

A few dozen lines of our own: charting libraries bring fonts, scripts or compiled parts, and want to
be told not to; these two pictures need a scale and rectangles.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from benchmarks.figures import Figure, Picture, percentile, rounded

WIDTH, LINE, LABELS, MARGIN = 760, 24, 330, 110
HEIGHT, UNIT = 150, 50
INK, FILL, PALE = "#1f2937", "#2f6f8f", "#9db8c5"


def bars(name: str, caption: str, figures: Mapping[str, Figure]) -> Picture:
    """One bar for each figure, as long as its median, with a line for its range."""
    longest = max(max(figure.values) for figure in figures.values()) or 1
    scale = (WIDTH - LABELS - MARGIN) / longest
    parts = [
        part
        for number, (label, figure) in enumerate(figures.items())
        for part in _bar(label, figure, number * LINE, scale)
    ]
    return Picture(f"{name}.svg", caption, _svg(caption, len(figures) * LINE, parts))


def _bar(label: str, figure: Figure, y: float, scale: float) -> list[str]:
    low, high = LABELS + min(figure.values) * scale, LABELS + max(figure.values) * scale
    middle = y + LINE / 2
    return [
        _text(LABELS - 8, middle, label, anchor="end"),
        _box(LABELS, y + 4, figure.median * scale, LINE - 8, FILL),
        f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="{INK}" stroke-width="2"/>',
        _text(high + 8, middle, rounded(figure.median)),
    ]


def histograms(
    name: str, caption: str, samples: Mapping[str, Sequence[float]], *, unit: str, bins: int = 60
) -> Picture:
    """One histogram below the other on one logarithmic scale, with marks at p50 and p99."""
    known = {label: _finite(values) for label, values in samples.items()}
    every = [value for values in known.values() for value in values] or [1.0]
    low, high = math.log10(min(every) * 0.9), math.log10(max(every) * 1.1)
    parts = [
        part
        for number, (label, values) in enumerate(known.items())
        for part in _histogram(label, values, number * HEIGHT, (low, high), unit, bins)
    ]
    return Picture(f"{name}.svg", caption, _svg(caption, len(known) * HEIGHT, parts))


def _histogram(
    label: str, values: list[float], y: float, span: tuple[float, float], unit: str, bins: int
) -> list[str]:
    low, high = span
    place = [(math.log10(value) - low) / (high - low) for value in values]
    counts = [0] * bins
    for share in place:
        counts[min(bins - 1, int(share * bins))] += 1
    rows = (0.5, y + 26), (0.99, y + 12)
    base, wide = y + HEIGHT - 34, (WIDTH - 20) / bins
    unit_height = (HEIGHT - 70) / max(*counts, 1)
    boxes = [
        _box(10 + number * wide, base - count * unit_height, wide - 1, count * unit_height, FILL)
        for number, count in enumerate(counts)
        if count
    ]
    marks = [_mark(values, share, top, base, span, unit) for share, top in rows if values]
    return [_text(10, y + 12, label), *boxes, *marks, *_scale(base, span, unit)]


def _mark(
    values: list[float], share: float, top: float, base: float, span: tuple[float, float], unit: str
) -> str:
    value = percentile(values, share)
    x = _across(value, span)
    said = f"p{share * 100:.0f} {rounded(value)} {unit}"
    line = f'<path d="M{x:.1f} {top + 8}V{base}" stroke="{INK}" stroke-dasharray="3 3"/>'
    return line + _text(min(max(x, 40), WIDTH - 50), top, said, anchor="middle")


def _scale(base: float, span: tuple[float, float], unit: str) -> list[str]:
    """Ticks at 1, 2 and 5 times each power of ten."""
    powers = range(math.floor(span[0]), math.ceil(span[1]) + 1)
    ticks = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    places = {tick: _across(tick, span) for tick in ticks}
    shown = {tick: x for tick, x in places.items() if 10 <= x <= WIDTH - UNIT}
    texts = [_text(x, base + 14, f"{tick:g}", anchor="middle") for tick, x in shown.items()]
    line = f'<path d="M10 {base}H{WIDTH - 10}" stroke="{PALE}"/>'
    return [line, *texts, _text(WIDTH - 10, base + 14, unit, anchor="end")]


def _across(value: float, span: tuple[float, float]) -> float:
    return 10 + (math.log10(value) - span[0]) / (span[1] - span[0]) * (WIDTH - 20)


def _finite(values: Sequence[float]) -> list[float]:
    return [value for value in values if 0 < value < math.inf]


def _box(x: float, y: float, width: float, height: float, fill: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}"/>'
    )


def _text(x: float, y: float, said: str, anchor: str = "start") -> str:
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" dominant-baseline="middle"'
    return f"<text {where}>{escape(said)}</text>"


def _svg(title: str, height: float, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}"'
    style = f'width="{WIDTH}" font-family="sans-serif" font-size="12" fill="{INK}" role="img"'
    ground = f'<rect width="{WIDTH}" height="{height:.0f}" fill="#fff"/>'
    return "\n".join(
        [f"{head} {style}>", f"<title>{escape(title)}</title>", ground, *parts, "</svg>\n"]
    )
