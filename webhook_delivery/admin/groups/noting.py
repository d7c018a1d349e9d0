"""What people fill in when they have seen to a group of dead letters."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from webhook_delivery.admin.times import DateTimeField
from webhook_delivery.endpoints import LONGEST_PAUSE
from webhook_delivery.explaining import LABELS
from webhook_delivery.grouping import Failure
from webhook_delivery.selecting import LARGEST_STATUS


class FailureForm(forms.Form):
    """Which group is meant."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Two of these stand on one page: their fields need names of their own."""
        kwargs["auto_id"] = f"webhook_{type(self).__name__}_%s"
        super().__init__(*args, **kwargs)

    endpoint = forms.IntegerField(min_value=1, max_value=2**63 - 1, widget=forms.HiddenInput)
    reason = forms.ChoiceField(choices=list(LABELS.items()), widget=forms.HiddenInput)
    status = forms.IntegerField(min_value=0, max_value=LARGEST_STATUS, widget=forms.HiddenInput)

    def failure(self) -> Failure:
        return Failure(**{name: self.cleaned_data[name] for name in Failure._fields})


class NoteForm(FailureForm):
    """And what is said of it."""

    note = forms.CharField(label=_("Note"), required=False, max_length=200)


class SnoozeForm(NoteForm):
    """And until when it need not be told again."""

    until = DateTimeField(label=_("Until"))

    def clean_until(self) -> datetime:
        until: datetime = self.cleaned_data["until"]
        if until <= timezone.now():
            raise forms.ValidationError(gettext("Choose a moment that is yet to come."))
        if until > timezone.now() + LONGEST_PAUSE:
            said = gettext("That is more than a year ahead: acknowledge it instead.")
            raise forms.ValidationError(said)
        return until
