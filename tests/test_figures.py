"""Series, shares and percentiles, as they are read from what was added up; and their bars."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.template import Context, Template
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import make_endpoint
from tests.owing import statements
from webhook_delivery import charts, figures
from webhook_delivery.figures import SPANS, Point, Within
from webhook_delivery.models import EndpointStat
from webhook_delivery.rollups import bucket_of
from webhook_delivery.totals import BOUNDS

NOW = datetime(2026, 11, 21, 14, 25, tzinfo=UTC)
THIS_HOUR = datetime(2026, 11, 21, 14, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = SPANS["24h"]


def hour(endpoint, ago: int, delivered=0, failed=0, dead=0, durations=(), answers=None) -> None:
    EndpointStat.objects.create(
        endpoint=endpoint,
        hour=THIS_HOUR - ago * HOUR,
        delivered=delivered,
        failed=failed,
        dead=dead,
        durations=list(durations),
        answers=answers or {},
    )


def of(endpoint, span=DAY) -> figures.Figures:
    return figures.figures(endpoint.pk, span, using="default", now=NOW)


# Reading


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "hours"), [("1h", 2), ("24h", 24), ("7d", 168), ("30d", 720)])
def test_a_series_has_every_hour_of_its_span(name, hours):
    endpoint = make_endpoint()
    hour(endpoint, 0, delivered=1)
    hour(endpoint, hours - 1, delivered=10)
    hour(endpoint, hours, delivered=100)

    found = of(endpoint, SPANS[name])

    assert [point.hour for point in found.series] == [
        THIS_HOUR - n * HOUR for n in reversed(range(hours))
    ]
    assert (found.since, found.delivered) == (THIS_HOUR - (hours - 1) * HOUR, 11)


@pytest.mark.django_db
def test_an_endpoint_is_told_with_its_durations_and_answers():
    endpoint = make_endpoint()
    hour(endpoint, 0, 3, 1, 1, [0, 4], {"200": 3, "503": 1})
    hour(endpoint, 5, 2, 4, 0, [2, 0, 4], {"200": 2, "timeout": 4})
    hour(make_endpoint(), 0, 100)

    found = of(endpoint)

    assert (found.delivered, found.failed, found.dead, found.attempts) == (5, 5, 1, 10)
    assert found.share == 0.5
    assert found.durations == (2, 4, 4)
    assert dict(found.answers) == {"200": 5, "timeout": 4, "503": 1}
    assert (found.p50, found.p95) == (Within(20), Within(50))


@pytest.mark.django_db
def test_an_endpoint_that_was_sent_nothing_has_no_share_and_no_percentiles():
    found = of(make_endpoint())

    assert (found.attempts, found.share, found.p50, found.p95) == (0, None, None, None)
    assert len(found.series) == 24


@pytest.mark.django_db
def test_many_endpoints_are_told_in_one_statement():
    crowd = [make_endpoint() for _ in range(100)]
    for n, endpoint in enumerate(crowd):
        hour(endpoint, n % 24, delivered=n)

    with statements() as said:
        found = figures.each([each.pk for each in crowd], DAY, using="default", now=NOW)

    assert len(said) == 1
    assert [found[each.pk].delivered for each in crowd] == list(range(100))


@pytest.mark.django_db
def test_all_endpoints_are_added_up_in_one_statement():
    for n in range(30):
        hour(make_endpoint(tenant=f"t{n % 3}"), n % 4, n, 2 * n, 3 * n)

    with statements() as said:
        found = figures.totals(DAY, using="default", now=NOW)

    assert len(said) == 1
    assert (found.delivered, found.failed, found.dead) == (435, 870, 1305)
    assert found.series[-1] == Point(THIS_HOUR, 112, 224, 336)


@pytest.mark.django_db
def test_only_those_of_some_tenants_are_added_up():
    mine, other = make_endpoint(tenant="a"), make_endpoint(tenant="b")
    hour(mine, 0, 1)
    hour(other, 0, 10)

    def total(*tenants: str) -> int:
        return figures.totals(DAY, using="default", tenants=tenants, now=NOW).delivered

    assert (total("a"), total("a", "b"), total()) == (1, 11, 0)


@pytest.mark.django_db
def test_the_slowest_come_first_and_those_without_attempts_not_at_all():
    for name, bucket in (("quick", 0), ("slow", 9), ("beyond", 18)):
        hour(make_endpoint(name=name), 1, delivered=5, durations=[*[0] * bucket, 5])
    hour(make_endpoint(name="unknown"), 1, failed=5)

    with statements() as said:
        found = figures.slowest(10, using="default", now=NOW)

    assert len(said) == 1
    assert [(slow.name, slow.p95) for slow in found] == [
        ("beyond", Within(30_000, beyond=True)),
        ("slow", Within(1500)),
        ("quick", Within(10)),
    ]
    assert len(figures.slowest(2, using="default", now=NOW)) == 2


@pytest.mark.django_db
def test_of_many_endpoints_those_with_the_most_attempts_are_looked_at(monkeypatch):
    monkeypatch.setattr(figures, "BUSIEST", 1)
    busy, idle = make_endpoint(name="busy"), make_endpoint(name="idle")
    for ago in range(24):
        hour(busy, ago, delivered=100, durations=[100])
        hour(idle, ago, delivered=1, durations=[0, 1])

    assert [slow.name for slow in figures.slowest(5, using="default", now=NOW)] == ["busy"]


# Percentiles


@given(st.lists(st.integers(0, 60_000), min_size=1), st.sampled_from([0.5, 0.95]))
def test_a_percentile_bounds_as_many_attempts_as_it_says(lasted, share):
    counts = Counter(map(bucket_of, lasted))
    histogram = [counts[n] for n in range(len(BOUNDS) + 1)]

    within = figures.percentile(histogram, share)

    kept = sum(each <= within.ms for each in lasted) / len(lasted)
    if within.beyond:
        assert kept < share
    else:
        assert kept >= share
        smaller = [bound for bound in BOUNDS if bound < within.ms]
        assert all(sum(e <= b for e in lasted) / len(lasted) < share for b in smaller if b)


@pytest.mark.parametrize("histogram", [[], [0, 0]])
def test_of_no_attempts_there_is_no_percentile(histogram):
    assert figures.percentile(histogram, 0.95) is None


@pytest.mark.parametrize(
    ("within", "said"),
    [
        (None, ""),
        (Within(10), "≤ 10 ms"),
        (Within(750), "≤ 750 ms"),
        (Within(1500), "≤ 1.5 s"),
        (Within(10_000), "≤ 10 s"),
        (Within(30_000, beyond=True), "> 30 s"),
    ],
)
def test_a_percentile_is_told_with_its_unit(within, said):
    assert charts.lasting(within) == said


def test_numbers_are_told_as_the_language_writes_them():
    with translation.override("de"):
        assert charts.lasting(Within(1500)) == "≤ 1,5 s"
        assert charts.percent(0.991) == "99,1 %"


@pytest.mark.parametrize(
    ("share", "said"),
    [(None, ""), (0, "0.0 %"), (0.5, "50.0 %"), (0.99999, "99.9 %"), (1, "100 %")],
)
def test_only_all_are_a_hundred_percent(share, said):
    assert charts.percent(share) == said


# Bars


def points(*pairs, every=HOUR) -> list[Point]:
    return [Point(THIS_HOUR + n * every, *pair) for n, pair in enumerate(pairs)]


numbers = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=60)


@given(numbers, st.sampled_from([charts.BARS, charts.SPARKLINE]))
def test_bars_stand_on_the_ground_side_by_side_within_their_frame(pairs, frame):
    chart = charts.draw(points(*pairs), frame)

    assert len(chart.bars) == len(pairs)
    for place, (bar, (delivered, failed)) in enumerate(zip(chart.bars, pairs, strict=True)):
        assert place * frame.step <= bar.x < bar.x + bar.width <= (place + 1) * frame.step
        assert bar.x + bar.width <= chart.width
        assert bar.delivered.y + bar.delivered.height == chart.height
        assert bar.failed.y + bar.failed.height == bar.delivered.y
        assert bar.failed.y >= 0
        assert (bar.delivered.height > 0) == (delivered > 0)
        assert (bar.failed.height > 0) == (failed > 0)


@given(numbers.filter(lambda pairs: any(map(sum, pairs))))
def test_the_highest_bar_fills_the_frame_and_the_others_are_in_proportion(pairs):
    chart = charts.draw(points(*pairs))
    highest = max(map(sum, pairs))

    heights = [bar.delivered.height + bar.failed.height for bar in chart.bars]

    assert max(heights) >= chart.height - 1
    for height, pair in zip(heights, pairs, strict=True):
        assert abs(height - sum(pair) * chart.height / highest) <= 2


def test_what_failed_is_striped():
    [bar] = charts.draw(points((50, 50))).bars

    assert bar.stripes.count("M") == 13
    assert bar.stripes.startswith("M0 0h16M0 4h16")


def test_a_chart_says_what_it_shows():
    chart = charts.draw(points((1200, 3), (1, 0)))

    assert chart.told == "Attempts: 1,201 delivered, 3 failed"
    assert [bar.told for bar in chart.bars] == [
        "2026-11-21 14:00: 1,200 delivered, 3 failed",
        "2026-11-21 15:00: 1 delivered, 0 failed",
    ]
    assert charts.draw(points((1, 0), (1, 0), every=24 * HOUR)).bars[0].when == "2026-11-21"


def test_a_span_has_few_bars_however_long_it_is():
    for name, bars in (("1h", 2), ("24h", 24), ("7d", 28), ("30d", 30)):
        span = SPANS[name]
        series = tuple(points(*[(2, 1)] * span.hours))
        drawn = figures.Figures(span, series).bars

        assert len(drawn) == bars
        assert {point.delivered for point in drawn} == {2 * span.step}
        assert drawn[1].hour - drawn[0].hour == span.step * HOUR


def render(tag: str, series) -> str:
    return Template("{% load webhook_charts %}" + tag).render(Context({"series": series}))


def test_bars_are_drawn_without_style_and_told_as_a_table_too():
    html = render("{% bars series %}", points((1200, 3), (1, 0)))

    assert '<svg class="webhook-chart" viewBox="0 0 40 100"' in html
    assert 'role="img" aria-label="Attempts: 1,201 delivered, 3 failed"' in html
    assert html.count("<title>") == 3
    assert '<th scope="row">2026-11-21 14:00</th><td>1200</td><td>3</td><td>0</td>' in html
    assert "<details>" in html
    assert "style" not in html


def test_a_sparkline_is_drawn_in_a_line():
    html = render("{% sparkline series %}", points((5, 0), (0, 0), (0, 5)))

    assert 'width="12" height="20"' in html
    assert 'class="webhook-stack-delivered" d="M0 0h3v20h-3z"' in html
    assert 'class="webhook-stack-failed" d="M8 0h3v20h-3z"' in html
    assert 'class="webhook-stripes" d="M8 0h3M8 4h3M8 8h3M8 12h3M8 16h3"' in html
    assert 'aria-label="Attempts: 5 delivered, 5 failed"' in html


def test_where_nothing_was_sent_the_chart_says_so():
    assert "Nothing was sent." in render("{% bars series %}", points((0, 0)))
    assert "<svg" not in render("{% bars series %}", points((0, 0)))
    assert 'aria-label="Nothing was sent."' in render("{% sparkline series %}", points((0, 0)))
    assert 'aria-label="Nothing was sent."' in render("{% sparkline series %}", [])


def test_a_drawing_is_the_same_in_every_language(settings):
    settings.USE_THOUSAND_SEPARATOR = True
    many = points(*[(1, 0)] * 300)
    with translation.override("de"):
        html = render("{% sparkline series %}", many)

    assert 'viewBox="0 0 1200 20"' in html
    assert "M1196 0h3v20h-3z" in html
