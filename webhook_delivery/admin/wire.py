"""The form of an endpoint: what it may say about the wire; what is sealed is never shown again."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from webhook_delivery import keys
from webhook_delivery.models import Endpoint
from webhook_delivery.validation import validate_client_certificate, validate_headers

MASK = "••••••••"
"""Stands for a value that is kept and not shown."""
REMOVE = "-"


class EndpointForm(forms.ModelForm):
    """An endpoint as a person edits it."""

    headers = forms.CharField(
        label=_("headers"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60, "autocomplete": "off"}),
        help_text=_(
            "Sent with each request, one a line: Authorization: Bearer … Values are sealed, and "
            "shown as %(mask)s afterwards; leave that to keep one."
        )
        % {"mask": MASK},
    )
    client_certificate = forms.CharField(
        label=_("client certificate"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60, "autocomplete": "off"}),
        help_text=_(
            "For receivers that ask for one: the certificate, its chain and its private key in "
            "PEM. Sealed and never shown; empty keeps what there is, %(remove)s removes it."
        )
        % {"remove": REMOVE},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "headers" in self.fields:
            self.fields["headers"].initial = "\n".join(f"{name}: {MASK}" for name in self._kept())

    @sensitive_variables()
    def clean_headers(self) -> dict[str, str]:
        kept = self._kept()
        lines = [line for line in self.cleaned_data["headers"].splitlines() if line.strip()]
        wanted: dict[str, str] = {}
        for line in lines:
            name, colon, value = (part.strip() for part in line.partition(":"))
            if not colon:
                raise ValidationError(_("Write each as a name, a colon and a value."))
            if name in wanted:
                raise ValidationError(_("%(name)s is there twice."), params={"name": name})
            wanted[name] = kept.get(name, value) if value == MASK else value
        validate_headers(wanted)
        return wanted

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
        sealed = bytes(self.instance.sealed_headers)
        try:
            opened = keys.unseal(sealed, owner=self.instance.pk) if sealed else "{}"
        except keys.SecretUnavailable:
            return {}
        kept: dict[str, str] = json.loads(opened)
        return kept
