"""Asks before a redelivery of many, and begins it: two addresses, and only the second acts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from django.contrib import messages
from django.contrib.admin.models import ADDITION
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, router, transaction
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from webhook_delivery import batches, pulse
from webhook_delivery.admin import acts, times, words
from webhook_delivery.admin.base import ReadOnlyAdmin
from webhook_delivery.admin.redeliveries.asking import RATE, RedeliverForm, Token
from webhook_delivery.admin.redeliveries.choosing import Choice, choice_of
from webhook_delivery.batches import Preview
from webhook_delivery.conf import settings
from webhook_delivery.counting import Number
from webhook_delivery.models import BatchQuerySet, DeadLetter, Delivery, Endpoint, RedeliveryBatch
from webhook_delivery.patience import TooSlow, patience
from webhook_delivery.selecting import selected
from webhook_delivery.tenancy import may, tenants_of

SHOWN = 10
"""So many endpoints, and other redeliveries, are shown."""


NONE = Preview(Number(0), Number(0), Number(0))


@dataclass(frozen=True)
class Question:
    """What is chosen, how many that are, and the token that answers it once."""

    choice: Choice
    token: Token
    preview: Preview = NONE
    endpoints: Sequence[Endpoint] = ()


class Confirming(ReadOnlyAdmin):
    """The pages that ask; what they ask for is shown by who mixes this in."""

    def own_urls(self) -> list[URLPattern]:
        return [
            path(
                f"{name}/",
                self.admin_site.admin_view(view),
                name=f"webhook_delivery_redeliverybatch_{name}",
            )
            for name, view in {"confirm": self.confirm_view, "start": self.start_view}.items()
        ]

    @method_decorator(require_safe)
    def confirm_view(self, request: HttpRequest) -> HttpResponse:
        """Say what would be sent; nothing is changed."""
        question = self._question(request, Token())
        return self._ask(request, question, self._form(question))

    @method_decorator(require_POST)
    def start_view(self, request: HttpRequest) -> HttpResponse:
        """Begin what the page asked for, if that still stands."""
        token = Token.read(request.POST.get("token", ""))
        question = self._question(request, token or Token())
        if token is None:
            old = _("This page was too old, so nothing was sent. See whether it still stands.")
            messages.warning(request, old)
            return self._ask(request, question, self._form(question))
        using = router.db_for_write(RedeliveryBatch)
        if begun := RedeliveryBatch.objects.using(using).filter(token=token.number).first():
            return self._already(request, begun)
        form = self._form(question, request.POST)
        if not question.preview.sent.of or not form.is_valid():
            return self._ask(request, question, form)
        return self._start(request, question, form.wishes())

    def _question(self, request: HttpRequest, token: Token) -> Question:
        """What the parameters of the address choose. Raises PermissionDenied."""
        if not may(request, "view_delivery"):
            raise PermissionDenied
        using = router.db_for_write(RedeliveryBatch)
        choice = choice_of(request.GET, at=token.at, tenants=tenants_of(request), using=using)
        self.require(request, choice.right)
        if not choice:
            return Question(choice, token)
        try:
            with patience(using=using):
                preview = batches.preview(choice.selection, using=using)
                endpoints = _receivers(choice, using) if preview.chosen.of else []
        except TooSlow:
            slow = _("To count them took too long. Narrow the filter.")
            return Question(replace(choice, wrong=slow), token)
        return Question(
            choice, replace(token, shown=token.shown or preview.sent.of), preview, endpoints
        )

    def _form(self, question: Question, data: Any = None) -> RedeliverForm:
        token = question.token
        return RedeliverForm(
            data, number=question.preview.sent, shown=token.shown, initial={"token": str(token)}
        )

    def _start(self, request: HttpRequest, question: Question, wishes: Any) -> HttpResponse:
        """Twice at the same time is once: the token is unique."""
        using, token = router.db_for_write(RedeliveryBatch), question.token.number
        selection = question.choice.selection
        try:
            with transaction.atomic(using=using):
                batch = batches.start(
                    selection, by=request.user, token=token, using=using, **wishes
                )
                said = _started(batch, question.preview)
                acts.note(request, batch, said, wishes["reason"], flag=ADDITION)
        except IntegrityError:
            return self._already(request, RedeliveryBatch.objects.using(using).get(token=token))
        messages.success(request, said)
        if silence := _silence(using):
            messages.warning(request, silence)
        return self._to(request, batch)

    def _already(self, request: HttpRequest, batch: RedeliveryBatch) -> HttpResponse:
        text = _("Already queued by %(who)s %(when)s (redelivery #%(number)s).")
        when = times.relative(batch.created_at)
        messages.warning(request, text % {"who": batch.by_name, "when": when, "number": batch.pk})
        return self._to(request, batch)

    def _to(self, request: HttpRequest, batch: RedeliveryBatch) -> HttpResponse:
        """Its own page, if the user may see it."""
        return HttpResponseRedirect(self.link_to(request, batch) or self.list_of(Delivery))

    def _ask(self, request: HttpRequest, question: Question, form: RedeliverForm) -> HttpResponse:
        choice, preview = question.choice, question.preview
        numbers = words.endpoints_of(choice.selection)
        named = Endpoint.objects.filter(pk__in=numbers[:SHOWN]).values_list("pk", "name")
        title = _("Nothing to redeliver") if not preview.sent.of else _title(preview.sent)
        return self.page(
            request,
            "redelivery/confirm.html",
            title=title,
            wrong=choice.wrong,
            what=words.chosen(choice.selection, dict(named)) if choice else "",
            sent=words.counted(preview.sent),
            lasts=words.span(preview.sent.of / RATE),
            rate=words.number(RATE),
            left=preview.left.of and words.counted(preview.left),
            bodies_days=settings.RETAIN_BODIES_DAYS,
            any_sent=preview.sent.of,
            any_chosen=preview.chosen.of,
            at=question.token.at,
            endpoints=[(each, self.link_to(request, each)) for each in question.endpoints[:SHOWN]],
            more_endpoints=len(question.endpoints) > SHOWN,
            others=self._others(request, choice) if preview.sent.of else [],
            form=form,
            start_url=f"{self._address('start')}?{request.GET.urlencode()}",
            back=self.list_of(DeadLetter),
        )

    def _address(self, name: str) -> str:
        return reverse(
            f"admin:webhook_delivery_redeliverybatch_{name}", current_app=self.admin_site.name
        )

    def _others(self, request: HttpRequest, choice: Choice) -> list[Any]:
        """Redeliveries that have not ended, and may be about the same endpoints."""
        mine = set(words.endpoints_of(choice.selection))
        rows = cast(BatchQuerySet, self.get_queryset(request)).unfinished()
        latest = rows.order_by("-pk")[: 10 * SHOWN]
        same = [each for each in latest if _overlap(mine, each)][:SHOWN]
        return [(each, self.link_to(request, each), each.whole) for each in same]


def _overlap(mine: set[int], batch: RedeliveryBatch) -> bool:
    """Whether both may be about one endpoint: who names none is about all."""
    theirs = set(words.endpoints_of(batch.selection))
    return not mine or not theirs or bool(mine & theirs)


def _receivers(choice: Choice, using: str) -> list[Endpoint]:
    """The first endpoints that it is about, and one more if there are."""
    owed = selected(choice.selection, using=using).filter(endpoint=OuterRef("pk"))
    first = Endpoint.objects.using(using).filter(Exists(owed)).order_by("pk")
    return list(first[: SHOWN + 1])


def _silence(using: str) -> str:
    """That no worker runs; empty if one does."""
    felt = pulse.feel(using=using)
    if not felt.silent:
        return ""
    if felt.drained is None:
        return _("Queued, but no worker has ever reported, so nothing is being sent.")
    text = _("Queued, but no worker has reported for %(span)s, so nothing is being sent.")
    return text % {"span": words.span(felt.drained)}


def _title(number: Number) -> str:
    text = ngettext("Redeliver %(count)s delivery", "Redeliver %(count)s deliveries", number.of)
    return text % {"count": words.counted(number)}


def _started(batch: RedeliveryBatch, preview: Preview) -> str:
    if batch.rate_per_second is None:
        text = ngettext(
            "Redelivery #%(number)s started: %(count)s delivery.",
            "Redelivery #%(number)s started: %(count)s deliveries.",
            preview.sent.of,
        )
    else:
        text = ngettext(
            "Redelivery #%(number)s started: %(count)s delivery at up to %(rate)s per second.",
            "Redelivery #%(number)s started: %(count)s deliveries at up to %(rate)s per second.",
            preview.sent.of,
        )
    rate = words.number(batch.rate_per_second or 0)
    return text % {"number": batch.pk, "count": words.counted(preview.sent), "rate": rate}
