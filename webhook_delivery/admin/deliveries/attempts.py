"""How often a dead letter was tried, and how often people sent it again."""

from __future__ import annotations

from django.contrib.admin.views.main import ChangeList
from django.db.models import Count
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from webhook_delivery.models import Delivery, Transition
from webhook_delivery.policies import policy_of

AGAIN = (Transition.Verb.REDELIVER, Transition.Verb.ONCE)


class RedeliveredList(ChangeList):
    """Reads how often each row of a page was redelivered, all at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        shown = list(self.result_list[: self.list_per_page])
        moves = Transition.objects.filter(delivery__in=[row.pk for row in shown], verb__in=AGAIN)
        counted = moves.order_by().values_list("delivery").annotate(Count("pk"))
        often = dict(counted) if shown else {}
        for row in shown:
            row.redelivered = often.get(row.pk, 0)
        self.result_list = shown


def made(delivery: Delivery) -> str:
    """“8 of 8 · redelivered 2×”."""
    policy = policy_of(delivery.endpoint, delivery.event_type, delivery.trigger)
    tried = delivery.attempts_in_run
    of = {"made": tried, "of": max(policy.max_attempts, tried)}
    if not (often := getattr(delivery, "redelivered", 0)):
        return _("%(made)s of %(of)s") % of
    text = ngettext(
        "%(made)s of %(of)s · redelivered once",
        "%(made)s of %(of)s · redelivered %(often)s×",
        often,
    )
    return text % {**of, "often": often}
