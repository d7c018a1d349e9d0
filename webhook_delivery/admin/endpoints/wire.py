"""The form of an endpoint: what it may say about the wire; what is sealed is never shown again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from webhook_delivery import keys
from webhook_delivery.models import Endpoint, Subscription
from webhook_delivery.models.fields import validate_conditions
from webhook_delivery.validation import validate_client_certificate, validate_headers

MASK = "••••••••"
"""Stands for a value that is kept and not shown."""
REMOVE = "-"


class ScheduleField(forms.JSONField):
    """A list of seconds; empty where there is none, instead of `null`."""

    def prepare_value(self, value: Any) -> Any:
        return "" if value is None else super().prepare_value(value)


class ConditionsField(forms.JSONField):
    """What a body must hold; empty where there is nothing, instead of `{}`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "show_hidden_initial": False})

    def prepare_value(self, value: Any) -> Any:
        return "" if value in ({}, None) else super().prepare_value(value)

    def clean(self, value: Any) -> Any:
        cleaned = super().clean(value)
        if cleaned is None:
            return {}
        validate_conditions(cleaned)  # Django asks no validator about what is empty, such as []
        return cleaned

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(initial or None, data)


class EndpointForm(forms.ModelForm):
    """An endpoint as a person edits it."""

    class Meta:
        field_classes = {"retry_schedule": ScheduleField, "conditions": ConditionsField}

    headers = forms.CharField(
        label=_("Headers"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60, "autocomplete": "off"}),
        help_text=format_lazy(
            _(
                "Sent with each request, one a line: Authorization: Bearer … Values are sealed, "
                "and shown as {mask} afterwards; leave that to keep one. {remove} removes them all."
            ),
            mask=MASK,
            remove=REMOVE,
        ),
    )
    client_certificate = forms.CharField(
        label=_("Client certificate"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60, "autocomplete": "off"}),
        help_text=format_lazy(
            _(
                "For receivers that ask for one: the certificate, its chain and its private key in "
                "PEM. Sealed and never shown; empty keeps what there is, {remove} removes it."
            ),
            remove=REMOVE,
        ),
    )

    may_reveal = False
    """Whether who edits may see what is sealed; else it may not be sent elsewhere either."""
    tenants: ClassVar[Sequence[str] | None] = None
    """Those of which who edits sees something; None: all."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.masked: set[str] = set()
        """The headers of which the value that there is was left."""
        if "headers" in self.fields:
            self.fields["headers"].initial = "\n".join(f"{name}: {MASK}" for name in self._kept())

    def clean_tenant(self) -> str:
        """Whoever gave an endpoint to another tenant would be sent what is published for that."""
        tenant = str(self.cleaned_data["tenant"])
        if self.tenants is not None and tenant not in self.tenants:
            raise ValidationError(_("That is not one of yours."))
        return tenant

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.instance.pk and not self.may_reveal and self._leads_elsewhere(cleaned):
            self._refuse_what_is_kept(cleaned)
        return cleaned

    def _leads_elsewhere(self, cleaned: dict[str, Any]) -> bool:
        was: Endpoint = self.instance  # it is written to after this
        url, ca_bundle = cleaned.get("url", was.url), cleaned.get("ca_bundle", was.ca_bundle)
        return was.leads_elsewhere(url, ca_bundle)

    def _refuse_what_is_kept(self, cleaned: dict[str, Any]) -> None:
        """Else whoever may change an endpoint could have its tokens sent to a server of his own."""
        untouched = bytes(self.instance.sealed_headers) and "headers" not in self.changed_data
        if self.masked or untouched:
            self.add_error("headers", _("It leads elsewhere now: enter the values anew."))
        replaced = cleaned.get("client_certificate")
        if bytes(self.instance.sealed_client_certificate) and not replaced:
            self.add_error(
                "client_certificate", _("It leads elsewhere now: enter it anew, or remove it.")
            )

    @sensitive_variables()
    def clean_headers(self) -> dict[str, str]:
        if self.cleaned_data["headers"].strip() == REMOVE:
            return {}
        kept = self._kept()
        lines = [line for line in self.cleaned_data["headers"].splitlines() if line.strip()]
        wanted: dict[str, str] = {}
        for line in lines:
            name, colon, value = (part.strip() for part in line.partition(":"))
            if not colon:
                raise ValidationError(_("Write each as a name, a colon and a value."))
            if name in wanted:
                raise ValidationError(_("%(name)s is there twice."), params={"name": name})
            if value == MASK and name in kept:
                self.masked.add(name)
            wanted[name] = kept[name] if name in self.masked else value
        validate_headers(wanted)
        return wanted

    @sensitive_variables()
    def clean_client_certificate(self) -> str:
        pem = str(self.cleaned_data["client_certificate"])
        validate_client_certificate("" if pem == REMOVE else pem)
        return pem

    @sensitive_variables()
    def seal(self, endpoint: Endpoint) -> None:
        """Keep what was entered and is sealed; the endpoint has been saved."""
        if "headers" in self.changed_data:
            endpoint.set_headers(self.cleaned_data["headers"])
        if pem := self.cleaned_data.get("client_certificate"):
            endpoint.set_client_certificate("" if pem == REMOVE else pem)

    @sensitive_variables()
    def _kept(self) -> dict[str, str]:
        """What is sent now; nothing, if it cannot be opened."""
        try:
            kept: dict[str, str] = self.instance.kept_headers
            return kept
        except keys.SecretUnavailable:
            return {}


class SubscriptionForm(forms.ModelForm):
    """One row; what it may be, its formset knows."""

    def validate_constraints(self) -> None:
        """Nothing by itself, as Django 6.1 would: it may take what another row gives up."""


class SubscriptionFormSet(forms.BaseInlineFormSet):
    """Refuses what it is subscribed to already: Django looks at what the form itself says."""

    def clean(self) -> None:
        super().clean()
        kept = dict(
            Subscription.objects.filter(endpoint=self.instance.pk).values_list("pk", "pattern")
        )
        for form in self.forms:
            pattern = form.cleaned_data.get("pattern") if form.is_valid() else None
            leaves = form in self.deleted_forms
            if pattern and not leaves and pattern in self._taken(form, kept):
                form.add_error("pattern", _("It is subscribed to that already."))

    def save_new(self, form: Any, commit: bool = True) -> Any:
        """Who has subscribed it at the same time has done what was wanted."""
        if not commit:
            return super().save_new(form, commit)
        found, _new = self.instance.subscriptions.get_or_create(pattern=form.instance.pattern)
        return found

    def _taken(self, form: Any, kept: dict[int, str]) -> set[str]:
        """What other rows hold when this one is saved: new ones come after all that is deleted."""
        gone = set() if form.instance.pk else {each.instance.pk for each in self.deleted_forms}
        return {each for pk, each in kept.items() if pk not in gone | {form.instance.pk}}
