"""Pauses endpoints, switches them on and off, and tests them: from their pages and the list."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import router
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from webhook_delivery import publishing
from webhook_delivery.admin.acts import reason_given
from webhook_delivery.admin.endpoints.subject import EndpointPages, asks, does
from webhook_delivery.admin.endpoints.switches import (
    SWITCHES,
    Switch,
    consequences,
    history_of,
    said_of_many,
    what_came_of,
)
from webhook_delivery.endpoints import Switched
from webhook_delivery.models import Delivery, Endpoint
from webhook_delivery.probing import probe
from webhook_delivery.tenancy import may


class SwitchesAdmin(EndpointPages):
    """What the console does with the switch of an endpoint."""

    def own_urls(self) -> list[URLPattern]:
        views = {
            "pause": self.pause_view,
            "pause/now": self.pause_now,
            "on": self.on_view,
            "on/now": self.on_now,
            "off": self.off_view,
            "off/now": self.off_now,
            "test": self.test_view,
        }
        return [*self.addresses(views), *super().own_urls()]

    def has_pause_permission(self, request: HttpRequest) -> bool:
        return may(request, "pause_endpoint")

    @asks
    def pause_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._ask_to_switch(request, object_id, "pause")

    @does
    def pause_now(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._switch_now(request, object_id, "pause")

    @asks
    def on_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._ask_to_switch(request, object_id, "on")

    @does
    def on_now(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._switch_now(request, object_id, "on")

    @asks
    def off_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._ask_to_switch(request, object_id, "off")

    @does
    def off_now(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._switch_now(request, object_id, "off")

    @does
    def test_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Send one event to this endpoint alone; if it is not on, now, and it may be on then."""
        endpoint = self.endpoint(request, object_id, "test_endpoint")
        if endpoint.state != Endpoint.State.ON:
            self._probe(request, endpoint)
        else:
            event = publishing.publish_test(endpoint, by=request.user)
            self.remember(request, endpoint, gettext("Sent a test event."), "")
            made = event.deliveries.using(event._state.db)
            self._say_tested(request, made.select_related("endpoint").get())
        return HttpResponseRedirect(self.page_of(endpoint))

    def _probe(self, request: HttpRequest, endpoint: Endpoint) -> None:
        probed = probe(endpoint, by=request.user, switches=self.has_pause_permission(request))
        self.remember(request, endpoint, gettext("Sent a test event."), "")
        if probed.switched and probed.switched.changed:
            self.remember(request, endpoint, str(SWITCHES["on"].history), gettext("It arrived."))
        told = " ".join(what_came_of(probed, endpoint))
        level = messages.SUCCESS if probed.arrived else messages.WARNING
        link = self.link_to(request, probed.delivery)
        words = gettext("See the test")
        shown = format_html('{} <a href="{}">{}</a>', told, link, words) if link else told
        self.message_user(request, shown, level)

    @admin.action(permissions=["pause"], description=_("Pause: hold what is to be sent"))
    def pause(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        self._switch_many(request, queryset, SWITCHES["pause"])

    @admin.action(permissions=["pause"], description=_("Resume: send what was held"))
    def switch_on(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        self._switch_many(request, queryset, SWITCHES["on"])

    @admin.action(permissions=["pause"], description=_("Switch off: owe it nothing new"))
    def switch_off(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        self._switch_many(request, queryset, SWITCHES["off"])

    def _ask_to_switch(
        self, request: HttpRequest, object_id: str, name: str, form: forms.Form | None = None
    ) -> HttpResponse:
        endpoint = self.endpoint(request, object_id, "pause_endpoint")
        resumes = name == "on" and endpoint.state == Endpoint.State.PAUSED
        button = _("Resume") if resumes else SWITCHES[name].title
        title = gettext("%(button)s: %(endpoint)s") % {"button": button, "endpoint": endpoint}
        said = consequences(endpoint, name)
        form = form or SWITCHES[name].form(initial=_as_it_is(endpoint))
        words: dict[str, Any] = {"title": title, "said": said, "button": button}
        return self.ask(request, endpoint, form, act=f"{name}/now", **words)

    def _switch_now(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        endpoint, switch = self.endpoint(request, object_id, "pause_endpoint"), SWITCHES[name]
        form = switch.form(request.POST, initial=_as_it_is(endpoint))
        if not form.is_valid():
            return self._ask_to_switch(request, object_id, name, form)
        done = self._switch(request, endpoint, switch, **form.cleaned_data)
        said = switch.done if done.changed else switch.already
        told = [str(said) % {"endpoint": endpoint}]
        told += [switch.moved(len(done.moved))] if done.changed or done.moved else []
        self._say(request, told, changed=done.changed)
        return HttpResponseRedirect(self.page_of(endpoint))

    def _switch_many(
        self, request: HttpRequest, chosen: QuerySet[Endpoint], switch: Switch
    ) -> None:
        """Switch one by one, in no transaction: publishing would wait for what is moved."""
        reason = reason_given(request)
        done = [self._switch(request, endpoint, switch, reason=reason) for endpoint in chosen]
        changed = any(each.changed for each in done)
        self._say(request, said_of_many(switch, done), changed=changed)

    def _switch(
        self, request: HttpRequest, endpoint: Endpoint, switch: Switch, **given: Any
    ) -> Switched:
        using = router.db_for_write(Endpoint)
        done = switch.verb(endpoint.pk, using=using, by=request.user, **given)
        if done.changed:
            self.remember(request, endpoint, history_of(switch, **given), given["reason"])
        return done

    def _say(self, request: HttpRequest, told: list[str], *, changed: bool) -> None:
        level = messages.SUCCESS if changed else messages.WARNING
        self.message_user(request, " ".join(told), level)

    def _say_tested(self, request: HttpRequest, delivery: Delivery) -> None:
        link = self.link_to(request, delivery)
        said = gettext("A test event is queued for %(endpoint)s.")
        said %= {"endpoint": delivery.endpoint}
        words = gettext("See how it fares")
        shown = format_html('{} <a href="{}">{}</a>', said, link, words) if link else said
        self.message_user(request, shown, messages.SUCCESS)


def _as_it_is(endpoint: Endpoint) -> dict[str, Any]:
    """Of one that is paused, until when."""
    return {"until": endpoint.resume_at} if endpoint.state == Endpoint.State.PAUSED else {}
