"""The ways to switch an endpoint: what each asks, what it would mean, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _

from webhook_delivery import endpoints
from webhook_delivery.admin import times, words
from webhook_delivery.admin.acts import ReasonForm, ReasonRequired
from webhook_delivery.admin.hints import label_of
from webhook_delivery.admin.paging import CAP
from webhook_delivery.conf import settings
from webhook_delivery.counting import Number, count
from webhook_delivery.endpoints import LONGEST_PAUSE, Switched
from webhook_delivery.models import Delivery, Endpoint
from webhook_delivery.pacing import sensible
from webhook_delivery.probing import Probed


class PauseForm(ReasonRequired):
    """Until when, and why."""

    until = times.DateTimeField(label=_("Until"), required=False)

    field_order = ("until", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        said = gettext("Empty: until somebody resumes it. The time zone is %(zone)s.")
        if "until" in self.initial:
            said = gettext("Empty: as before. The time zone is %(zone)s.")
        self.fields["until"].help_text = said % {"zone": timezone.get_current_timezone_name()}

    def clean_until(self) -> datetime | None:
        until: datetime | None = self.cleaned_data["until"]
        if until and until <= timezone.now():
            raise ValidationError(_("That has passed already."))
        if until and until > timezone.now() + LONGEST_PAUSE:
            raise ValidationError(_("That is more than a year ahead: leave it empty instead."))
        return until


@dataclass(frozen=True)
class Switch:
    """A way to switch endpoints, and the words for it."""

    verb: Callable[..., Switched]
    form: type[forms.Form]
    title: Promise
    done: Promise
    already: Promise
    history: Promise
    many: Any
    """The same of many; lazy, with a plural."""
    moved: Callable[[int], str]


def _released(moved: int) -> str:
    if not moved:
        return gettext("Nothing was held.")
    return ngettext(
        "%(moved)s delivery was released.", "%(moved)s deliveries were released.", moved
    ) % {"moved": moved}


def _held(moved: int) -> str:
    if not moved:
        return gettext("Nothing was waiting to be sent.")
    return ngettext("%(moved)s delivery is held.", "%(moved)s deliveries are held.", moved) % {
        "moved": moved
    }


SWITCHES: Mapping[str, Switch] = {
    "pause": Switch(
        verb=endpoints.pause,
        form=PauseForm,
        title=_("Pause"),
        done=_("%(endpoint)s is paused."),
        already=_("%(endpoint)s is paused already; nothing was changed."),
        history=_("Paused."),
        many=ngettext_lazy(
            "%(count)s endpoint was paused.", "%(count)s endpoints were paused.", "count"
        ),
        moved=_held,
    ),
    "on": Switch(
        verb=endpoints.switch_on,
        form=ReasonForm,
        title=_("Switch on"),
        done=_("%(endpoint)s is on."),
        already=_("%(endpoint)s is on already; nothing was changed."),
        history=_("Switched on."),
        many=ngettext_lazy(
            "%(count)s endpoint was switched on.", "%(count)s endpoints were switched on.", "count"
        ),
        moved=_released,
    ),
    "off": Switch(
        verb=endpoints.switch_off,
        form=ReasonRequired,
        title=_("Switch off"),
        done=_("%(endpoint)s is off."),
        already=_("%(endpoint)s is off already; nothing was changed."),
        history=_("Switched off."),
        many=ngettext_lazy(
            "%(count)s endpoint was switched off.",
            "%(count)s endpoints were switched off.",
            "count",
        ),
        moved=_held,
    ),
}


def history_of(switch: Switch, *, until: datetime | None = None, **_other: Any) -> str:
    if until is None:
        return str(switch.history)
    return gettext("Paused until %(moment)s.") % {"moment": times.exact(until)}


def said_of_many(switch: Switch, done: list[Switched]) -> list[str]:
    """How many were switched, for how many there was nothing to do, and what that moved."""
    changed = sum(each.changed for each in done)
    moved, left = sum(len(each.moved) for each in done), len(done) - changed
    told = [str(switch.many % {"count": changed})] if changed else []
    if left:
        so = ngettext(
            "%(left)s endpoint was so already.", "%(left)s endpoints were so already.", left
        )
        told.append(so % {"left": left})
    return [*told, switch.moved(moved)] if changed or moved else told


def consequences(endpoint: Endpoint, name: str) -> list[str]:
    """What it would mean, in sentences."""
    if name == "pause":
        return [
            gettext("New deliveries will be held and sent when you resume. Nothing is lost."),
        ]
    if name == "off":
        return [
            gettext(
                "New events for this endpoint will not create deliveries. Pause instead if you "
                "want to keep them."
            )
        ]
    return [_to_be_released(endpoint), *_too_old(endpoint)]


def what_came_of(probed: Probed, endpoint: Endpoint) -> list[str]:
    """What a test did, sent to an endpoint that was not on, in sentences."""
    facts = {"endpoint": endpoint, "state": endpoint.get_state_display()}
    if not probed.arrived:
        why = label_of(probed.delivery.reason)
        said = gettext("The test event did not arrive: %(why)s. %(endpoint)s is still %(state)s.")
        return [said % {**facts, "why": why}]
    if probed.switched is None:
        return [gettext("The test event arrived. %(endpoint)s is still %(state)s.") % facts]
    on = gettext("The test event arrived, and %(endpoint)s is on again.") % facts
    return [on, _released(len(probed.switched.moved))]


def _to_be_released(endpoint: Endpoint) -> str:
    held, rate = _held_of(endpoint), endpoint.rate_per_second
    rate = None if rate is None else sensible(rate)
    if not held.of:
        return gettext("Nothing is held for it.")
    said = ngettext(
        "%(number)s held delivery will be sent.",
        "%(number)s held deliveries will be sent.",
        held.of,
    )
    if rate:
        said = ngettext(
            "%(number)s held delivery will be sent at up to %(rate)s per second.",
            "%(number)s held deliveries will be sent at up to %(rate)s per second.",
            held.of,
        )
    return said % {"number": words.counted(held), "rate": words.number(rate or 0)}


def _too_old(endpoint: Endpoint) -> list[str]:
    limit = settings.HELD_AT_MOST_SECONDS
    since = timezone.now() - timedelta(seconds=limit)
    old = _held_of(endpoint, created_at__lt=since) if limit else Number(0)
    said = ngettext(
        "%(number)s of them is older than %(span)s: it will be a dead letter, and not be sent.",
        "%(number)s of them are older than %(span)s: they will be dead letters, and not be sent.",
        old.of,
    )
    facts = {"number": words.counted(old), "span": words.span(limit)}
    return [said % facts] if old.of else []


def _held_of(endpoint: Endpoint, **older: datetime) -> Number:
    return count(Delivery.objects.held().for_endpoint(endpoint).filter(**older), cap=CAP)
