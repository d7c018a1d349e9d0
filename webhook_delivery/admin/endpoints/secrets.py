"""Signing secrets in the console: shown once at birth, revealed and rotated by who may."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.db import router, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from webhook_delivery import keys, rotation, signing
from webhook_delivery.admin.acts import ReasonForm
from webhook_delivery.admin.endpoints.subject import EndpointPages, asks, does
from webhook_delivery.endpoints import record
from webhook_delivery.models import Endpoint, Secret
from webhook_delivery.models.secret import SecretQuerySet
from webhook_delivery.tenancy import may

LAST = 4
"""So much of a secret tells two of them apart, and gives nothing away."""


class RotationForm(ReasonForm):
    """How long the secret before signs too; and which one that is, so that a click counts once."""

    overlap = forms.TypedChoiceField(
        label=gettext_lazy("The one before signs too"),
        coerce=int,
        empty_value=None,
        required=False,
        initial=24,
        choices=[
            (24, gettext_lazy("for a day")),
            (168, gettext_lazy("for a week")),
            (1, gettext_lazy("for an hour")),
            (0, gettext_lazy("no longer: it is in the wrong hands")),
        ],
    )
    newest = forms.IntegerField(widget=forms.HiddenInput, required=False)


@dataclass(frozen=True)
class Shown:
    """A live secret, as the one page shows it that does."""

    text: str | None = field(repr=False)
    """None if it cannot be opened."""
    public: str
    """What receivers verify with, where that is not the secret itself."""
    since: datetime
    until: datetime | None

    @classmethod
    def of(cls, secret: Secret) -> Shown:
        try:
            text = secret.reveal()
        except keys.SecretUnavailable:
            return cls(None, "", secret.created_at, secret.valid_until)
        private = text.startswith(signing.PRIVATE)
        public = signing.public_key_of(text) if private else ""
        return cls(text, public, secret.created_at, secret.valid_until)

    @property
    def last(self) -> str | None:
        return self.text and self.text[-LAST:]


class SecretsAdmin(EndpointPages):
    """What the console of endpoints does with their secrets."""

    def own_urls(self) -> list[URLPattern]:
        views = {
            "secrets": self.secrets_view,
            "reveal": self.reveal_view,
            "reveal/show": self.reveal_now,
            "rotate": self.rotate_view,
            "rotate/now": self.rotate_now,
        }
        return [*self.addresses(views), *super().own_urls()]

    def has_reveal_permission(self, request: HttpRequest) -> bool:
        return may(request, "reveal_secret")

    def has_rotate_permission(self, request: HttpRequest) -> bool:
        return may(request, "rotate_secret")

    @method_decorator(sensitive_post_parameters("url", "headers", "client_certificate"))
    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """If this fails, what was entered is not for the mail to the administrators."""
        return super().changeform_view(request, object_id, form_url, extra_context)

    @asks
    @method_decorator(sensitive_variables())
    def secrets_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Which secrets sign now, without showing them."""
        endpoint = self.endpoint(request, object_id, "reveal_secret", "rotate_secret")
        buttons = {
            "may_reveal": self.has_reveal_permission(request),
            "may_rotate": self.has_rotate_permission(request),
        }
        signing_now = [Shown.of(secret) for secret in _secrets(endpoint).live()]
        facts: dict[str, Any] = {"title": _("Signing secrets"), "secrets": signing_now, **buttons}
        return self.about(request, endpoint, "secrets.html", tab="secrets", **facts)

    @asks
    def reveal_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask whether to show what signs now."""
        endpoint = self.endpoint(request, object_id, "reveal_secret")
        return self._ask_to_reveal(request, endpoint, ReasonForm())

    @does
    def reveal_now(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what signs now."""
        endpoint = self.endpoint(request, object_id, "reveal_secret")
        form = ReasonForm(request.POST)
        if not form.is_valid():
            return self._ask_to_reveal(request, endpoint, form)
        done = _("Revealed the signing secrets.")
        with transaction.atomic(using=router.db_for_write(Endpoint)):
            self._keep(request, endpoint, done, form.cleaned_data["reason"])
            return self._show(request, endpoint, _secrets(endpoint).live(), _("Signing secrets"))

    @asks
    def rotate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask whether to rotate, and how long the secret before still signs."""
        endpoint = self.endpoint(request, object_id, "rotate_secret")
        newest = _secrets(endpoint).order_by("-pk").values_list("pk", flat=True).first()
        return self._ask_to_rotate(request, endpoint, RotationForm(initial={"newest": newest}))

    @does
    def rotate_now(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Rotate, and show the new one."""
        endpoint = self.endpoint(request, object_id, "rotate_secret")
        form = RotationForm(request.POST)
        if not form.is_valid():
            return self._ask_to_rotate(request, endpoint, form)
        if not self._rotate(request, endpoint, **form.cleaned_data):
            said = _("Nothing was rotated: the signing secret has been rotated meanwhile.")
            self.message_user(request, said, messages.WARNING)
            return HttpResponseRedirect(self.page_of(endpoint))
        new = _secrets(endpoint).live()[:1]
        return self._show(request, endpoint, new, _("The new signing secret"))

    def response_add(
        self, request: HttpRequest, obj: Endpoint, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the secret in the answer itself: a message would travel, and might be kept."""
        new = _secrets(obj).live()
        return self._show(request, obj, new, _("The new endpoint's signing secret"))

    def _rotate(
        self,
        request: HttpRequest,
        endpoint: Endpoint,
        reason: str,
        overlap: int | None,
        newest: int | None,
    ) -> bool:
        """Rotate, unless somebody else has, and keep who did it, in one transaction."""
        using = router.db_for_write(Endpoint)
        with transaction.atomic(using=using):
            if newest not in (None, rotation.newest(endpoint.pk, using=using)):
                return False
            span = rotation.OVERLAP if overlap is None else timedelta(hours=overlap)
            who: dict[str, Any] = {"by": request.user, "reason": reason}
            rotation.rotate(endpoint.pk, using=using, overlap=span, **who)
            self.remember(request, endpoint, _("Rotated the signing secret."), reason)
            return True

    def _keep(self, request: HttpRequest, endpoint: Endpoint, done: str, reason: str) -> None:
        """Write it to the endpoint's history, and to the actions that outlive the endpoint."""
        self.remember(request, endpoint, done, reason)
        using = router.db_for_write(Endpoint)
        record("reveal_secret", endpoint, by=request.user, reason=reason, using=using)

    def _ask_to_reveal(
        self, request: HttpRequest, endpoint: Endpoint, form: ReasonForm
    ) -> HttpResponse:
        said = _(
            "The secrets that sign what %(endpoint)s is sent will be shown to you. Whoever knows "
            "them can send it events in your name. That you have seen them is kept in the history."
        )
        title = _("Reveal the signing secrets")
        words: dict[str, Any] = {"title": title, "said": [said % {"endpoint": endpoint}]}
        return self.ask(request, endpoint, form, act="reveal/show", **words)

    def _ask_to_rotate(
        self, request: HttpRequest, endpoint: Endpoint, form: RotationForm
    ) -> HttpResponse:
        said = _(
            "A new secret will sign what %(endpoint)s is sent, and be shown once. The one before "
            "signs too, for as long as you say: the receiver has to know the new one by then. No "
            "more than three sign at once."
        )
        title = _("Rotate the signing secret")
        words: dict[str, Any] = {"title": title, "said": [said % {"endpoint": endpoint}]}
        return self.ask(request, endpoint, form, act="rotate/now", **words)

    @sensitive_variables()
    def _show(
        self, request: HttpRequest, endpoint: Endpoint, secrets: Iterable[Secret], title: str
    ) -> HttpResponse:
        shown = [Shown.of(secret) for secret in secrets]
        return self.about(request, endpoint, "secret_shown.html", secrets=shown, title=title)


def _secrets(endpoint: Endpoint) -> SecretQuerySet:
    """As they are where they are written: a router may read from a replica."""
    return Secret.objects.using(router.db_for_write(Secret)).filter(endpoint=endpoint.pk)
