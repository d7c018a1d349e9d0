"""How fast do other packages do the same work?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.draining import ours
from benchmarks.figures import Figure, Goal, Picture, Section, Table, figure, ratios
from benchmarks.neighbours import Peer, prepared
from benchmarks.pictures import bars
from benchmarks.stage import Stage, Told

COUNT, BODY = 5_000, 1_024
ONE = "ours, PostgreSQL, 1 process"
TWO = "ours, PostgreSQL, 2 processes"
GOALS = {"django-webhook": 10, "django-outbound-webhooks": 25}


@dataclass(frozen=True)
class Drained(Told):
    """What a sender says of its run."""

    sent: int
    wanted: int
    seconds: float
    notes: str = ""
    settings: str = ""

    @property
    def rate(self) -> float:
        return self.sent / self.seconds

    def __str__(self) -> str:
        return f"{self.rate:,.0f}/s"


def run(stage: Stage) -> Section:
    peers, excuses = prepared(stage)
    if not peers:
        return Section(tables=[], goals=_goals({}), notes=excuses)
    with stage.database("PostgreSQL", "peers") as database:
        urls = [stage.web.url()]
        senders = {
            ONE: ours(stage, database, urls, COUNT),
            TWO: ours(stage, database, urls, COUNT, processes=2),
        }
        contestants: dict[str, Callable[[float], Drained]] = {
            **{name: partial(_ours, send) for name, send in senders.items()},
            **{_label(peer): partial(_measure, stage, peer) for peer in peers},
        }
        found = stage.compare(contestants)
    return Section(
        tables=[_table(found)],
        goals=_goals(found),
        notes=[*NOTES, *excuses, *_remarks(found)],
        pictures=[_picture(found)],
        settings={"bodies": "1 KB", "receiver": "nginx on loopback, answers 204"},
    )


NOTES = [
    "Each sends to one endpoint, from PostgreSQL where it keeps a backlog, with the settings that "
    "were found to be its best; counts differ, so that each is busy for a while.",
]


def _label(peer: Peer) -> str:
    return f"{peer.name} {peer.version}"


def _ours(send: Callable[[float], Any], share: float) -> Drained:
    run = send(share)
    return Drained(sent=run.sent, wanted=run.sent, seconds=run.seconds)


def _measure(stage: Stage, peer: Peer, share: float) -> Drained:
    wanted = max(20, int(peer.usual_count * share))
    try:
        found = peer.drain(stage.web.url(), wanted, BODY)
    except Exception as error:  # told as it is: a peer that fails must not cost the others
        return Drained(sent=0, wanted=wanted, seconds=1, notes=f"failed: {error}")
    return Drained(
        sent=found["sent"],
        wanted=wanted,
        seconds=found["seconds"],
        notes=_said(found.get("notes")),
        settings=_said(found.get("settings")),
    )


def _said(value: Any) -> str:
    """As one line, whether it is a text, a list or a table."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {each}" for name, each in value.items())
    return " ".join(value) if isinstance(value, list) else str(value or "")


def _remarks(found: dict[str, list[Drained]]) -> list[str]:
    """What each peer says of its last run, and why it failed, if it did."""
    return [
        f"{name}: {'; '.join(said)}"
        for name, runs in found.items()
        if (said := [each for each in (runs[-1].settings, runs[-1].notes) if each])
    ]


def _table(found: dict[str, list[Drained]]) -> Table:
    table = Table(["sender", "sent", "deliveries/s", "ours, 1 process", "ours, 2 processes"])
    for name, runs in found.items():
        sent, wanted = sum(run.sent for run in runs), sum(run.wanted for run in runs)
        table.add(
            name,
            f"{sent:,} of {wanted:,}",
            figure(run.rate for run in runs),
            *(_times(found, own, name) for own in (ONE, TWO)),
        )
    return table


def _times(found: dict[str, list[Drained]], own: str, name: str) -> Figure:
    return ratios([run.rate for run in found[own]], [run.rate for run in found[name]])


def _goals(found: dict[str, list[Drained]]) -> list[Goal]:
    goals = []
    for peer, least in GOALS.items():
        name = next((name for name in found if name.startswith(f"{peer} ")), None)
        times = _times(found, ONE, name) if name else None
        goals.append(Goal.at_least(f"drain, one process, against {peer}", least, times))
    return goals


def _picture(found: dict[str, list[Drained]]) -> Picture:
    rates = {name: figure(run.rate for run in runs) for name, runs in found.items()}
    return bars("peers", "Deliveries per second, side by side", rates)
