"""Asks to which endpoint an event is to be sent besides, and sends it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.db import router, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from webhook_delivery import forwarding
from webhook_delivery.admin import acts
from webhook_delivery.admin.payload import PayloadAdmin
from webhook_delivery.admin.text import visible
from webhook_delivery.models import Delivery, Endpoint, Event
from webhook_delivery.references import number_in
from webhook_delivery.tenancy import of_tenants, tenants_of


class ForwardForm(acts.ReasonForm):
    """To whom, and why."""

    endpoint = forms.CharField(
        label=_("Endpoint"), help_text=_("Its number, or its whole name."), max_length=200
    )
    field_order = ["endpoint", "reason"]

    def __init__(self, given: Any, endpoints: QuerySet[Endpoint]) -> None:
        super().__init__(given, auto_id="webhook_%s")
        self.endpoints = endpoints

    def clean_endpoint(self) -> int:
        """The number of the one that is meant."""
        said = str(self.cleaned_data["endpoint"])
        number = number_in(said)
        rows = (
            self.endpoints.filter(name=said) if number is None else self.endpoints.filter(pk=number)
        )
        found = list(rows.values_list("pk", flat=True)[:2])
        if not found:
            raise forms.ValidationError(_("There is no such endpoint of this event's tenant."))
        if len(found) > 1:
            raise forms.ValidationError(_("Several are called so: give the number of one."))
        return found[0]


class ForwardingAdmin(PayloadAdmin):
    """What the console of events does to send one elsewhere."""

    def own_urls(self) -> list[URLPattern]:
        return [
            self.address("forward", self.forward_view),
            self.address("forward_now", self.forward_now_view),
            *super().own_urls(),
        ]

    @method_decorator(require_safe)
    def forward_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask to whom."""
        self.require(request, "redeliver_delivery")
        event: Event = self.the(request, object_id)
        return self._ask(request, event, self._form(request, event))

    @method_decorator(require_POST)
    def forward_now_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Send it there."""
        self.require(request, "redeliver_delivery")
        event: Event = self.the(request, object_id)
        form = self._form(request, event, request.POST)
        if not form.is_valid():
            return self._ask(request, event, form)
        self._forward(request, event, **form.cleaned_data)
        return HttpResponseRedirect(self.page_of(event))

    def _form(self, request: HttpRequest, event: Event, given: Any = None) -> ForwardForm:
        """Whoever sees only some tenants names only endpoints of those: the event's is one."""
        rows = Endpoint.objects.filter(tenant=event.tenant)
        own = of_tenants(rows, tenants_of(request))
        return ForwardForm(given, own)

    def _ask(self, request: HttpRequest, event: Event, form: ForwardForm) -> HttpResponse:
        return self.page(
            request,
            "event/forward.html",
            title=gettext("Send to another endpoint"),
            crumbs=[{"url": self.page_of(event), "title": event.webhook_id}],
            event=event,
            event_type=visible(event.event_type),
            form=form,
            action=self.url_of(event, "forward_now"),
        )

    def _forward(self, request: HttpRequest, event: Event, endpoint: int, reason: str) -> None:
        with transaction.atomic(using=router.db_for_write(Delivery)):
            done = forwarding.forward(event, endpoint, by=request.user, reason=reason)
            if done.delivery is None:
                self.message_user(request, visible(done.obstacle), messages.WARNING)
                return
            said = gettext("It will be sent to %(endpoint)s.")
            said %= {"endpoint": visible(done.delivery.endpoint.name)}
            acts.note(request, event, said, reason)
        self.message_user(request, said, messages.SUCCESS)
