"""Moments as people ask for them, how long ago or in how long; and as they enter them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext as _

MINUTE = timedelta(minutes=1)


class DateTimeField(forms.DateTimeField):
    """A moment, in the time zone of the site, with the browser's own widget."""

    def __init__(self, **kwargs: Any) -> None:
        kind = {"type": "datetime-local"}
        widget = forms.DateTimeInput(attrs=kind, format="%Y-%m-%dT%H:%M")
        super().__init__(widget=widget, **kwargs)


def relative(moment: datetime) -> str:
    """“4 minutes ago”, “in 2 hours”."""
    now = timezone.now()
    if abs(moment - now) < MINUTE:
        return _("in a moment") if moment > now else _("just now")
    if moment > now:
        return _("in %(span)s") % {"span": timeuntil(moment, now, depth=1)}
    return _("%(span)s ago") % {"span": timesince(moment, now, depth=1)}


def exact(moment: datetime) -> str:
    """“2026-11-21 14:02 UTC”, in the reader's time zone."""
    return formats.date_format(timezone.localtime(moment), "Y-m-d H:i T")


def element(moment: datetime | None) -> str:
    """The same as HTML, with the exact time as its title; empty for None."""
    if moment is None:
        return ""
    exact = formats.date_format(timezone.localtime(moment), "Y-m-d H:i:s T")
    return format_html(
        '<time class="webhook-time" datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        exact,
        relative(moment),
    )
