"""Groups of dead letters: how many of each kind there are, and who sees to them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db import router, transaction
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from webhook_delivery import acknowledging, explaining, grouping
from webhook_delivery.admin import acts, times
from webhook_delivery.admin.base import PageAdmin
from webhook_delivery.admin.groups import failures
from webhook_delivery.admin.groups.noting import FailureForm, NoteForm, SnoozeForm
from webhook_delivery.grouping import Failure
from webhook_delivery.models import Delivery, Endpoint, FailureGroup
from webhook_delivery.patience import TooSlow, patience
from webhook_delivery.tenancy import may, of_tenants, tenants_of

SHOWN = 100
KINDS = {
    "failure": _("Endpoint and reason"),
    "reason": _("Reason"),
    "endpoint": _("Endpoint"),
    "event_type": _("Event type"),
}
"""What `grouping.BY` can do, in words."""


@admin.register(FailureGroup)
class FailureGroupAdmin(PageAdmin):
    """One page, and what can be done there."""

    def get_urls(self) -> list[URLPattern]:
        """None of those of a list of rows: groups are no rows."""
        views: dict[str, Callable[..., HttpResponse]] = {
            "changelist": self.changelist_view,
            "ask": self.ask_view,
            "acknowledge": self.acknowledge_view,
            "snooze": self.snooze_view,
            "reopen": self.reopen_view,
        }
        return [
            path(
                "" if name == "changelist" else f"{name}/",
                self.admin_site.admin_view(view),
                name=f"webhook_delivery_failuregroup_{name}",
            )
            for name, view in views.items()
        ]

    @method_decorator(require_safe)
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page of all groups."""
        self.require_view(request)
        by = request.GET.get("by", "")
        by = by if by in KINDS else "failure"
        using = router.db_for_read(Delivery)
        try:
            with patience(using=using):
                context = self._context(request, by, using)
        except TooSlow:
            self.message_user(
                request,
                gettext("The numbers took too long to read, and are not shown."),
                messages.WARNING,
            )
            context = {"stopped": True}
        kinds = [{"name": name, "label": label} for name, label in KINDS.items()]
        return self.page(
            request,
            "groups/groups.html",
            title=gettext("Failure groups"),
            is_list=True,
            by=by,
            kinds=kinds,
            **context,
        )

    def _context(self, request: HttpRequest, by: str, using: str) -> dict[str, Any]:
        week = grouping.beyond(using=using).exists()
        found = grouping.groups(
            by, using=using, tenants=tenants_of(request), most=SHOWN + 1, week=week
        )
        lines = failures.lines(request, found[:SHOWN], site=self.admin_site.name, week=week)
        return {
            "open": [line for line in lines if line.group.open],
            "seen_to": [line for line in lines if not line.group.open],
            "may_see_to": by == "failure" and may(request, "redeliver_delivery"),
            "by_failure": by == "failure",
            "week": week,
            "more": len(found) > SHOWN,
            "limit": grouping.GROUPS_LIVE_LIMIT,
            "newest": grouping.NEWEST if by == "event_type" else 0,
            "shown": SHOWN,
        }

    @method_decorator(require_safe)
    def ask_view(self, request: HttpRequest) -> HttpResponse:
        """One group, and what can be said of it; nothing is changed."""
        form = FailureForm(request.GET)
        if not form.is_valid():
            raise Http404
        self._endpoint(request, form.failure())
        return self._ask(request, form.failure())

    @method_decorator(require_POST)
    def acknowledge_view(self, request: HttpRequest) -> HttpResponse:
        done = gettext("Acknowledged: %(group)s.")
        left = gettext("Nothing was changed: %(group)s is empty now, or was acknowledged already.")
        return self._do(request, NoteForm, acknowledging.acknowledge, done, left)

    @method_decorator(require_POST)
    def snooze_view(self, request: HttpRequest) -> HttpResponse:
        done = gettext("Snoozed until %(until)s: %(group)s.")
        left = gettext("Nothing was changed: %(group)s is empty now, or was snoozed just so.")
        return self._do(request, SnoozeForm, acknowledging.acknowledge, done, left)

    @method_decorator(require_POST)
    def reopen_view(self, request: HttpRequest) -> HttpResponse:
        done = gettext("Reopened: %(group)s.")
        left = gettext("Nothing was changed: %(group)s was open already.")
        return self._do(request, NoteForm, acknowledging.reopen, done, left)

    def _do(
        self,
        request: HttpRequest,
        form_class: type[NoteForm],
        verb: Callable[..., bool],
        done: str,
        left: str,
    ) -> HttpResponse:
        """Do it if the group still stands so, and say what happened."""
        self.require_view(request)
        self.require(request, "redeliver_delivery")
        which = FailureForm(request.POST)
        if not which.is_valid():
            raise Http404
        failure = which.failure()
        endpoint = self._endpoint(request, failure)
        form = form_class(request.POST)
        if not form.is_valid():
            return self._ask(request, failure, form)
        given: dict[str, Any] = {
            name: form.cleaned_data[name] for name in ("note", "until") if name in form.fields
        }
        said = {"group": failures.name_of(failure, endpoint.name)}
        if until := given.get("until"):
            said["until"] = times.exact(until)
        changed = self._write(request, endpoint, partial(verb, failure), done % said, given)
        level = messages.SUCCESS if changed else messages.WARNING
        self.message_user(request, (done if changed else left) % said, level)
        return HttpResponseRedirect(self.list_of(FailureGroup))

    def _write(
        self,
        request: HttpRequest,
        endpoint: Endpoint,
        verb: Callable[..., bool],
        said: str,
        given: dict[str, Any],
    ) -> bool:
        using = router.db_for_write(Delivery)
        with transaction.atomic(using=using):
            if changed := verb(by=request.user, using=using, **given):
                acts.note(request, endpoint, said, given["note"])
        return changed

    def _ask(
        self, request: HttpRequest, failure: Failure, bound: Form | None = None
    ) -> HttpResponse:
        """The page of one group, with what was wrong with what was asked."""
        group = grouping.the(failure, using=router.db_for_read(Delivery))
        lines = failures.lines(request, [group] if group else [], site=self.admin_site.name)
        which = failure._asdict()
        snooze = bound if isinstance(bound, SnoozeForm) else SnoozeForm(initial=which)
        other = bound if bound and not isinstance(bound, SnoozeForm) else NoteForm(initial=which)
        return self.page(
            request,
            "groups/group.html",
            title=lines[0].name if lines else gettext("Nothing has failed so"),
            lines=lines,
            hint=explaining.hint_of(failure.reason, failure.status or None),
            may_see_to=may(request, "redeliver_delivery"),
            snooze_form=snooze,
            note_form=other,
        )

    def _endpoint(self, request: HttpRequest, failure: Failure) -> Endpoint:
        """The group's endpoint, for who sees something of it. Raises PermissionDenied, Http404."""
        self.require_view(request)
        rows = Endpoint.objects.using(router.db_for_read(Endpoint)).filter(pk=failure.endpoint)
        found = of_tenants(rows, tenants_of(request)).first()
        if found is None:
            raise Http404
        return found
