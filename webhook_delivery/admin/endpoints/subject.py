"""What the pages about one endpoint have in common: addresses, tabs, questions, and history."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.cache import add_never_cache_headers
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from webhook_delivery.admin import acts
from webhook_delivery.admin.base import ConsoleAdmin
from webhook_delivery.endpoints import would_switch
from webhook_delivery.locking import outside
from webhook_delivery.models import DeadLetter, Delivery, Endpoint
from webhook_delivery.tenancy import may

asks = method_decorator(require_safe)
"""For a page that asks or tells: nothing is done by looking at it."""
does = method_decorator(require_POST)
"""For an address that does something: nobody gets there by a link."""

View = Callable[..., HttpResponseBase]


class Tab(NamedTuple):
    """A link to another page about the same endpoint."""

    url: str
    label: str | Promise
    here: bool


class EndpointPages(ConsoleAdmin):
    """Pages at `<endpoint>/…/`; `pause/now/` is named `webhook_delivery_endpoint_pause_now`."""

    def addresses(self, views: Mapping[str, View]) -> list[URLPattern]:
        return [
            path(
                f"<path:object_id>/{where}/",
                outside(self.admin_site.admin_view(view)),
                name=f"webhook_delivery_endpoint_{where.replace('/', '_')}",
            )
            for where, view in views.items()
        ]

    def url_of(self, endpoint: Endpoint, page: str) -> str:
        name = f"admin:webhook_delivery_endpoint_{page.replace('/', '_')}"
        return reverse(name, args=[endpoint.pk], current_app=self.admin_site.name)

    def endpoint(self, request: HttpRequest, object_id: str, *rights: str) -> Endpoint:
        """The one that the page is of, for who has one of these rights. Raises as `the` does."""
        if rights and not any(may(request, right) for right in rights):
            raise PermissionDenied
        found: Endpoint = self.the(request, object_id)
        return found

    def about(
        self, request: HttpRequest, endpoint: Endpoint, template: str, *, tab: str = "", **more: Any
    ) -> TemplateResponse:
        """A page about the endpoint, which nobody keeps."""
        response = self.page(
            request,
            f"endpoint/{template}",
            endpoint=endpoint,
            endpoint_page=self.page_of(endpoint),
            crumbs=[{"url": self.page_of(endpoint), "title": str(endpoint)}],
            tabs=self.tabs(request, endpoint, tab),
            **more,
        )
        add_never_cache_headers(response)
        return response

    def ask(
        self,
        request: HttpRequest,
        endpoint: Endpoint,
        form: forms.Form,
        *,
        act: str,
        title: str | Promise,
        said: Sequence[str | Promise],
        button: str | Promise = "",
    ) -> HttpResponse:
        """Say what would be done, and ask; the answer is sent to the address of the act."""
        words: dict[str, Any] = {"title": title, "said": said, "button": button or title}
        action = self.url_of(endpoint, act)
        return self.about(request, endpoint, "question.html", form=form, action=action, **words)

    def tabs(self, request: HttpRequest, endpoint: Endpoint, here: str) -> list[Tab]:
        """What the user may look at."""
        pages = {
            "health": (self.url_of(endpoint, "health"), _("Health")),
            "settings": (self.page_of(endpoint), _("Settings")),
            "secrets": (self.url_of(endpoint, "secrets"), _("Secrets")),
            "deliveries": (f"{self.list_of(Delivery)}?endpoint={endpoint.pk}", _("Deliveries")),
            "dead": (f"{self.list_of(DeadLetter)}?endpoint={endpoint.pk}", _("Dead letters")),
            "history": (self.url_of(endpoint, "history"), _("History")),
        }
        hidden = set() if self.handles_secrets(request) else {"secrets"}
        hidden |= set() if may(request, "view_delivery") else {"deliveries", "dead"}
        return [Tab(*page, name == here) for name, page in pages.items() if name not in hidden]

    def tools(self, request: HttpRequest, endpoint: Endpoint) -> list[Tab]:
        """What the user may do to it as it is, besides testing it."""
        states, would = Endpoint.State, partial(would_switch, endpoint)
        paused = endpoint.state == states.PAUSED
        switches, recovers = may(request, "pause_endpoint"), may(request, "bulk_redeliver_delivery")
        resume = _("Resume…") if paused else _("Switch on…")
        offered = [
            ("pause", _("Pause until…") if paused else _("Pause…"), switches),
            ("on", resume, switches and would(states.ON)),
            ("off", _("Switch off…"), switches and would(states.OFF)),
            ("recover", _("Recover…"), recovers),
            ("reveal", _("Reveal secrets…"), may(request, "reveal_secret")),
            ("rotate", _("Rotate the secret…"), may(request, "rotate_secret")),
        ]
        return [
            Tab(self.url_of(endpoint, name), label, False) for name, label, may_ in offered if may_
        ]

    def test(self, request: HttpRequest, endpoint: Endpoint) -> Tab | None:
        """Where a test event is asked for, and what it may lead to; None, if the user may not."""
        if not may(request, "test_endpoint"):
            return None
        label = _("Send test event")
        if endpoint.is_off_by_itself and may(request, "pause_endpoint"):
            label = _("Send test event; switch on if it arrives")
        return Tab(self.url_of(endpoint, "test"), label, False)

    def handles_secrets(self, request: HttpRequest) -> bool:
        return may(request, "reveal_secret") or may(request, "rotate_secret")

    def remember(self, request: HttpRequest, endpoint: Endpoint, done: str, reason: str) -> None:
        """Write one line to the endpoint's history."""
        acts.note(request, endpoint, done, reason)
