"""Querysets that read as sentences; those of deliveries remember what was said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import wraps
from inspect import signature
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from django.db import models
from django.utils.module_loading import import_string

from webhook_delivery.outcomes import patterns_matching
from webhook_delivery.references import references_of

if TYPE_CHECKING:
    from webhook_delivery.models.batch import RedeliveryBatch
    from webhook_delivery.models.delivery import Delivery  # noqa: F401 - named in a string below
    from webhook_delivery.models.endpoint import Endpoint  # noqa: F401 - and so is this
    from webhook_delivery.redelivery import Done

NOTHING: Mapping[str, Any] = {}
OFF_BY_ITSELF = models.Q(state="off", off_by_itself=True)

Method = TypeVar("Method", bound=Callable[..., Any])


class EndpointQuerySet(models.QuerySet["Endpoint"]):
    def on(self) -> Self:
        """Those that are sent what they are owed."""
        return self.filter(state=self.model.State.ON)

    def paused(self) -> Self:
        """Those for which it is held until they are on again."""
        return self.filter(state=self.model.State.PAUSED)

    def off(self) -> Self:
        """Those to which what happens meanwhile is not delivered."""
        return self.filter(state=self.model.State.OFF)

    def off_by_itself(self) -> Self:
        """Off, though no person wished it: they failed for days, or want nothing more."""
        return self.filter(OFF_BY_ITSELF)

    def failing(self) -> Self:
        """Nothing has arrived since an attempt failed; `lane.failing_since` says since when."""
        return self.filter(lane__failing_since__isnull=False)

    def for_tenant(self, tenant: str) -> Self:
        """Those that hear of this tenant's events; empty: of those for none."""
        return self.filter(tenant=tenant)

    def owned_by(self, owner: models.Model | str) -> Self:
        """Those of a row of any model, or of what is named so: `shop.customer:7`."""
        return self.filter(owner=owner)

    def hearing(self, event_type: str) -> Self:
        """Subscribed to this event type, whatever their tenant, and whether they are on or not."""
        subscriptions = self.model._meta.get_field("subscriptions").related_model
        heard = subscriptions._default_manager.filter(pattern__in=patterns_matching(event_type))
        return self.filter(pk__in=heard.values("endpoint"))


def sentence(
    word: str, kept: Callable[..., Any] = lambda value: value
) -> Callable[[Method], Method]:
    """
    Let a method that narrows be remembered, so that a redelivery of many can say it again.

    word: the name of a filter, as `selecting.selection_of` takes it. kept: its value, of the
        method's arguments; None or empty: such a thing cannot be kept.
    """

    def remembered(method: Method) -> Method:
        @wraps(method)
        def say(self: DeliverySentences, *args: Any, **named: Any) -> Any:
            rows = method(self, *args, **named)
            given = signature(method).bind(self, *args, **named).args[1:] if named else args
            return rows._after(self, word, kept(*given))

        return say  # type: ignore[return-value]

    return remembered


def moment(value: Any) -> datetime | None:
    return value if isinstance(value, datetime) else None


def only(*values: Any) -> Any:
    """The value, if there is one only."""
    return values[0] if len(values) == 1 else None


class DeliverySentences(models.QuerySet["Delivery"]):
    """What may be said of deliveries, and what follows from it."""

    _said: Mapping[str, Any] | None = NOTHING
    _clauses = 0
    """How many conditions the words have made; if there are more, something else was said."""

    @property
    def said(self) -> dict[str, Any] | None:
        """The filters by name, for `selecting.selection_of`; None: they say less than this does."""
        where = self.query.where
        plain = where.connector == models.Q.AND and not where.negated
        whole = not (self.query.is_sliced or self.query.combinator)
        if self._said is None or not plain or not whole or len(where.children) != self._clauses:
            return None
        return dict(self._said)

    @sentence("until", moment)
    def until(self, moment: datetime) -> Self:
        """Created before then."""
        return self.filter(created_at__lt=moment)

    @sentence("tenant")
    def for_tenant(self, tenant: str) -> Self:
        """Of events that were published for this tenant; empty: for none."""
        return self.filter(event__tenant=tenant)

    @sentence("status", lambda status: status or 0)
    def with_status(self, status: int | None) -> Self:
        """Those whose last answer was this; 0 or None: none came."""
        return self.filter(last_status=status or None)

    @sentence("source", lambda *about: only(*references_of(about)))
    def about(self, *about: models.Model | str) -> Self:
        """Of events that are about any of these: rows of your own models, or their references."""
        return self.filter(event__source__in=references_of(about))

    @sentence("batch", lambda batch, which="": (getattr(batch, "pk", batch), which))
    def of_batch(self, batch: RedeliveryBatch | int, which: str = "") -> Self:
        """
        What a redelivery of many sent.

        which: only those of these that are `delivered`, `failed` (again) or `waiting`; or what it
        had to leave (`left`), or has not reached (`ahead`).
        """
        narrow = import_string("webhook_delivery.selecting.of_batch")
        rows: Self = narrow(self, getattr(batch, "pk", batch), which)
        return rows

    @overload
    def redeliver(self, *, by: Any = None, reason: str = "") -> Done: ...

    @overload
    def redeliver(
        self,
        *,
        by: Any = None,
        reason: str = "",
        rate: float,
        canary: int = 0,
        stop_above: int | None = None,
        once: bool = False,
    ) -> RedeliveryBatch: ...

    def redeliver(
        self, *, by: Any = None, reason: str = "", rate: float | None = None, **gradually: Any
    ) -> Done | RedeliveryBatch:
        """
        Send these again with a fresh budget of attempts; only dead and delivered ones are.

        by: the user who asks (or a name); it is kept.
        reason: why, which is kept too.
        rate: how many a second; then it is a redelivery of many, which goes on by itself, and is
            returned. None: all are due at once; returns what was done and left.
        canary: with a rate, so many first, and no more if all of them fail.
        stop_above: with a rate, percent of the last hundred that may fail.
        once: with a rate, one attempt each, without retries.

        Raises `gradual.TooMany` if these are more than can be kept by number, and were narrowed by
        something else than the sentences of this class; TypeError for a canary without a rate;
        ValidationError for no sensible rate.
        """
        # The verbs live above the rows; names instead of imports keep imports pointing down.
        if rate is None and gradually:
            raise TypeError(f"{', '.join(gradually)}: only with a rate.")
        verb = "redelivery.redeliver" if rate is None else "gradual.redeliver"
        more = gradually if rate is None else {"rate": rate, **gradually}
        done: Done | RedeliveryBatch = import_string(f"webhook_delivery.{verb}")(
            self, by=by, reason=reason, **more
        )
        return done

    def _clone(self) -> Self:
        clone: Self = super()._clone()  # type: ignore[misc] # how a queryset keeps what it has
        clone._said, clone._clauses = self._said, self._clauses
        return clone

    def _after(self, before: DeliverySentences, word: str, value: Any) -> Self:
        """These, which one more word has made of those before."""
        rows, said = self.all(), before.said
        fine = said is not None and value not in (None, "") and said.get(word, value) == value
        rows._said = {**said, word: value} if said is not None and fine else None
        rows._clauses = len(rows.query.where.children)
        return rows
