"""What comes next for one delivery, and what it waits for, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from webhook_delivery.admin import hints, times, words
from webhook_delivery.admin.deliveries.forecast import Forecast, forecast
from webhook_delivery.admin.deliveries.surroundings import Around
from webhook_delivery.admin.text import visible
from webhook_delivery.conf import settings
from webhook_delivery.lifecycle.sequences import first_before
from webhook_delivery.models import Delivery, Endpoint
from webhook_delivery.outcomes import Policy
from webhook_delivery.policies import policy_of

State = Delivery.State
WAITS = 12
"""How many waits are told one by one."""


@dataclass(frozen=True)
class Prospects:
    """What the page says about the future."""

    said: Promise | str
    """What follows from the state alone; empty if it waits to be sent."""
    due: datetime | None = None
    due_in: str = ""
    then: str = ""
    """Which attempt comes next, and what follows if it fails; empty if none comes by itself."""
    before: Delivery | None = None
    """Who must end first."""
    notices: list[str] = field(default_factory=list)

    @property
    def waiting(self) -> bool:
        """Whether anything is to come without a person."""
        return bool(self.then)


def prospects_of(delivery: Delivery, around: Around) -> Prospects:
    """Say when it is tried next, what follows if that fails, and what keeps it."""
    if delivery.state in Delivery.TERMINAL:
        return Prospects(hints.NEXT[delivery.state])
    due = delivery.due_at if delivery.state == State.PENDING else None
    return Prospects(
        said=hints.NEXT.get(delivery.state, ""),
        due=due,
        due_in=_due_in((due - around.now).total_seconds()) if due else "",
        then=_then(forecast_of(delivery, around.now)),
        before=first_before(delivery),
        notices=list(_notices(delivery, around)),
    )


def forecast_of(delivery: Delivery, now: datetime) -> Forecast:
    """What the policy leads to from here."""
    policy = own_policy(delivery)
    sending = delivery.state == State.SENDING
    begins = now if sending else delivery.due_at and max(delivery.due_at, now)
    number = max(1, delivery.attempts_in_run + (not sending))
    return forecast(
        policy,
        number=number,
        begins=begins,
        jitter=settings.RETRY_JITTER,
        expires_at=_expires_at(delivery),
    )


def own_policy(delivery: Delivery) -> Policy:
    """The one that the workers go by."""
    return policy_of(delivery.endpoint, delivery.event.event_type, delivery.trigger)


def _expires_at(delivery: Delivery) -> datetime | None:
    """A person who redelivers overrides it."""
    automatic = delivery.trigger == Delivery.Trigger.SCHEDULE
    return delivery.event.expires_at if automatic else None


def _due_in(seconds: float) -> str:
    if seconds > 0:
        return _("in %(span)s") % {"span": words.span(seconds)}
    return _("due %(span)s ago") % {"span": words.span(-seconds)}


def _then(seen: Forecast) -> str:
    told = {"number": seen.number, "of": seen.of, "waits": ", ".join(_waits(seen))}
    if seen.last:
        return _("Attempt %(number)s of %(of)s; if it fails, it is a dead letter.") % told
    if seen.dead_at is None:
        said = _(
            "Attempt %(number)s of %(of)s; if it fails, then after %(waits)s, then dead letter."
        )
        return said % told
    return _(
        "Attempt %(number)s of %(of)s; if it fails, then after %(waits)s, then dead letter "
        "(about %(when)s)."
    ) % {**told, "when": times.exact(seen.dead_at)}


def _waits(seen: Forecast) -> Iterator[str]:
    yield from map(words.span, seen.waits[:WAITS])
    if left := len(seen.waits[WAITS:]):
        yield ngettext("%(left)s more", "%(left)s more", left) % {"left": left}


def _notices(delivery: Delivery, around: Around) -> Iterator[str]:
    """What keeps it from being sent although its time may have come, or soon will."""
    if expires_at := _expires_at(delivery):
        said = _("Its event expires: no attempt begins after %(moment)s.")
        yield said % {"moment": times.exact(expires_at)}
    yield from _of_endpoint(delivery.endpoint)
    if delivery.state == State.PENDING:
        yield from _of_breaker(delivery.endpoint, around)
        yield from _of_workers(around)


def _of_endpoint(endpoint: Endpoint) -> Iterator[str]:
    if endpoint.state == Endpoint.State.ON:
        return
    told = {"endpoint": visible(endpoint.name), "why": visible(endpoint.state_reason)}
    if endpoint.state == Endpoint.State.OFF:
        said = _("%(endpoint)s is off: it is sent nothing before it is switched on.")
    elif endpoint.resume_at:
        said = _("%(endpoint)s is paused until %(until)s: what it is owed is kept until then.")
        told["until"] = times.exact(endpoint.resume_at)
    else:
        said = _("%(endpoint)s is paused: what it is owed is kept until it is switched on.")
    yield said % told
    if endpoint.state_reason:
        yield _("Why: %(why)s") % told


def _of_breaker(endpoint: Endpoint, around: Around) -> Iterator[str]:
    until, failures = around.blocked_until, around.failures or 0
    if until is None or until <= around.now:
        return
    told = {
        "endpoint": visible(endpoint.name),
        "span": words.span((until - around.now).total_seconds()),
        "failures": failures,
    }
    if failures:
        said = ngettext(
            "%(endpoint)s is sent nothing for %(span)s more, after %(failures)s failure in a row.",
            "%(endpoint)s is sent nothing for %(span)s more, after %(failures)s failures in a row.",
            failures,
        )
    else:
        said = _("%(endpoint)s is sent nothing for %(span)s more: it asked for a pause.")
    yield said % told


def _of_workers(around: Around) -> Iterator[str]:
    if around.drained_at is None:
        yield _("No worker has ever sent anything: start one.")
        return
    silent = (around.now - around.drained_at).total_seconds()
    if silent > settings.HEALTH_SILENCE_SECONDS:
        said = _("No worker has reported for %(span)s, so nothing is being sent.")
        yield said % {"span": words.span(silent)}
