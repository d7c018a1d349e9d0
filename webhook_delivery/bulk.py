"""Tells of what Django sends no signals about: `bulk_create`, `bulk_update`, `update`, `delete`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Self, TypeVar

from django.db import NotSupportedError, connections, transaction
from django.db.models import Model, QuerySet

from webhook_delivery import hearing
from webhook_delivery.binding import columns_of, locked, values_of
from webhook_delivery.occasions import Occasion, Verb
from webhook_delivery.shaping import is_stored
from webhook_delivery.tellers import ModelWebhooks, tellers_of
from webhook_delivery.telling import tell, told_together
from webhook_delivery.transitions import Values

M = TypeVar("M", bound=Model)
T = TypeVar("T")
ROWS = 1000
"""How many rows are looked at, changed and told of at a time: so many are in memory."""


class WebhookQuerySet(QuerySet[M, M]):
    """
    A queryset whose bulk operations tell what the model's `@register` says, in one transaction.

    `objects = WebhookQuerySet.as_manager()`; or the base of a queryset of your own. The number of
    statements is constant for each 1 000 rows. `silently()` is as Django is.
    """

    _silent = False

    def silently(self) -> Self:
        """The same rows, but of what is done to them in bulk nobody hears."""
        quiet = self._chain()  # type: ignore[attr-defined]
        quiet._silent = True
        return quiet  # type: ignore[no-any-return]

    def _clone(self) -> Self:
        clone = super()._clone()  # type: ignore[misc]
        clone._silent = self._silent
        return clone  # type: ignore[no-any-return]

    def bulk_create(
        self,
        objs: Iterable[M],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        *args: Any,
        **kwargs: Any,
    ) -> list[M]:
        """
        Create as Django does, and tell of each row.

        Raises NotSupportedError where the database does not say which rows are new: with
        `ignore_conflicts` or `update_conflicts`, and for keys that MySQL makes up.
        """

        def create() -> list[M]:
            return QuerySet.bulk_create(
                self, objs, batch_size, ignore_conflicts, update_conflicts, *args, **kwargs
            )

        objs = list(objs)
        self._for_write = True
        if not self._is_heard():
            return create()
        if ignore_conflicts or update_conflicts:
            raise NotSupportedError(
                "Which rows are new cannot be told when conflicts are ignored or updated: say "
                "silently().bulk_create(…), and publish() what happened."
            )
        self._require_keys(objs)
        with transaction.atomic(using=self.db):
            created = create()
            for rows in _pieces(created):
                self._tell(self._as_stored(rows), Verb.CREATED)
        return created

    def bulk_update(
        self, objs: Iterable[M], fields: Iterable[str], batch_size: int | None = None
    ) -> int:
        """Update as Django does, and tell of each row."""
        objs, quiet = list(objs), self.silently()
        self._for_write = True
        if not self._is_heard():
            return QuerySet.bulk_update(quiet, objs, fields, batch_size)
        with transaction.atomic(using=self.db):
            before = {
                key: values
                for some in _pieces([one.pk for one in objs])
                for key, values in self._before(self._rows(some)).items()
            }
            changed = QuerySet.bulk_update(quiet, objs, fields, batch_size)
            self._tell_updated(before)
        return changed

    def update(self, **kwargs: Any) -> int:
        """Update as Django does, and tell of each row that was chosen."""
        self._for_write = True
        if not self._is_heard() or self.query.is_sliced:
            return super().update(**kwargs)
        chosen = self.model._base_manager.using(self.db).filter(pk__in=self.order_by().values("pk"))
        with transaction.atomic(using=self.db):
            before, changed = self._before(chosen), 0
            for some in _pieces(list(before)):
                changed += QuerySet.update(self.silently().filter(pk__in=some), **kwargs)
                self._tell_updated({key: before[key] for key in some})
        return changed

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete as Django does, and tell of all the rows, cascades too, together."""
        self._for_write = True
        if self._silent:
            return super().delete()
        with told_together(self.db):
            return super().delete()

    update.alters_data = True  # type: ignore[attr-defined]
    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def _is_heard(self) -> bool:
        tellers = () if self._silent else tellers_of(self.model)
        types = {one for teller in tellers for one in teller.types}
        return bool(types) and hearing.anybody(types, using=self.db)

    def _require_keys(self, objs: Sequence[M]) -> None:
        returned = connections[self.db].features.can_return_rows_from_bulk_insert
        if not returned and any(one.pk is None for one in objs):
            raise NotSupportedError(
                "This database does not say which keys it gave to the rows: say "
                "silently().bulk_create(…), and publish() what happened."
            )

    def _rows(self, keys: Collection[Any]) -> QuerySet[M]:
        return self.model._base_manager.using(self.db).filter(pk__in=keys)

    def _as_stored(self, rows: list[M]) -> list[M]:
        """Read rows again that the database has added to, by one query for all."""
        held = all(is_stored(one) for one in rows)
        return rows if held else list(self._rows([one.pk for one in rows]).order_by("pk"))

    def _before(self, rows: QuerySet[M]) -> dict[Any, dict[ModelWebhooks, Values]]:
        """What the rows hold that is compared, by their keys; nobody changes them meanwhile."""
        tellers = list(tellers_of(self.model))
        found = locked(rows.order_by("pk")).values("pk", *columns_of(tellers))
        return {row["pk"]: {one: values_of(one, row) for one in tellers} for row in found}

    def _tell_updated(self, before: dict[Any, dict[ModelWebhooks, Values]]) -> None:
        for some in _pieces(list(before)):
            self._tell(self._rows(some).order_by("pk"), Verb.UPDATED, before)

    def _tell(
        self,
        rows: Iterable[M],
        verb: Verb,
        before: dict[Any, dict[ModelWebhooks, Values]] | None = None,
    ) -> None:
        seen = before or {}
        tell(
            [
                Occasion(teller, row, verb, self.db, seen.get(row.pk, {}).get(teller), fresh=True)
                for row in rows
                for teller in tellers_of(self.model)
            ],
            using=self.db,
        )


def _pieces(rows: Sequence[T]) -> Iterator[list[T]]:
    for start in range(0, len(rows), ROWS):
        yield list(rows[start : start + ROWS])
