"""Says what an endpoint's traffic is doing, and what would happen next, as the code would do it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from webhook_delivery.admin import times, words
from webhook_delivery.ailing import ends_at
from webhook_delivery.conf import settings
from webhook_delivery.models import Endpoint
from webhook_delivery.overseeing import limits
from webhook_delivery.pacing import Traffic, sensible


def breaker_said(traffic: Traffic, now: datetime) -> str:
    """Whether the breaker lets deliveries through."""
    if traffic.blocked(now) and not traffic.openings:
        return _("Closed; the receiver has asked for a pause.")
    if traffic.blocked(now):
        return _("Open: nothing is sent.")
    return _("Half open: one probe at a time.") if traffic.openings else _("Closed.")


def limits_said(endpoint: Endpoint) -> str:
    """How much it is sent at once, and a second."""
    if endpoint.ordered:
        at_once = _("One request at a time, in the order of the events.")
    else:
        most = endpoint.max_in_flight or settings.MAX_IN_FLIGHT
        at_once = ngettext(
            "At most %(most)s request at once.", "At most %(most)s requests at once.", most
        ) % {"most": words.number(most)}
    if endpoint.rate_per_second is None:
        return at_once
    rate = _("At most %(rate)s per second.") % {"rate": f"{sensible(endpoint.rate_per_second):g}"}
    return f"{at_once} {rate}"


def next_said(endpoint: Endpoint, traffic: Traffic, now: datetime) -> Iterator[str]:
    """What would happen next, in sentences."""
    match endpoint.state:
        case Endpoint.State.OFF:
            yield _("Events make no deliveries to it; what was made before is held.")
        case Endpoint.State.PAUSED if endpoint.resume_at:
            yield _("Deliveries are held; when the pause is over, they are sent within a minute.")
        case Endpoint.State.PAUSED:
            yield _("Deliveries are held until somebody resumes it.")
        case _on:
            yield from _of_breaker(traffic, now)
            yield from _of_failing(traffic, now)
            yield _("It is switched off if it answers 410, or asks for that by a header.")
    if endpoint.retry_schedule is not None:
        yield _budget(1 + len(endpoint.retry_schedule))
    elif not settings.RETRY_SCHEDULES:
        yield _budget(1 + len(settings.RETRY_SCHEDULE))


def _of_breaker(traffic: Traffic, now: datetime) -> Iterator[str]:
    if traffic.openings:
        if traffic.blocked(now):
            yield _("When that time is over, one delivery is sent as a probe.")
        else:
            yield _("The next delivery that is due is sent alone, as a probe.")
        yield _("If it arrives, the others follow; if not, nothing is sent for %(span)s.") % {
            "span": words.span(_next_wait(traffic))
        }
        return
    left = max(1, settings.BREAKER_FAILURES - traffic.failures)
    yield ngettext(
        "After %(left)s more failure in a row, nothing is sent for %(span)s.",
        "After %(left)s more failures in a row, nothing is sent for %(span)s.",
        left,
    ) % {"left": words.number(left), "span": words.span(_next_wait(traffic))}


def _of_failing(traffic: Traffic, now: datetime) -> Iterator[str]:
    """Since when nothing has arrived, and what comes of that."""
    if traffic.failing_since is None:
        return
    yield _("It has failed since %(moment)s.") % {"moment": times.exact(traffic.failing_since)}
    if left := switched_off_in(traffic, now):
        yield _("If that goes on, it is switched off %(when)s.") % {"when": left}


def switched_off_in(traffic: Traffic, now: datetime) -> str:
    """When it is switched off if nothing arrives; empty if that cannot be said."""
    ends = ends_at(traffic, limits())
    if ends is None:
        return ""
    left = (ends - now).total_seconds()
    in_ = _("in %(span)s") % {"span": words.span(left)}
    return in_ if left > 0 else _("with the next failure")


def _next_wait(traffic: Traffic) -> float:
    """How long the breaker would stay open: each failed probe doubles it, up to a limit."""
    doubled = float(settings.BREAKER_SECONDS * 2.0 ** min(traffic.openings, 32))
    return min(settings.BREAKER_MAX_SECONDS, doubled)


def _budget(attempts: int) -> str:
    return ngettext(
        "A delivery that fails is a dead letter after %(attempts)s attempt.",
        "A delivery that fails is a dead letter after %(attempts)s attempts.",
        attempts,
    ) % {"attempts": attempts}
