"""Asks before the body of an event is erased for good, and erases it."""

from __future__ import annotations

from django.contrib import messages
from django.db import router, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from webhook_delivery import erasing
from webhook_delivery.admin import acts
from webhook_delivery.admin.payload import PayloadAdmin
from webhook_delivery.admin.text import visible
from webhook_delivery.models import Event


class ErasingAdmin(PayloadAdmin):
    """What the console of events does to erase what one said."""

    def own_urls(self) -> list[URLPattern]:
        return [
            self.address("erase", self.erase_view),
            self.address("erase_now", self.erase_now_view),
            *super().own_urls(),
        ]

    @method_decorator(require_safe)
    def erase_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Say what would be erased, and ask why."""
        event = self._to_be_erased(request, object_id)
        return self._ask_to_erase(request, event, acts.ReasonRequired(auto_id="webhook_%s"))

    @method_decorator(require_POST)
    def erase_now_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Erase it."""
        event = self._to_be_erased(request, object_id)
        form = acts.ReasonRequired(request.POST, auto_id="webhook_%s")
        if not form.is_valid():
            return self._ask_to_erase(request, event, form)
        if event.erased_at is None:
            self._erase(request, event, form.cleaned_data["reason"])
        else:
            messages.warning(request, erasing.why_hollow(event))
        return HttpResponseRedirect(self.page_of(event))

    def _to_be_erased(self, request: HttpRequest, object_id: str) -> Event:
        self.require(request, "erase_event")
        event: Event = self.the(request, object_id)
        return event

    def _ask_to_erase(
        self, request: HttpRequest, event: Event, form: acts.ReasonRequired
    ) -> HttpResponse:
        return self.page(
            request,
            "event/erase.html",
            title=gettext("Erase the body"),
            crumbs=[{"url": self.page_of(event), "title": event.webhook_id}],
            event=event,
            event_page=self.page_of(event),
            event_type=visible(event.event_type),
            found=erasing.preview(event, using=router.db_for_write(Event)),
            form=form,
            action=self.url_of(event, "erase_now"),
        )

    def _erase(self, request: HttpRequest, event: Event, reason: str) -> None:
        using = router.db_for_write(Event)
        with transaction.atomic(using=using):
            done = erasing.erase(event, by=request.user, reason=reason, using=using)
            said = erasing.message_of_erasing(done)
            acts.note(request, event, said, reason)
        messages.success(request, said)
