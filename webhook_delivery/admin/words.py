"""How the console says numbers, spans of time, and what a redelivery is about."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from django.utils import formats, timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from webhook_delivery.admin.text import visible
from webhook_delivery.counting import Number
from webhook_delivery.explaining import LABELS
from webhook_delivery.models import Delivery

NAMED = 10
"""So many endpoints are named; of more it is said how many there are."""
MINUTE, HOUR, DAY = 60, 3600, 86_400


def number(value: int | float) -> str:
    """“3,958”, as the language groups digits."""
    whole = int(value) if value == int(value) else value
    return formats.number_format(whole, force_grouping=True)


def counted(value: Number) -> str:
    """“100,000+”, if no more were counted."""
    return f"{number(value.of)}+" if value.capped else number(value.of)


def span(seconds: float) -> str:
    """“4 min 35 s”, “2 h”: two units of a span of time, the larger first; no second one of zero."""
    whole = max(1, round(seconds))
    if whole < MINUTE:
        return _("%(seconds)s s") % {"seconds": whole}
    if whole < HOUR:
        parts = {"minutes": whole // MINUTE, "seconds": whole % MINUTE}
        both, one = _("%(minutes)s min %(seconds)s s"), _("%(minutes)s min")
        return (both if parts["seconds"] else one) % parts
    if whole < DAY:
        parts = {"hours": whole // HOUR, "minutes": whole % HOUR // MINUTE}
        both, one = _("%(hours)s h %(minutes)s min"), _("%(hours)s h")
        return (both if parts["minutes"] else one) % parts
    parts = {"days": whole // DAY, "hours": whole % DAY // HOUR}
    both, one = _("%(days)s d %(hours)s h"), _("%(days)s d")
    return (both if parts["hours"] else one) % parts


def chosen(selection: Mapping[str, Any], names: Mapping[int, str]) -> str:
    """
    Say what a selection is about: “Dead letters · endpoint acme-prod · HTTP 503”.

    names: of the endpoints, by their numbers; who is missing is told by the number.
    """
    return " · ".join([_kind_of(selection), *_narrowing(selection, names)])


def endpoints_of(selection: Mapping[str, Any]) -> list[int]:
    """The numbers of the endpoints that a selection names."""
    one = selection.get("endpoint")
    return ([one] if one else []) + list(selection.get("endpoints") or ())


def _kind_of(selection: Mapping[str, Any]) -> str:
    match selection.get("state", ""):
        case Delivery.State.DEAD:
            return _("Dead letters")
        case Delivery.State.DELIVERED:
            return _("What was delivered")
        case "":
            return _("What was never made")
        case _other:
            return _("Dead letters and what was delivered")


def _narrowing(selection: Mapping[str, Any], names: Mapping[int, str]) -> Iterator[str]:
    if endpoints := endpoints_of(selection):
        yield _endpoints(endpoints, names)
    elif "endpoints" in selection:
        yield _("no endpoint")
    for key, (text, said) in _SAID.items():
        if (value := selection.get(key)) is not None:
            yield str(text) % {"it": said(value)}
    if (ids := selection.get("ids")) is not None:
        picked = ngettext("%(count)s that was selected", "%(count)s that were selected", len(ids))
        yield picked % {"count": number(len(ids))}
    if batch := selection.get("batch"):
        yield _of_batch(*batch)


def _endpoints(endpoints: list[int], names: Mapping[int, str]) -> str:
    if len(endpoints) > NAMED:
        return _("%(count)s endpoints") % {"count": number(len(endpoints))}
    named = ", ".join(visible(names.get(each, f"#{each}")) for each in endpoints)
    text = ngettext("endpoint %(names)s", "endpoints %(names)s", len(endpoints))
    return text % {"names": named}


def _of_batch(batch: int, which: str) -> str:
    texts = {
        "": _("sent by redelivery #%(number)s"),
        "delivered": _("delivered by redelivery #%(number)s"),
        "failed": _("failed again in redelivery #%(number)s"),
        "waiting": _("sent by redelivery #%(number)s, without an answer yet"),
        "left": _("left by redelivery #%(number)s"),
        "ahead": _("not reached by redelivery #%(number)s"),
    }
    return texts.get(which, texts[""]) % {"number": batch}


def _moment(text: str) -> str:
    moment = timezone.localtime(datetime.fromisoformat(text))
    return formats.date_format(moment, "Y-m-d H:i:s T")


_SAID: dict[str, tuple[Promise, Callable[[Any], Promise | str]]] = {
    "reason": (gettext_lazy("reason: %(it)s"), lambda fault: LABELS.get(fault, fault)),
    "status": (gettext_lazy("last answer: HTTP %(it)s"), str),
    "event_type": (gettext_lazy("event type %(it)s"), visible),
    "event": (gettext_lazy("event evt_%(it)s"), str),
    "tenant": (gettext_lazy("tenant %(it)s"), visible),
    "tenants": (gettext_lazy("of the tenants: %(it)s"), lambda them: visible(", ".join(them))),
    "q": (gettext_lazy("found by “%(it)s”"), visible),
    "source": (gettext_lazy("about %(it)s"), visible),
    "since": (gettext_lazy("created since %(it)s"), _moment),
    "until": (gettext_lazy("created before %(it)s"), _moment),
    "died_since": (gettext_lazy("ended since %(it)s"), _moment),
    "died_until": (gettext_lazy("ended by %(it)s"), _moment),
}
