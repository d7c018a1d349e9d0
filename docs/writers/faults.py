"""Writes docs/reference/faults.md: why an attempt did not deliver, as the console says it."""

from __future__ import annotations

from collections.abc import Iterator

from docs.writers.docstrings import one_line, with_names
from webhook_delivery.conf import Settings
from webhook_delivery.explaining import ANSWERS, HINTS, LABELS
from webhook_delivery.outcomes import Fault, Outcome, Policy, Verdict, decide

INTRODUCTION = """# Faults

Why an attempt did not deliver. The name in the first column is what `reason` of a delivery and
`fault` of an attempt hold, what `because()` and `--because` filter by, and what metrics and logs
say; the rest is what the console shows. “Then” is what follows, by default, while attempts are
left: `RETRY_CLIENT_ERRORS` retries `redirect` and `http_4xx` too, and 408, 425 and 429 are retried
in any case.

| name | shown as | what it means, and what to do | then |
|---|---|---|---|
"""

ANSWERED = """
## Answers that are told more exactly

| status | what it means, and what to do |
|---|---|
"""

THEN = {
    Verdict.RETRY: "retried",
    Verdict.DEFERRED: "waits; no attempt is used up",
    Verdict.DEAD: "dead at once",
}
RECORDED = {Fault.UNRECORDED: "stays as it is"}
"""What is no attempt's outcome, but is written beside the log."""


def page() -> str:
    policy = Policy(Settings.RETRY_SCHEDULE, Settings.RETRY_AFTER_CAP_SECONDS)
    faults, answers = "\n".join(_faults(policy)), "\n".join(_answers())
    return f"{INTRODUCTION}{faults}\n{ANSWERED}{answers}\n"


def _faults(policy: Policy) -> Iterator[str]:
    for fault in Fault:
        decision = decide(Outcome(fault=fault), attempt=1, policy=policy)
        then = RECORDED.get(fault) or THEN[decision.verdict]
        yield f"| `{fault}` | {LABELS[fault]} | {_told(HINTS[fault])} | {then} |"


def _answers() -> Iterator[str]:
    for status, meaning in ANSWERS.items():
        yield f"| {status} | {_told(meaning)} |"


def _told(text: object) -> str:
    return with_names(one_line(str(text)))
