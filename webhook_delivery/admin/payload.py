"""A body: how the console shows it, and hands it out to be looked at elsewhere."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.cache import add_never_cache_headers
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from webhook_delivery.admin.base import ConsoleAdmin
from webhook_delivery.admin.text import Shown, pretty, visible
from webhook_delivery.cloudevents import IS_JSON

HIDDEN = _("Hidden. You need the permission “Can see bodies, headers and answers”.")
OPEN_LINES = 40
"""Of a longer body, the page shows only that it is there, until it is opened."""


@dataclass(frozen=True)
class Payload:
    """A body and what is said of it."""

    webhook_id: str
    content_type: str
    body: bytes

    @property
    def media(self) -> str:
        return visible(self.content_type)

    @property
    def bytes(self) -> int:
        return len(self.body)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()

    @cached_property
    def shown(self) -> Shown:
        return pretty(self.body)

    @property
    def lines(self) -> int:
        return self.shown.text.count("\n") + 1

    @property
    def folded(self) -> bool:
        return self.lines > OPEN_LINES

    @property
    def file_name(self) -> str:
        return f"{self.webhook_id}.{'json' if IS_JSON.fullmatch(self.content_type) else 'bin'}"


class PayloadAdmin(ConsoleAdmin):
    """Pages of what has a body, with the two addresses that give it away."""

    def payload_of(self, row: Any) -> Payload:
        """The body that belongs to the row."""
        raise NotImplementedError

    def own_urls(self) -> list[URLPattern]:
        return [
            self.address("payload", self.payload_view),
            self.address("payload_text", self.payload_text_view),
            *super().own_urls(),
        ]

    def address(self, name: str, view: Any) -> URLPattern:
        """An address of its own below the row's page, called after both."""
        where = f"<path:object_id>/{name.replace('_', '-')}/"
        named: URLPattern = path(where, self.admin_site.admin_view(view), name=self._name_of(name))
        return named

    def url_of(self, row: Any, name: str) -> str:
        """That address for one row."""
        named = f"admin:{self._name_of(name)}"
        return reverse(named, args=[row.pk], current_app=self.admin_site.name)

    def with_filters(self, request: HttpRequest, address: str) -> str:
        """The same address, with the filters of the list that the user came from."""
        filters = self.get_preserved_filters(request)
        kept: dict[str, Any] = {"preserved_filters": filters, "opts": self.opts}
        return add_preserved_filters(kept, address)

    def _name_of(self, name: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{name}"

    @method_decorator(require_safe)
    def payload_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The very bytes, to be saved."""
        payload = self._payload(request, object_id)
        response = _inert(payload.body, "application/octet-stream")
        response["Content-Disposition"] = f'attachment; filename="{payload.file_name}"'
        return response

    @method_decorator(require_safe)
    def payload_text_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The same as text, in a page that may do nothing."""
        return _inert(self._payload(request, object_id).body, "text/plain; charset=utf-8")

    def _payload(self, request: HttpRequest, object_id: str) -> Payload:
        row = self.the(request, object_id)
        self.require(request, "view_payload")
        if getattr(row, "event", row).hollow:
            raise Http404
        return self.payload_of(row)


def _inert(body: bytes, content_type: str) -> HttpResponse:
    """Whatever strangers wrote, no browser makes anything of it but what the type says."""
    response = HttpResponse(body, content_type=content_type)
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response["X-Content-Type-Options"] = "nosniff"
    response["Referrer-Policy"] = "no-referrer"
    add_never_cache_headers(response)
    return response
