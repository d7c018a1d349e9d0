"""Recovers what an endpoint did not get: what failed is sent again, what was never made is made."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import IntegrityError, router, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import NoReverseMatch, URLPattern, reverse
from django.utils import formats, timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from webhook_delivery import batches, missing
from webhook_delivery.admin import times, words
from webhook_delivery.admin.endpoints.subject import EndpointPages, asks, does
from webhook_delivery.admin.filters import SPANS
from webhook_delivery.admin.redeliveries.asking import FEW, Token
from webhook_delivery.conf import settings
from webhook_delivery.counting import Number
from webhook_delivery.models import Endpoint, RedeliveryBatch
from webhook_delivery.patience import TooSlow, patience
from webhook_delivery.tenancy import tenants_of
from webhook_delivery.validation import validate_rate

EARLIEST = 2000
"""The first year that can be meant: there were no webhooks before."""
RIGHT = "bulk_redeliver_delivery"


class FailedForm(forms.Form):
    """Since when what failed is to be sent again: the question itself is another page's."""

    died = forms.ChoiceField(
        label=_("Since"), choices=[(name, label) for name, (label, _span) in SPANS.items()]
    )


class MissedForm(forms.Form):
    """Since when deliveries are missing."""

    since = times.DateTimeField(label=_("Since"))

    def clean_since(self) -> datetime:
        since: datetime = self.cleaned_data["since"]
        if since >= timezone.now():
            raise ValidationError(_("That has not come yet."))
        if since.year < EARLIEST:
            raise ValidationError(_("Choose a later moment."))
        return since


class MakeForm(MissedForm):
    """How fast they are to be made, and why; and the token that answers once."""

    rate = forms.FloatField(
        label=_("Deliveries a second"),
        help_text=_("Empty: as fast as the endpoint's own limits allow."),
        required=False,
        initial=10,
        validators=[validate_rate],
    )
    reason = forms.CharField(label=_("Reason"), max_length=200)
    typed = forms.CharField(label=_("Type the number to confirm"), max_length=20)
    token = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, number: Number, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.number = number
        self.fields["since"].widget = forms.HiddenInput()
        if number.of <= max(FEW, settings.CONFIRM_TYPED_ABOVE):
            del self.fields["typed"]
        else:
            said = gettext("Type %(number)s: so many deliveries would be made.")
            self.fields["typed"].help_text = said % {"number": words.number(number.of)}

    def clean_typed(self) -> str:
        typed = "".join(each for each in self.cleaned_data["typed"] if each.isdecimal())
        if not typed or int(typed) != self.number.of:
            said = gettext("That is not the number: it is %(number)s.")
            raise ValidationError(said % {"number": words.number(self.number.of)})
        return typed


