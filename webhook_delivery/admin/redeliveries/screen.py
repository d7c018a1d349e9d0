"""Redeliveries of many: the list of them, how far each is, and its buttons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db import DEFAULT_DB_ALIAS, router, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from webhook_delivery import batches, tenancy
from webhook_delivery.admin import acts, hints, times, words
from webhook_delivery.admin.redeliveries import progress
from webhook_delivery.admin.redeliveries.asking import RateForm
from webhook_delivery.admin.redeliveries.confirming import Confirming
from webhook_delivery.models import BatchQuerySet, Delivery, Endpoint, RedeliveryBatch
from webhook_delivery.patience import TooSlow, patience
from webhook_delivery.tenancy import may

State = RedeliveryBatch.State

MANY = 20_000
"""Of so many, how they fared is asked for less often."""


class BatchList(ChangeList):
    """Reads the names of the endpoints that a page of redeliveries is about, all at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        shown = list(self.result_list[: self.list_per_page])
        names = names_of(request, shown)
        for batch in shown:
            batch.endpoint_names = names
        self.result_list = shown


def names_of(request: HttpRequest, batches: Sequence[RedeliveryBatch]) -> dict[int, str]:
    """The names of the endpoints that these name by number, of those that the user may see."""
    numbers = {each for batch in batches for each in words.endpoints_of(batch.selection)}
    seen = tenancy.of_tenants(Endpoint.objects.all(), tenancy.tenants_of(request))
    rows = seen.filter(pk__in=sorted(numbers)[:1000])
    return dict(rows.values_list("pk", "name")) if numbers else {}


def _fared(batch: RedeliveryBatch) -> tuple[batches.Progress | None, list[Delivery]]:
    """How those that it sent have fared, and the last failures; nothing, if that takes too long."""
    if batch.kind == RedeliveryBatch.Kind.MISSED:  # what it makes is like what any event makes
        return None, []
    try:
        with patience(using=batch._state.db or DEFAULT_DB_ALIAS):
            return batches.progress(batch), progress.last_failures(batch)
    except TooSlow:
        return None, []


