"""The dashboard and the alerts ask for what is exported, in a language that Prometheus reads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import promql_parser
import pytest
import yaml
from jsonschema import Draft202012Validator

from example_project.settings import BASE_DIR
from tests.scraping import PAGE
from webhook_delivery.conf import Settings
from webhook_delivery.health import STAND_INS
from webhook_delivery.metrics import families, instruments
from webhook_delivery.metrics.gauges import GAUGES, PARTS
from webhook_delivery.models import Delivery, Endpoint
from webhook_delivery.outcomes import Fault, Verdict
from webhook_delivery.totals import Ending

pytestmark = pytest.mark.everywhere_once

FOLDER = BASE_DIR / "docs" / "monitoring"
GUIDE = (BASE_DIR / "docs" / "monitoring.md").read_text()
EXPORTED: dict[str, tuple[str, ...]] = {
    **{name: gauge.labels for name, gauge in GAUGES.items()},
    families.READ: ("part",),
    f"{families.ATTEMPTS}_total": Ending._fields,
    f"{families.LASTED}_bucket": ("le",),
    f"{families.LASTED}_sum": (),
    f"{families.LASTED}_count": (),
}
"""The names of all series, and of their labels."""
VALUES = {
    "verdict": {*Verdict},
    "outcome": {"delivered", "failed", "dead", *Fault},
    "part": {"attempts", *PARTS},
    "state": {*Delivery.State, *Endpoint.State},
}
TEXT = {"type": "string", "minLength": 1}
RULES = {
    "type": "object",
    "required": ["groups"],
    "additionalProperties": False,
    "properties": {
        "groups": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["name", "rules"],
                "additionalProperties": False,
                "properties": {
                    "name": TEXT,
                    "interval": TEXT,
                    "rules": {
                        "type": "array",
                        "minItems": 1,
                        "items": {
                            "type": "object",
                            "required": ["alert", "expr", "labels", "annotations"],
                            "additionalProperties": False,
                            "properties": {
                                "alert": {"type": "string", "pattern": "^Webhook[A-Za-z]+$"},
                                "expr": TEXT,
                                "for": {"type": "string", "pattern": "^[0-9]+[smhd]$"},
                                "labels": {
                                    "type": "object",
                                    "properties": {"severity": {"enum": ["warning", "critical"]}},
                                    "required": ["severity"],
                                    "additionalProperties": TEXT,
                                },
                                "annotations": {
                                    "type": "object",
                                    "properties": {"summary": TEXT, "description": TEXT},
                                    "required": ["summary", "description"],
                                    "additionalProperties": False,
                                },
                            },
                        },
                    },
                },
            },
        }
    },
}
"""What Prometheus takes as rules of alerts (its documentation, “Alerting rules”)."""


def rules() -> list[dict[str, Any]]:
    told = yaml.safe_load((FOLDER / "alerts.yaml").read_text())
    Draft202012Validator(RULES).validate(told)
    return [rule for group in told["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    return json.loads((FOLDER / "grafana.json").read_text())


def asked() -> Iterator[str]:
    """Every expression of both, with Grafana's variables filled in."""
    yield from (rule["expr"] for rule in rules())
    for panel in dashboard()["panels"]:
        yield from (target["expr"].replace("$__rate_interval", "2m") for target in panel["targets"])


def selectors(expression: Any) -> Iterator[Any]:
    """The series that an expression selects, wherever in it they are."""
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression
    for name in ("expr", "lhs", "rhs", "vector_selector"):
        if inner := getattr(expression, name, None):
            yield from selectors(inner)
    for argument in getattr(expression, "args", None) or ():
        yield from selectors(argument)


@pytest.mark.parametrize("text", sorted(set(asked())))
def test_whatever_is_asked_for_is_exported(text):
    found = list(selectors(promql_parser.parse(text)))

    assert found
    for selector in found:
        assert selector.name in EXPORTED, selector.name
        for matcher in selector.matchers.matchers:
            assert matcher.name in EXPORTED[selector.name]
            assert matcher.value in VALUES[matcher.name]
        grouped = set(re.findall(r"\w+", " ".join(re.findall(r"by \((.*?)\)", text))))
        assert grouped <= {"instance", *(label for each in found for label in EXPORTED[each.name])}


def test_whatever_is_exported_is_shown():
    shown = {selector.name for text in asked() for selector in selectors(promql_parser.parse(text))}

    assert set(EXPORTED) == shown


def test_a_name_that_is_not_exported_would_be_found():
    [selector] = selectors(promql_parser.parse('sum(rate(webhook_delivery_nope{a="b"}[5m])) > 1'))

    assert selector.name not in EXPORTED


def test_alerts_have_names_of_their_own_and_the_thresholds_of_health():
    alerts = {rule["alert"]: rule for rule in rules()}
    assert len(alerts) == len(rules())

    for name, seconds in (
        ("WebhooksNotDraining", Settings.HEALTH_SILENCE_SECONDS),
        ("WebhooksDoorbellUnanswered", Settings.HEALTH_LATE_SECONDS),
        ("WebhooksLate", Settings.HEALTH_LATE_SECONDS),
    ):
        assert alerts[name]["expr"].endswith(f"> {seconds}")
    stands_in = f"or max(webhook_delivery_sweep_stand_ins) >= {STAND_INS}"
    assert alerts["WebhooksSweepSilent"]["expr"].endswith(stands_in)
    assert set(re.findall(r"^\| `(Webhook\w+)` \|", GUIDE, re.MULTILINE)) == set(alerts)


def test_what_alerts_say_is_known_of_them():
    for rule in rules():
        for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]):
            assert f"by ({label})" in rule["expr"]


def test_panels_have_numbers_of_their_own_and_do_not_overlap():
    panels = dashboard()["panels"]

    assert len({panel["id"] for panel in panels}) == len(panels)
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)


def test_the_dashboard_asks_the_source_that_is_chosen():
    told = dashboard()
    [variable] = told["templating"]["list"]

    assert (variable["type"], variable["query"]) == ("datasource", "prometheus")
    for panel in told["panels"]:
        for asks in (panel, *panel["targets"]):
            assert asks["datasource"] == {"type": "prometheus", "uid": f"${{{variable['name']}}}"}
        assert panel["title"]
        assert panel["description"]
        legends = " ".join(target["legendFormat"] for target in panel["targets"])
        labels = set(re.findall(r"\{\{(\w+)\}\}", legends))
        assert all(label in "".join(t["expr"] for t in panel["targets"]) for label in labels)


def test_what_prometheus_is_told_to_scrape_is_where_the_example_has_it():
    told = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
    [job] = told["scrape_configs"]

    assert job["metrics_path"] == PAGE
    assert told["rule_files"] == ["alerts.yaml"]


def test_the_guide_says_what_each_metric_means():
    table = re.findall(r"^\| `(webhook_delivery_\w+)` \| `?([\w, ]*)`? \|", GUIDE, re.MULTILINE)
    told = {name: tuple(re.findall(r"\w+", labels)) for name, labels in table}

    whole = {name.removesuffix("_bucket"): labels for name, labels in EXPORTED.items()}
    for part in ("_sum", "_count"):
        del whole[f"{families.LASTED}{part}"]
    assert told == {**whole, families.LASTED: ()}


def test_the_guide_names_what_a_process_counts_of_itself():
    own = {"events.published", "attempts", "attempts.in_flight", "attempt.duration"}

    named = set(re.findall(r"^\| `webhook_delivery\.([\w.]+)` \|", GUIDE, re.MULTILINE))
    assert named == own
    assert instruments.named("webhook_delivery_due_age_seconds") == "webhook_delivery.due_age"
