"""Scrapes the page of metrics as Prometheus does, and reads it with Prometheus' own parsers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from urllib.request import Request, urlopen

from django.test import Client
from prometheus_client.core import Metric
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from webhook_delivery.models import Attempt, Delivery, Endpoint

PAGE = "/metrics/webhooks"
TOKEN = "a-token-of-32-visible-characters"
AS_PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
"""What Prometheus 2 says it accepts."""
UNFINISHED = ("pending", "sending", "held", "dead")

Samples = dict[str, dict[tuple[str, ...], float]]
"""By name, and by the values of the labels in the order of the labels' names."""


def samples_of(families: Iterable[Metric]) -> Samples:
    found: Samples = {}
    for family in families:
        for sample in family.samples:
            values = tuple(value for _, value in sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[values] = sample.value
    return found


def parsed(text: str, content_type: str) -> Samples:
    if content_type.startswith("application/openmetrics-text"):
        return samples_of(openmetrics_parser.text_string_to_metric_families(text))
    return samples_of(text_string_to_metric_families(text))


def scrape(url: str, *, accept: str = AS_PROMETHEUS) -> Samples:
    """What a server says to who has the token."""
    headers = {"authorization": f"Bearer {TOKEN}", "accept": accept}
    with urlopen(Request(f"{url}{PAGE}", headers=headers), timeout=10) as answer:
        return parsed(answer.read().decode(), answer.headers["content-type"])


def looked_at(client: Client, **headers: str) -> Samples:
    """The same without a server between; a token must be set."""
    answer = client.get(PAGE, headers={"authorization": f"Bearer {TOKEN}", **headers})
    assert answer.status_code == 200, answer.content
    return parsed(answer.content.decode(), answer.headers["content-type"])


def agree(samples: Samples) -> None:
    """Fail unless the samples say what the rows say, counted one by one."""
    real = Attempt.objects.exclude(trigger="test")
    logged = Counter((fault or "delivered", verdict) for fault, verdict in _endings(real))
    told = samples["webhook_delivery_attempts_total"]
    assert {ending: n for ending, n in told.items() if n} == logged

    lasted = [ms for ms in real.values_list("duration_ms", flat=True) if ms is not None]
    buckets = samples["webhook_delivery_attempt_duration_seconds_bucket"]
    within = {bound: sum(ms / 1000 <= float(bound) for ms in lasted) for (bound,) in buckets}
    assert {bound: n for (bound,), n in buckets.items()} == within
    assert samples["webhook_delivery_attempt_duration_seconds_count"][()] == len(lasted)
    took = samples["webhook_delivery_attempt_duration_seconds_sum"][()]
    assert round(took * 1000) == sum(lasted)

    owed = Counter(Delivery.objects.values_list("state", flat=True))
    assert samples["webhook_delivery_deliveries"] == {(s,): owed[s] for s in UNFINISHED}
    known = Counter(Endpoint.objects.values_list("state", flat=True))
    assert samples["webhook_delivery_endpoints"] == {
        (s,): known[s] for s in ("on", "paused", "off")
    }


def _endings(attempts) -> list[tuple[str, str]]:
    return list(attempts.values_list("fault", "verdict"))
