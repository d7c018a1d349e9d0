"""The page of one delivery, and the buttons on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from webhook_delivery.admin import acts, hints
from webhook_delivery.admin.deliveries.page import Page
from webhook_delivery.admin.deliveries.request import Request
from webhook_delivery.admin.payload import Payload, PayloadAdmin
from webhook_delivery.admin.text import visible
from webhook_delivery.models import Delivery
from webhook_delivery.redelivery import obstacle
from webhook_delivery.references import number_in
from webhook_delivery.tenancy import may

State = Delivery.State


@dataclass(frozen=True)
class Button:
    """An act on the one delivery that a page is of."""

    name: str
    label: Promise
    act: acts.Act
    right: str
    fits: Callable[[Delivery], bool]
    """Whether there is any sense in it now."""


BUTTONS = [
    Button(
        "redeliver",
        _("Redeliver"),
        acts.REDELIVER,
        "redeliver_delivery",
        lambda delivery: not obstacle(delivery),
    ),
    Button("retry_now", _("Retry now"), acts.RETRY_NOW, "redeliver_delivery", hints.waits),
    Button(
        "discard",
        _("Discard"),
        acts.DISCARD,
        "discard_delivery",
        lambda delivery: delivery.state == State.DEAD,
    ),
    Button(
        "restore",
        _("Restore"),
        acts.RESTORE,
        "discard_delivery",
        lambda delivery: delivery.state == State.DISCARDED,
    ),
]


class DeliveryPage(PayloadAdmin):
    """What the console of deliveries does with one of them."""

    fieldsets = [(None, {"fields": []})]  # the page has its own template

    def own_urls(self) -> list[URLPattern]:
        views = {button.name: partial(self.act_view, button=button) for button in BUTTONS}
        return [*(self.address(name, view) for name, view in views.items()), *super().own_urls()]

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Delivery | None:
        """With its event, of which lists know as much as they show."""
        if (number := number_in(object_id)) is None:
            return None
        rows: Any = self.get_queryset(request).filter(pk=number)
        delivery: Delivery | None = (
            rows.select_related("event", "endpoint").defer("event__body").first()
        )
        return delivery

    def payload_of(self, row: Delivery) -> Payload:
        """The body as this endpoint gets it."""
        return Request.of(row, row.created_at).payload

    @method_decorator(require_POST)
    def act_view(self, request: HttpRequest, object_id: str, *, button: Button) -> HttpResponse:
        """Do with the one delivery what the button says, if it still is what the page said."""
        self.require(request, button.right)
        delivery = self.the(request, object_id)
        if not self._changed(request, delivery):
            own: Any = self.get_queryset(request).filter(pk=delivery.pk)
            acts.perform(button.act, request, own)
        return HttpResponseRedirect(self.with_filters(request, self.page_of(delivery)))

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        delivery = context["original"]
        page = Page.of(self, request, delivery)
        if page is None:
            raise Http404
        context |= page.context() | self._buttons(request, delivery)
        return super().render_change_form(request, context, *args, **kwargs)

    def _buttons(self, request: HttpRequest, delivery: Delivery) -> dict[str, Any]:
        """Only those that make sense now, and that are for who asks."""
        buttons = [
            (button, self.with_filters(request, self.url_of(delivery, button.name)))
            for button in BUTTONS
            if button.fits(delivery) and may(request, button.right)
        ]
        return {
            "buttons": buttons,
            "reason_form": acts.ReasonForm(auto_id="webhook_%s"),
            "obstacle": visible(obstacle(delivery)),
            "may_redeliver": may(request, "redeliver_delivery"),
        }

    def _changed(self, request: HttpRequest, delivery: Delivery) -> bool:
        """Say so if the page, on which the button was, told of another state than there is now."""
        if request.POST.get("seen", delivery.state) == delivery.state:
            return False
        said = gettext("This delivery changed while you were looking (now %(state)s).")
        state = str(delivery.get_state_display()).upper()
        self.message_user(request, said % {"state": state}, messages.WARNING)
        return True
