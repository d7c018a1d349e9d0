"""What a scenario finds, as values: figures, tables, goals, pictures, and the section they make."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    """What several runs measured; told as their median and, in parentheses, their range."""

    values: tuple[float, ...]
    unit: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def __str__(self) -> str:
        if math.isnan(self.median):
            return "–"
        low, high = rounded(min(self.values)), rounded(max(self.values))
        told = f"{rounded(self.median)}{self.unit and ' ' + self.unit}"
        return told if low == high else f"{told} ({low}–{high})"


def figure(values: Iterable[float], unit: str = "") -> Figure:
    return Figure(tuple(values), unit)


def ratios(of: Sequence[float], to: Sequence[float]) -> Figure:
    """How many times as much, round by round: both were measured side by side in each."""
    return figure((_ratio(one, other) for one, other in zip(of, to, strict=True)), "×")


def _ratio(one: float, other: float) -> float:
    """Not a number, which meets no goal, where nothing can be compared."""
    comparable = other != 0 and not (math.isinf(one) and math.isinf(other))
    return one / other if comparable else math.nan


def rounded(value: float) -> str:
    """Three digits say all that a benchmark knows."""
    if value == math.inf:
        return "∞"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def percentile(samples: Iterable[float], share: float) -> float:
    """The smallest sample that at least this share of them does not exceed."""
    ordered = sorted(samples)
    if not ordered:
        return math.nan
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


@dataclass
class Table:
    columns: list[str]
    rows: list[list[str | Figure]] = field(default_factory=list)
    caption: str = ""

    def add(self, *cells: str | Figure) -> None:
        self.rows.append(list(cells))


@dataclass(frozen=True)
class Goal:
    """What the design asks for, beside what was found; `met` is None where nothing was."""

    what: str
    wanted: str
    found: str
    met: bool | None

    @classmethod
    def at_least(cls, what: str, least: float, found: Figure | None) -> Goal:
        return cls._judged(what, "≥", least, found, lambda value: value >= least)

    @classmethod
    def at_most(cls, what: str, most: float, found: Figure | None) -> Goal:
        return cls._judged(what, "≤", most, found, lambda value: value <= most)

    @classmethod
    def _judged(
        cls, what: str, sign: str, limit: float, found: Figure | None, meets: Callable[..., bool]
    ) -> Goal:
        """By the median of the runs."""
        if found is None:
            return cls(what, f"{sign} {rounded(limit)}", "not measured", None)
        wanted = f"{sign} {rounded(limit)} {found.unit}".rstrip()
        return cls(what, wanted, str(found), meets(found.median))


@dataclass(frozen=True)
class Picture:
    """An SVG picture, and the file in `pictures/` that it is kept in."""

    file: str
    caption: str
    svg: str


@dataclass
class Section:
    """All that one scenario found."""

    tables: list[Table]
    goals: list[Goal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def section_of(found: dict[str, Any]) -> Section:
    """The section that `as_json` gave."""
    return Section(
        tables=[_table_of(table) for table in found["tables"]],
        goals=[Goal(**goal) for goal in found["goals"]],
        notes=found["notes"],
        pictures=[Picture(**picture) for picture in found["pictures"]],
        settings=found["settings"],
    )


def _table_of(table: dict[str, Any]) -> Table:
    rows = [[_cell_of(cell) for cell in row] for row in table["rows"]]
    return Table(table["columns"], rows, table["caption"])


def _cell_of(cell: Any) -> str | Figure:
    return cell if isinstance(cell, str) else figure(cell["values"], cell["unit"])
