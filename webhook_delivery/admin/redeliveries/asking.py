"""The question that stands before a redelivery of many: what it would do, and how it shall go."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.core import signing
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from webhook_delivery.admin import words
from webhook_delivery.conf import settings
from webhook_delivery.counting import Number
from webhook_delivery.validation import validate_rate

SALT = "webhook_delivery.redeliver"
LASTS = timedelta(days=1)
"""How long a question can be answered; then it must be asked again."""
RATE = 10
"""Deliveries a second, unless another speed is asked for."""
FEW = 20
"""So many are sent without typing their number, whatever the settings say."""


@dataclass(frozen=True)
class Token:
    """When it was asked, and once: who clicks twice has answered the same question."""

    at: datetime = field(default_factory=timezone.now)
    number: uuid.UUID = field(default_factory=uuid.uuid4)
    shown: int = 0
    """How many would have been sent when the page was made."""

    def __str__(self) -> str:
        return signing.dumps([self.at.isoformat(), self.number.hex, self.shown], salt=SALT)

    @classmethod
    def read(cls, text: str) -> Token | None:
        """The token of a form; None for one that is too old, or not ours."""
        try:
            at, number, shown = signing.loads(text, salt=SALT, max_age=LASTS)
        except signing.BadSignature:
            return None
        return cls(datetime.fromisoformat(at), uuid.UUID(number), shown)


class RedeliverForm(forms.Form):
    """How fast, how carefully, and why."""

    speed = forms.ChoiceField(
        label=gettext_lazy("Speed"),
        choices=[
            ("rate", gettext_lazy("At most so many a second:")),
            ("own", gettext_lazy("As fast as the endpoints' own limits allow")),
        ],
        widget=forms.RadioSelect,
        initial="rate",
    )
    rate = forms.FloatField(
        label=gettext_lazy("Deliveries a second"),
        required=False,
        initial=RATE,
        validators=[validate_rate],
    )
    attempts = forms.ChoiceField(
        label=gettext_lazy("Attempts"),
        choices=[
            ("once", gettext_lazy("One attempt each; what fails is a dead letter again")),
            ("full", gettext_lazy("A full new schedule of retries")),
        ],
        widget=forms.RadioSelect,
        initial="once",
    )
    canary = forms.IntegerField(
        label=gettext_lazy("Send so many first, and stop if all of them fail"),
        help_text=gettext_lazy("0: none."),
        required=False,
        initial=5,
        validators=[MinValueValidator(0), MaxValueValidator(1000)],
    )
    stop_above = forms.IntegerField(
        label=gettext_lazy("Stop if more than so many percent of the last hundred fail"),
        help_text=gettext_lazy("Empty: it goes on."),
        required=False,
        initial=50,
        validators=[MinValueValidator(0), MaxValueValidator(99)],
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        help_text=gettext_lazy("Kept with who did it, and when."),
        required=False,
        max_length=200,
    )
    typed = forms.CharField(label=gettext_lazy("Type the number to confirm"), max_length=20)
    token = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, data: Any, *, number: Number, shown: int = 0, **options: Any) -> None:
        super().__init__(data, auto_id="webhook_%s", **options)
        self.number, self.shown = number, shown
        left_out = ["speed", "rate", "canary", "stop_above"] if number.of <= 1 else []
        typed = number.of > max(FEW, settings.CONFIRM_TYPED_ABOVE)
        for name in left_out if typed else [*left_out, "typed"]:
            del self.fields[name]
        if typed:
            text = _("Type %(number)s: so many deliveries would be sent.")
            self.fields["typed"].help_text = text % {"number": words.number(number.of)}

    def clean_typed(self) -> str:
        """What has been sent elsewhere meanwhile lowers the number: the one that was shown does."""
        typed = str(self.cleaned_data["typed"])
        digits = "".join(each for each in typed if each.isdecimal())
        if not digits or int(digits) not in (self.number.of, self.shown or self.number.of):
            text = _("That is not the number: it is %(number)s.")
            raise forms.ValidationError(text % {"number": words.number(self.number.of)})
        return typed

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        if given.get("speed") == "rate" and not given.get("rate") and "rate" not in self.errors:
            self.add_error("rate", _("Say how many a second, or choose the other speed."))
        return given

    def wishes(self) -> dict[str, Any]:
        """What was asked for, as `batches.start` takes it."""
        given = self.cleaned_data
        return {
            "rate": given.get("rate") if given.get("speed") == "rate" else None,
            "canary": given.get("canary") or 0,
            "stop_above": given.get("stop_above"),
            "once": given["attempts"] == "once",
            "reason": given["reason"],
        }


class RateForm(forms.Form):
    """How many a second; empty: as many as the endpoints' own limits allow."""

    rate = forms.FloatField(
        label=gettext_lazy("Deliveries a second"),
        help_text=gettext_lazy("Empty: as fast as the endpoints' own limits allow."),
        required=False,
        validators=[validate_rate],
    )
