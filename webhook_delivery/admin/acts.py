"""What the console's buttons do: one act, one line of history, one message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME, ActionForm
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import router, transaction
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from webhook_delivery import redelivery
from webhook_delivery.models import Delivery, DeliveryQuerySet
from webhook_delivery.redelivery import Done


@dataclass(frozen=True)
class Act:
    """A verb for deliveries, and the words that tell what it did."""

    verb: Callable[..., Done]
    message: Callable[[Done], str]


REDELIVER = Act(redelivery.redeliver, redelivery.message_of_redelivery)
DISCARD = Act(redelivery.discard, redelivery.message_of_discarding)
RETRY_NOW = Act(redelivery.retry_now, redelivery.message_of_retrying)
RESTORE = Act(redelivery.restore, redelivery.message_of_restoring)


class ReasonForm(forms.Form):
    """Why; kept with who and when."""

    reason = forms.CharField(label=_("Reason"), required=False, max_length=200)


class ReasonRequired(forms.Form):
    """The same for what is not done without one."""

    reason = forms.CharField(label=_("Reason"), max_length=200)


class ReasonedActionForm(ActionForm):
    """The list's actions, with a reason."""

    reason = forms.CharField(label=_("Reason:"), required=False, max_length=200)


def perform(act: Act, request: HttpRequest, deliveries: DeliveryQuerySet) -> None:
    """Do it, once, with what the user asked for; keep it in the history; say what happened."""
    form = ReasonForm(request.POST)
    if not form.is_valid():
        messages.error(request, form.errors["reason"].as_text())
        return
    done = _done(act, request, deliveries, form.cleaned_data["reason"])
    level = messages.SUCCESS if done.count else messages.WARNING
    messages.add_message(request, level, act.message(done))


def reason_given(request: HttpRequest) -> str:
    """The reason that a list's action came with; Django has validated it."""
    return request.POST.get("reason", "").strip()


def note(
    request: HttpRequest, row: Model, message: str, reason: str = "", *, flag: int = CHANGE
) -> None:
    """Write one line of admin history about a row."""
    said = _with_reason(message, reason)
    _enter(request, type(row), said, about=str(row)[:200], pk=str(row.pk), flag=flag)


def _done(act: Act, request: HttpRequest, deliveries: DeliveryQuerySet, reason: str) -> Done:
    using = router.db_for_write(Delivery)
    with transaction.atomic(using=using):
        done = act.verb(deliveries.using(using), by=request.user, reason=reason)
        if done.count:
            _remember(request, done, act.message(done), reason)
    # The list's filter has already left out what changed since the page was made.
    ticked = len(request.POST.getlist(ACTION_CHECKBOX_NAME))
    return replace(done, asked=max(done.asked, ticked))


def _remember(request: HttpRequest, done: Done, message: str, reason: str) -> None:
    """Write one line of admin history, on the delivery if it was just one."""
    one = done.ids[0] if done.count == 1 else None
    if one:
        note(request, Delivery(pk=one), message, reason)
        return
    many = ngettext("%(count)s delivery", "%(count)s deliveries", done.count)
    about = many % {"count": done.count}
    _enter(request, Delivery, _with_reason(message, reason), about=about)


def _enter(
    request: HttpRequest,
    model: type[Model],
    message: str,
    *,
    about: str,
    pk: str | None = None,
    flag: int = CHANGE,
) -> None:
    LogEntry.objects.create(
        user_id=cast(int, request.user.pk),
        content_type=ContentType.objects.get_for_model(model),
        object_id=pk,
        object_repr=about,
        action_flag=flag,
        change_message=message,
    )


def _with_reason(message: str, reason: str) -> str:
    if not reason:
        return message
    return gettext("%(message)s Reason: %(reason)s") % {"message": message, "reason": reason}
