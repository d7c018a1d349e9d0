"""Whatever is done to rows, in whatever transactions: events are the committed relevant changes."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import partial
from json import dumps as dumps_json
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import make_endpoint
from tests.library.models import Ticket
from tests.telling import registered, told

dumps = partial(dumps_json, sort_keys=True)

COLUMNS = ["title", "status", "votes"]
PAID, REOPENED, POPULAR = "ticket.paid", "ticket.reopened", "ticket.popular"
MOVES = {
    PAID: {"status": "paid"},
    REOPENED: {"status": ("paid", "new")},
    POPULAR: {"votes": lambda before, after: before < 2 <= after},
}

values = st.fixed_dictionaries(
    {
        "title": st.sampled_from("ab"),
        "status": st.sampled_from(["new", "paid"]),
        "votes": st.integers(0, 3),
    }
)
names = st.lists(st.sampled_from(COLUMNS), min_size=1, unique=True)
row = st.integers(0, 9)
definitions = st.fixed_dictionaries(
    {
        "created": st.sampled_from([None, "ticket.created"]),
        "updated": st.sampled_from([None, "ticket.updated"]),
        "deleted": st.just("ticket.deleted"),
        "watch": st.lists(st.sampled_from(COLUMNS), unique=True),
        "transitions": st.sets(st.sampled_from(sorted(MOVES))).map(
            lambda chosen: {name: MOVES[name] for name in sorted(chosen)}
        ),
        "fields": st.just(COLUMNS),
    }
)
steps = st.one_of(
    st.tuples(st.just("create"), values),
    st.tuples(st.just("save"), row, values),
    st.tuples(st.just("save_blindly"), row, values),
    st.tuples(st.just("save_some"), row, values, names),
    st.tuples(st.just("save_deferred"), row, values, names),
    st.tuples(st.just("delete"), row),
    st.tuples(st.just("bulk_create"), st.lists(values, max_size=3)),
    st.tuples(st.just("bulk_update"), st.sets(row, max_size=3), values, names),
    st.tuples(st.just("update"), st.sampled_from("ab"), values, names),
    st.tuples(st.just("delete_many"), st.sampled_from("ab")),
)
plans = st.recursive(
    steps,
    lambda inner: st.tuples(st.sampled_from(["commit", "roll_back"]), st.lists(inner, max_size=4)),
    max_leaves=12,
)


class Undone(Exception):
    """What a plan raises to roll back."""


@dataclass
class Model:
    """What there should be: the rows, and the events told of them."""

    definition: dict[str, Any]
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def pick(self, number: int) -> int | None:
        keys = sorted(self.rows)
        return keys[number % len(keys)] if keys else None

    def create(self, key: int, given: dict[str, Any]) -> None:
        self.rows[key] = dict(given)
        self._tell(self.definition["created"], given)
        if PAID in self.definition["transitions"] and given["status"] == "paid":
            self._tell(PAID, given)

    def change(self, key: int, given: dict[str, Any]) -> None:
        before = self.rows[key]
        after = self.rows[key] = before | given
        watch = self.definition["watch"]
        if not watch or any(before[name] != after[name] for name in watch):
            self._tell(self.definition["updated"], after)
        moved = {
            PAID: before["status"] != "paid" and after["status"] == "paid",
            REOPENED: (before["status"], after["status"]) == ("paid", "new"),
            POPULAR: before["votes"] < 2 <= after["votes"],
        }
        for name in self.definition["transitions"]:
            if moved[name]:
                self._tell(name, after)

    def delete(self, key: int) -> None:
        self._tell("ticket.deleted", self.rows.pop(key))

    def _tell(self, event_type: str | None, data: dict[str, Any]) -> None:
        if event_type:
            self.events.append((event_type, dict(data)))


def carry_out(plan: tuple, model: Model) -> None:
    kind, *rest = plan
    if kind in ("commit", "roll_back"):
        carry_out_together(rest[0], model, undo=kind == "roll_back")
    elif kind in ("create", "bulk_create", "delete_many", "update", "bulk_update"):
        MANY[kind](model, *rest)
    elif (key := model.pick(rest[0])) is not None:
        ONE[kind](model, key, *rest[1:])


def carry_out_together(plans: list[tuple], model: Model, *, undo: bool) -> None:
    before = copy.deepcopy((model.rows, model.events))
    try:
        with transaction.atomic():
            for plan in plans:
                carry_out(plan, model)
            if undo:
                raise Undone
    except Undone:
        model.rows, model.events = before


def create(model: Model, given: dict) -> None:
    model.create(Ticket.objects.create(**given).pk, given)


def save(model: Model, key: int, given: dict) -> None:
    ticket = Ticket.objects.get(pk=key)
    vars(ticket).update(given)
    ticket.save()
    model.change(key, given)


def save_blindly(model: Model, key: int, given: dict) -> None:
    Ticket(pk=key, **given).save()
    model.change(key, given)


def save_some(model: Model, key: int, given: dict, chosen: list[str]) -> None:
    ticket = Ticket.objects.get(pk=key)
    vars(ticket).update(given)
    ticket.save(update_fields=chosen)
    model.change(key, {name: given[name] for name in chosen})


def save_deferred(model: Model, key: int, given: dict, chosen: list[str]) -> None:
    ticket = Ticket.objects.only(*chosen).get(pk=key)
    for name in chosen:
        setattr(ticket, name, given[name])
    ticket.save()
    model.change(key, {name: given[name] for name in chosen})


def delete(model: Model, key: int) -> None:
    Ticket.objects.get(pk=key).delete()
    model.delete(key)


def bulk_create(model: Model, many: list[dict]) -> None:
    created = Ticket.objects.bulk_create([Ticket(**given) for given in many])
    for ticket, one in zip(created, many, strict=True):
        model.create(ticket.pk, one)


def bulk_update(model: Model, numbers: set[int], given: dict, chosen: list[str]) -> None:
    keys = sorted({key for number in numbers if (key := model.pick(number)) is not None})
    Ticket.objects.bulk_update([Ticket(pk=key, **given) for key in keys], chosen)
    for key in keys:
        model.change(key, {name: given[name] for name in chosen})


def update(model: Model, title: str, given: dict, chosen: list[str]) -> None:
    Ticket.objects.filter(title=title).update(**{name: given[name] for name in chosen})
    for key in sorted(key for key, one in model.rows.items() if one["title"] == title):
        model.change(key, {name: given[name] for name in chosen})


def delete_many(model: Model, title: str) -> None:
    Ticket.objects.filter(title=title).delete()
    for key in sorted(key for key, one in model.rows.items() if one["title"] == title):
        model.delete(key)


ONE = {
    "save": save,
    "save_blindly": save_blindly,
    "save_some": save_some,
    "save_deferred": save_deferred,
    "delete": delete,
}
MANY = {
    "create": create,
    "bulk_create": bulk_create,
    "bulk_update": bulk_update,
    "update": update,
    "delete_many": delete_many,
}


@pytest.mark.django_db
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(definitions, st.lists(plans, max_size=8))
def test_events_are_the_committed_relevant_changes(db, definition, plan):
    model = Model(definition)
    with transaction.atomic(), registered(Ticket, **definition):
        make_endpoint()
        carry_out_together(plan, model, undo=False)
        found = told()
        transaction.set_rollback(True)

    assert sorted(found, key=dumps) == sorted(model.events, key=dumps)
