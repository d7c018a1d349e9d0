"""Signing secrets in the console: shown once at birth, revealed and rotated by who may."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import router, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.cache import add_never_cache_headers
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from webhook_delivery import keys, rotation, signing
from webhook_delivery.admin.acts import ReasonForm
from webhook_delivery.admin.base import ConsoleAdmin
from webhook_delivery.models import ConsoleAction, Endpoint, Secret

asked_or_done = method_decorator(require_http_methods(["GET", "HEAD", "POST"]))


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


class SecretsAdmin(ConsoleAdmin):
    """What the console of endpoints does with their secrets."""

    change_form_template = "admin/webhook_delivery/endpoint/change_form.html"

    def own_urls(self) -> list[URLPattern]:
        views = {"reveal": self.reveal_view, "rotate": self.rotate_view}
        return [
            path(
                f"<path:object_id>/{name}/",
                self.admin_site.admin_view(view),
                name=f"webhook_delivery_endpoint_{name}",
            )
            for name, view in views.items()
        ]

    def has_reveal_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("webhook_delivery.reveal_secret")

    def has_rotate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("webhook_delivery.rotate_secret")

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

    @asked_or_done
    def reveal_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, and then show what signs now."""
        endpoint = self._endpoint(request, object_id, self.has_reveal_permission)
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if not form.is_valid():
            return self._ask(request, endpoint, form, _("Reveal the signing secrets"))
        done = _("Revealed the signing secrets.")
        with transaction.atomic(using=router.db_for_write(Endpoint)):
            self._remember(request, endpoint, "reveal_secret", done, form.cleaned_data["reason"])
            return self._show(request, endpoint, endpoint.secrets.live(), _("Signing secrets"))

    @asked_or_done
    def rotate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, and then rotate and show the new one."""
        endpoint = self._endpoint(request, object_id, self.has_rotate_permission)
        newest = endpoint.secrets.order_by("-pk").values_list("pk", flat=True).first()
        posted = request.POST if request.method == "POST" else None
        form = RotationForm(posted, initial={"newest": newest})
        if not form.is_valid():
            return self._ask(request, endpoint, form, _("Rotate the signing secret"))
        if not self._rotate(request, endpoint, **form.cleaned_data):
            said = _("Nothing was rotated: the signing secret has been rotated meanwhile.")
            self.message_user(request, said, messages.WARNING)
            return HttpResponseRedirect(self._page_of(endpoint))
        new = endpoint.secrets.live()[:1]
        return self._show(request, endpoint, new, _("The new signing secret"))

    def response_add(
        self, request: HttpRequest, obj: Endpoint, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the secret in the answer itself: a message would travel, and might be kept."""
        return self._show(request, obj, obj.secrets.live(), _("The new endpoint's signing secret"))

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context["may_reveal"] = self.has_reveal_permission(request)
        context["may_rotate"] = self.has_rotate_permission(request)
        return super().render_change_form(request, context, *args, **kwargs)

    def _endpoint(
        self, request: HttpRequest, object_id: str, permitted: Callable[[HttpRequest], bool]
    ) -> Endpoint:
        """The endpoint that the page is of, for who may see it and do this."""
        if not (self.has_view_permission(request) and permitted(request)):
            raise PermissionDenied
        endpoint: Endpoint | None = self.get_object(request, unquote(object_id))
        if endpoint is None:
            raise Http404
        return endpoint

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
            rotation.rotate(endpoint.pk, using=using, overlap=span)
            done = _("Rotated the signing secret.")
            self._remember(request, endpoint, "rotate_secret", done, reason)
            return True

    def _remember(
        self, request: HttpRequest, endpoint: Endpoint, verb: str, done: str, reason: str
    ) -> None:
        """Write it to the endpoint's history, and to the actions that outlive the endpoint."""
        self.log_change(request, endpoint, f"{done} {reason}".strip())
        about = f"{endpoint.pk} ({endpoint}). {reason}".strip()
        using = router.db_for_write(ConsoleAction)
        ConsoleAction.record(verb, [], by=request.user, reason=about, using=using)

    def _ask(
        self, request: HttpRequest, endpoint: Endpoint, form: ReasonForm, title: str
    ) -> HttpResponse:
        return self._page(request, endpoint, "secret_question", {"form": form, "title": title})

    @sensitive_variables()
    def _show(
        self, request: HttpRequest, endpoint: Endpoint, secrets: Iterable[Secret], title: str
    ) -> HttpResponse:
        shown = [Shown.of(secret) for secret in secrets]
        return self._page(request, endpoint, "secret_shown", {"secrets": shown, "title": title})

    def _page(
        self, request: HttpRequest, endpoint: Endpoint, name: str, facts: dict[str, Any]
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "endpoint": endpoint,
            "endpoint_page": self._page_of(endpoint),
            "media": self.media,
            **facts,
        }
        response = TemplateResponse(
            request, f"admin/webhook_delivery/endpoint/{name}.html", context
        )
        add_never_cache_headers(response)
        return response

    def _page_of(self, endpoint: Endpoint) -> str:
        name = "admin:webhook_delivery_endpoint_change"
        return reverse(name, args=[endpoint.pk], current_app=self.admin_site.name)