@admin.register(RedeliveryBatch)
class RedeliveryBatchAdmin(Confirming):
    change_list_template = "admin/webhook_delivery/delivery/change_list.html"
    tenant_field = "selection__tenants"
    list_display = ["number", "state_badge", "what", "sent_of", "by_name", "reason", "created"]
    list_display_links = ["number"]
    list_filter = ["state"]
    sortable_by = ["number"]

    def scoped(self, rows: QuerySet, tenants: Sequence[str]) -> QuerySet:
        return tenancy.redeliveries_of(cast(BatchQuerySet, rows), tenants)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        words_if_empty = {
            "none_at_all": gettext("No redeliveries yet. They begin at the dead letters."),
            "none_match": gettext("No redeliveries match these filters."),
        }
        return super().changelist_view(request, {**words_if_empty, **(extra_context or {})})

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BatchList

    def own_urls(self) -> list[URLPattern]:
        acting = [
            path(
                f"<int:number>/{name}/",
                self.admin_site.admin_view(view),
                name=f"webhook_delivery_redeliverybatch_{name}",
            )
            for name, view in self._buttons().items()
        ]
        return [*super().own_urls(), *acting]

    def _buttons(self) -> dict[str, Callable[..., HttpResponse]]:
        return {
            "pause": self.pause_view,
            "resume": self.resume_view,
            "rate": self.rate_view,
            "cancel": self.cancel_view,
        }

    @admin.display(description=_("number"), ordering="pk")
    def number(self, batch: RedeliveryBatch) -> str:
        return f"#{batch.pk}"

    @admin.display(description=_("state"))
    def state_badge(self, batch: RedeliveryBatch) -> str:
        badge = '<strong class="webhook-state webhook-{}">{}</strong>'
        return format_html(badge, batch.state, batch.get_state_display())

    @admin.display(description=_("what"))
    def what(self, batch: RedeliveryBatch) -> str:
        return words.chosen(batch.selection, getattr(batch, "endpoint_names", {}))

    @admin.display(description=_("sent"))
    def sent_of(self, batch: RedeliveryBatch) -> str:
        all_of_them = words.number(batch.whole)
        text = gettext("%(sent)s of %(all)s")
        return text % {"sent": words.number(batch.sent), "all": all_of_them}

    @admin.display(description=_("created"))
    def created(self, batch: RedeliveryBatch) -> str:
        return times.element(batch.created_at)

    @method_decorator(require_safe)
    def change_view(
        self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """How far it is."""
        batch = self.the(request, object_id)
        self._lend_words(request, batch)
        return self.page(request, "redelivery/progress.html", **self._context(request, batch))

    def _lend_words(self, request: HttpRequest, batch: RedeliveryBatch) -> None:
        batch.endpoint_names = names_of(request, [batch])  # type: ignore[attr-defined]

    def _context(self, request: HttpRequest, batch: RedeliveryBatch) -> dict[str, Any]:
        counts, failures = _fared(batch)
        return {
            "title": gettext("Redelivery #%(number)s") % {"number": batch.pk},
            "batch": batch,
            "what": self.what(batch),
            "said": progress.said(batch, counts),
            "time_left": progress.left_in_words(batch),
            "seen_to": batch.seen_to,
            "whole": batch.whole,
            "fates": progress.fates(batch, counts) if counts else [],
            "pace": progress.pace(batch.rate_per_second),
            "guards": progress.guards(batch),
            "failures": [self._failure(request, each) for each in failures],
            "deliveries": self.list_of(Delivery),
            "changes": batch.state == State.RUNNING or (counts and counts.waiting),
            "every": 5 if batch.whole < MANY else 30,
            "rate_form": RateForm({"rate": batch.rate_per_second}, auto_id="webhook_%s"),
            "addresses": {
                name: self._address_of(name, batch) for name in [*self._buttons(), "history"]
            },
            **self._allowed(request, batch),
        }

    def _address_of(self, name: str, batch: RedeliveryBatch) -> str:
        address = f"admin:webhook_delivery_redeliverybatch_{name}"
        return reverse(address, args=[batch.pk], current_app=self.admin_site.name)

    def _allowed(self, request: HttpRequest, batch: RedeliveryBatch) -> dict[str, bool]:
        """Which buttons its state and the user's rights allow."""
        allowed = may(request, "bulk_redeliver_delivery")
        return {
            f"may_{verb}": allowed and batch.state in states
            for verb, states in batches.ALLOWED.items()
        }

    def _failure(self, request: HttpRequest, delivery: Delivery) -> dict[str, Any]:
        return {
            "delivery": delivery,
            "link": self.link_to(request, delivery),
            "reason": hints.reason_of(delivery),
        }

    @method_decorator(require_POST)
    def pause_view(self, request: HttpRequest, number: int) -> HttpResponse:
        text = gettext("Redelivery #%(number)s is paused: nothing more of it is sent.")
        done = text % {"number": number}
        return self._switch(request, number, batches.pause, done)

    @method_decorator(require_POST)
    def resume_view(self, request: HttpRequest, number: int) -> HttpResponse:
        text = gettext("Redelivery #%(number)s goes on.")
        done = text % {"number": number}
        return self._switch(request, number, batches.resume, done)

    @method_decorator(require_POST)
    def cancel_view(self, request: HttpRequest, number: int) -> HttpResponse:
        text = gettext("Redelivery #%(number)s is cancelled; what it has not sent stays as it is.")
        done = text % {"number": number}
        return self._switch(request, number, batches.cancel, done)

    @method_decorator(require_POST)
    def rate_view(self, request: HttpRequest, number: int) -> HttpResponse:
        form = RateForm(request.POST)
        if not form.is_valid():
            self._button_for(request, number)
            self.message_user(request, " ".join(map(str, form.errors["rate"])), messages.ERROR)
            return self._back(number)
        rate = form.cleaned_data["rate"]
        text = gettext("Redelivery #%(number)s sends %(pace)s.")
        done = text % {"number": number, "pace": progress.pace(rate)}
        return self._switch(request, number, partial(batches.set_rate, rate=rate), done)

    def _switch(
        self, request: HttpRequest, number: int, verb: Callable[..., bool], said: str
    ) -> HttpResponse:
        """Do it if its state still allows it, and say what happened."""
        batch = self._button_for(request, number)
        using = router.db_for_write(RedeliveryBatch)
        with transaction.atomic(using=using):
            if changed := verb(number, by=request.user, using=using):
                acts.note(request, batch, said)
        batch.refresh_from_db(using=using)
        text = gettext("Redelivery #%(number)s is %(state)s; nothing was changed.")
        stayed = text % {"number": number, "state": batch.get_state_display()}
        level = messages.SUCCESS if changed else messages.WARNING
        self.message_user(request, said if changed else stayed, level)
        return self._back(number)

    def _button_for(self, request: HttpRequest, number: int) -> RedeliveryBatch:
        batch: RedeliveryBatch = self.the(request, str(number))
        self.require(request, "bulk_redeliver_delivery")
        return batch

    def _back(self, number: int) -> HttpResponse:
        return HttpResponseRedirect(self.page_of(RedeliveryBatch(pk=number)))
