"""The events that a test has published, and what is said when the expected one is not there."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from webhook_delivery import fitting
from webhook_delivery.models import Endpoint, Event
from webhook_delivery.outcomes import patterns_matching
from webhook_delivery.paths import NOTHING
from webhook_delivery.testing.lookups import Difference, differences

SHOWN = 20
"""How many events a message lists, at most."""
WIDTH = 160
"""How much of each body it shows."""


@dataclass(frozen=True)
class Published:
    """An event that was published, with the endpoints that it is owed to."""

    event: Event
    endpoints: frozenset[int]

    @property
    def event_type(self) -> str:
        return self.event.event_type

    @property
    def tenant(self) -> str:
        return self.event.tenant

    @property
    def body(self) -> bytes:
        """The bytes that are sent."""
        return bytes(self.event.body)

    def json(self) -> Any:
        """Return the body, read as JSON."""
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        """What was given to `publish`, as it is in the body."""
        return self.json()["data"]

    @cached_property
    def document(self) -> Any:
        """The body, or nothing if it is not JSON."""
        try:
            return self.json()
        except ValueError:
            return NOTHING

    def __str__(self) -> str:
        text = self.body.decode(errors="replace")
        tenant = f" tenant={self.tenant!r}" if self.tenant else ""
        return f"{self.event_type}{tenant} {_cut(text)}"


@dataclass(frozen=True)
class Wanted:
    """What a test asks for."""

    pattern: str
    """An event type, `order.*`, or `*`."""
    tenant: str | None
    to: Endpoint | None
    lookups: Mapping[str, Any]

    def among(self, published: Sequence[Published]) -> list[Published]:
        return [each for each in published if self.covers(each) and not self.differences(each)]

    def covers(self, published: Published) -> bool:
        return self.pattern in patterns_matching(published.event_type)

    def differences(self, published: Published) -> list[Difference]:
        """How an event of the right type is not what was asked for."""
        found = list(differences(published.document, self.lookups))
        if self.tenant is not None and self.tenant != published.tenant:
            found.append(Difference("tenant", published.tenant, self.tenant))
        if self.to and self.to.pk not in published.endpoints:
            found.append(Difference("to", sorted(published.endpoints), self.to.pk))
        return found

    def __str__(self) -> str:
        terms = [f"{name}={value!r}" for name, value in self.lookups.items()]
        terms += [] if self.tenant is None else [f"tenant={self.tenant!r}"]
        terms += [f"to={self.to.name!r}"] if self.to else []
        return f"{self.pattern} with {', '.join(terms)}" if terms else self.pattern


def how_it_failed(wanted: Wanted, times: str, published: Sequence[Published]) -> str:
    """Say what was expected, what came nearest, and what there was."""
    found = wanted.among(published)
    lines = [f"{wanted} was published {_times(len(found))}; expected: {times}."]
    lines += _nearest(wanted, published) if not found else []
    return "\n".join([*lines, *_listed(published)])


def how_it_does_not_fit(published: Published) -> str:
    """Say where its data breaks the schema of its type, and what is there; empty: nowhere."""
    document, name = published.document, published.event_type
    ours = isinstance(document, dict) and set(document) == {"type", "timestamp", "data"}
    misfits = fitting.misfits(name, document["data"]) if ours else []
    lines = [f"  {each}; it is {_cut(json.dumps(each.found))}" for each in misfits]
    head = f"{name} does not fit its schema in the catalogue:"
    return "\n".join([head, *lines, "", f"Published: {published}"]) if lines else ""


def _cut(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[:WIDTH]}…"


def _times(number: int) -> str:
    return {0: "never", 1: "once"}.get(number, f"{number} times")


def _nearest(wanted: Wanted, published: Sequence[Published]) -> list[str]:
    """The event of the type that differs least; or a type that is written almost so."""
    of_type = [each for each in published if wanted.covers(each)]
    if of_type:
        nearest = min(of_type, key=lambda each: len(wanted.differences(each)))
        return ["", f"Nearest: {nearest}", *(f"  {each}" for each in wanted.differences(nearest))]
    types = {each.event_type for each in published}
    alike = difflib.get_close_matches(wanted.pattern, types, n=1)
    return ["", f"Did you mean {alike[0]}?"] if alike else []


def _listed(published: Sequence[Published]) -> list[str]:
    if not published:
        return ["", "Nothing was published since the test began."]
    more = len(published) - SHOWN
    lines = [f"  {each}" for each in published[:SHOWN]]
    rest = [f"  … and {more} more"] if more > 0 else []
    return ["", "Published since the test began:", *lines, *rest]
