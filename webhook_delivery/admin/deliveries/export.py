"""Writes lists of deliveries as CSV, row by row: without bodies, and inert in a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from webhook_delivery.admin.base import ReadOnlyAdmin
from webhook_delivery.models.event import webhook_id
from webhook_delivery.tenancy import may

MOST = 100_000
"""So many rows are written at most, the newest."""
CHUNK = 1000
"""So many are read at once: no more are ever in memory."""
DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""With what a cell begins that a spreadsheet would calculate."""
COLUMNS = {
    "delivery": "pk",
    "webhook_id": "event__pk",
    "event_type": "event_type",
    "endpoint": "endpoint__pk",
    "endpoint_name": "endpoint__name",
    "tenant": "endpoint__tenant",
    "state": "state",
    "reason": "reason",
    "last_status": "last_status",
    "attempts": "attempts_made",
    "created_at": "created_at",
    "due_at": "due_at",
    "ended_at": "ended_at",
}


class Exporting(ReadOnlyAdmin):
    """A list of deliveries that can be taken away."""

    def own_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.export_view)
        return [path("export/", view, name=self._export_name()), *super().own_urls()]

    def has_export_permission(self, request: HttpRequest) -> bool:
        return may(request, "export_delivery")

    def export_url(self) -> str:
        return reverse(f"admin:{self._export_name()}", current_app=self.admin_site.name)

    @method_decorator(require_safe)
    def export_view(self, request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        """The rows of the list, as its filters and its search leave them."""
        self.require(request, "view_delivery")
        self.require(request, "export_delivery")
        try:
            changes = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            return HttpResponseRedirect(f"{self.list_of(self.model)}?e=1")
        return as_csv(changes.get_queryset(request))

    @admin.action(permissions=["export"], description=_("Export selected (CSV)"))
    def export_selected(self, request: HttpRequest, queryset: QuerySet) -> StreamingHttpResponse:
        return as_csv(queryset)

    def _export_name(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_export"


def as_csv(rows: QuerySet) -> StreamingHttpResponse:
    """Answer with the rows, the newest first, while they are read."""
    writer = csv.writer(_Echo())
    lines = (writer.writerow(cells) for cells in _table(rows))
    return StreamingHttpResponse(
        lines,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="deliveries.csv"'},
    )


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def _table(rows: QuerySet) -> Iterator[Iterable[str]]:
    yield COLUMNS
    for row in _walk(rows):
        yield map(cell, row)


def _walk(rows: QuerySet) -> Iterator[tuple[Any, ...]]:
    """Page after page by the key: a cursor would hold all rows in memory on MariaDB."""
    plain = rows.select_related(None).order_by("-pk").values_list(*COLUMNS.values())
    written, last = 0, None
    while written < MOST:
        page = plain if last is None else plain.filter(pk__lt=last)
        chunk = list(page[: min(CHUNK, MOST - written)])
        yield from ((pk, webhook_id(event), *rest) for pk, event, *rest in chunk)
        if len(chunk) < CHUNK:
            return
        written, last = written + len(chunk), chunk[-1][0]


def cell(value: Any) -> str:
    """The text of a value; before what a spreadsheet would calculate stands an apostrophe."""
    if isinstance(value, datetime):
        return value.isoformat()
    text = "" if value is None else str(value)
    return f"'{text}" if text.lstrip(" ").startswith(DANGEROUS) else text