class RecoveryAdmin(EndpointPages):
    """What the console does for an endpoint that was away."""

    def own_urls(self) -> list[URLPattern]:
        views = {
            "recover": self.recover_view,
            "recover/missed": self.missed_view,
            "recover/missed/now": self.missed_now,
        }
        return [*self.addresses(views), *super().own_urls()]

    @asks
    def recover_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Offer both ways, each with its own words."""
        endpoint = self.endpoint(request, object_id, RIGHT)
        yesterday = timezone.localtime() - timedelta(days=1)
        return self._offer(request, endpoint, MissedForm(initial={"since": yesterday}))

    @asks
    def missed_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Say how many deliveries were never made since then; nothing is changed."""
        endpoint = self.endpoint(request, object_id, RIGHT)
        asked = MissedForm(request.GET)
        number = self._count(endpoint, asked)
        if number is None or not number.of:
            return self._offer(request, endpoint, asked, number)
        since = asked.cleaned_data["since"]
        given = {"since": since.isoformat(), "token": str(Token()), "rate": 10}
        return self._ask(request, endpoint, since, MakeForm(initial=given, number=number))

    @does
    def missed_now(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Begin to make them, once for each question."""
        endpoint = self.endpoint(request, object_id, RIGHT)
        asked = MissedForm(request.POST)
        number, token = self._count(endpoint, asked), Token.read(request.POST.get("token", ""))
        if number is None or not number.of or token is None:
            return self._offer(request, endpoint, asked, number)
        form = MakeForm(request.POST, number=number)
        if not form.is_valid():
            return self._ask(request, endpoint, asked.cleaned_data["since"], form)
        return self._start(request, endpoint, form.cleaned_data, token)

    def _start(
        self, request: HttpRequest, endpoint: Endpoint, given: dict[str, Any], token: Token
    ) -> HttpResponse:
        using = router.db_for_write(RedeliveryBatch)
        wishes = {"rate": given["rate"], "reason": given["reason"], "by": request.user}
        wishes |= {"token": token.number, "tenants": tenants_of(request)}
        try:
            with transaction.atomic(using=using):
                batch = batches.start_missed(endpoint.pk, given["since"], using=using, **wishes)
                said = _started(batch)
                self.remember(request, endpoint, said, given["reason"])
        except IntegrityError:
            batch = RedeliveryBatch.objects.using(using).get(token=token.number)
            said = gettext("Redelivery #%(number)s does that already.") % {"number": batch.pk}
            self.message_user(request, said, messages.WARNING)
            return self._to(request, endpoint, batch)
        self.message_user(request, said, messages.SUCCESS)
        return self._to(request, endpoint, batch)

    def _to(self, request: HttpRequest, endpoint: Endpoint, batch: RedeliveryBatch) -> HttpResponse:
        return HttpResponseRedirect(self.link_to(request, batch) or self.page_of(endpoint))

    def _count(self, endpoint: Endpoint, asked: MissedForm) -> Number | None:
        """How many are missing; None if that cannot be said, and then the form says why."""
        if not asked.is_valid():
            return None
        using = router.db_for_write(RedeliveryBatch)
        try:
            with patience(using=using):
                since = asked.cleaned_data["since"]
                return missing.count(missing.missed(endpoint, since, using=using))
        except TooSlow:
            asked.add_error("since", _("To count them took too long. Choose a later moment."))
            return None

    def _offer(
        self,
        request: HttpRequest,
        endpoint: Endpoint,
        asked: MissedForm,
        number: Number | None = None,
    ) -> HttpResponse:
        nothing = number is not None and not number.of
        return self.about(
            request,
            endpoint,
            "recover.html",
            title=gettext("Recover %(endpoint)s") % {"endpoint": endpoint},
            failed=FailedForm(initial={"died": "24h"}, auto_id="webhook_%s"),
            confirm_url=confirm_url(self.admin_site.name),
            missed=asked,
            missed_url=self.url_of(endpoint, "recover/missed"),
            nothing=nothing,
        )

    def _ask(
        self, request: HttpRequest, endpoint: Endpoint, since: datetime, form: MakeForm
    ) -> HttpResponse:
        title = gettext("Create deliveries that were never made: %(endpoint)s")
        return self.ask(
            request,
            endpoint,
            form,
            act="recover/missed/now",
            title=title % {"endpoint": endpoint},
            said=_consequences(endpoint, since, form.number),
            button=_button(form.number),
        )


def confirm_url(site: str) -> str:
    """Where what failed can be sent again; nowhere, if the site leaves redeliveries out."""
    try:
        return reverse("admin:webhook_delivery_redeliverybatch_confirm", current_app=site)
    except NoReverseMatch:
        return ""


def _consequences(endpoint: Endpoint, since: datetime, number: Number) -> list[str]:
    """What it would mean, in sentences."""
    moment = formats.date_format(timezone.localtime(since), "Y-m-d H:i:s T")
    said = ngettext(
        "%(number)s event since %(moment)s has no delivery to %(endpoint)s, though it is of a type "
        "that it is subscribed to now.",
        "%(number)s events since %(moment)s have no delivery to %(endpoint)s, though they are of "
        "types that it is subscribed to now.",
        number.of,
    )
    facts = {"number": words.counted(number), "moment": moment, "endpoint": endpoint}
    made = gettext("A delivery of each will be made, the oldest first; what happens later is not.")
    return [said % facts, made, *_because_of(endpoint)]


def _because_of(endpoint: Endpoint) -> list[str]:
    only = gettext("Its conditions decide which: what does not meet them is left out.")
    return [*([only] if endpoint.conditions else []), *_because_of_its_state(endpoint)]


def _because_of_its_state(endpoint: Endpoint) -> list[str]:
    if endpoint.state == Endpoint.State.PAUSED:
        return [gettext("It is paused: they will be held until it is resumed.")]
    if endpoint.state == Endpoint.State.OFF:
        return [gettext("It is off: nothing is made before it is switched on or paused.")]
    return []


def _button(number: Number) -> str:
    said = ngettext("Create %(count)s delivery", "Create %(count)s deliveries", number.of)
    return said % {"count": words.counted(number)}


def _started(batch: RedeliveryBatch) -> str:
    said = ngettext(
        "Redelivery #%(number)s started: it creates %(count)s delivery that was never made.",
        "Redelivery #%(number)s started: it creates %(count)s deliveries that were never made.",
        batch.expected,
    )
    number = Number(batch.expected, batch.expected >= missing.COUNTED)
    return said % {"number": batch.pk, "count": words.counted(number)}
