"""What the console's templates draw: `{% bars series %}`, `{% sparkline series %}`; and figures."""

from __future__ import annotations

from collections.abc import Sequence

from django import template

from webhook_delivery import charts
from webhook_delivery.figures import Point, Within

register = template.Library()


@register.inclusion_tag("admin/webhook_delivery/charts/bars.html")
def bars(series: Sequence[Point]) -> dict[str, charts.Chart]:
    """Show the points of a series (`Figures.bars`) as bars, with their numbers as a table."""
    return {"chart": charts.draw(series)}


@register.inclusion_tag("admin/webhook_delivery/charts/sparkline.html")
def sparkline(series: Sequence[Point]) -> dict[str, charts.Chart]:
    """Show a series as small as a word; its sums are told to who does not see it."""
    return {"chart": charts.draw(series, charts.SPARKLINE)}


@register.filter
def lasting(within: Within | None) -> str:
    """A percentile in words: “≤ 350 ms”."""
    return charts.lasting(within)


@register.filter
def percent(share: float | None) -> str:
    """A share in words: “99.1 %”."""
    return charts.percent(share)
