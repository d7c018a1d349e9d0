"""Every address of the console, as its admins declare them, and rows for each to show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Model
from django.urls import URLPattern, reverse

from webhook_delivery.admin.base import ConsoleAdmin
from webhook_delivery.models import Delivery

DJANGOS = ("changelist", "add", "history", "delete", "change")
"""The addresses that every admin has."""


@dataclass(frozen=True)
class Address:
    """One address of one admin."""

    admin: ConsoleAdmin
    pattern: URLPattern

    @property
    def own(self) -> bool:
        """Whether it is ours, and not one of Django's."""
        return self.name.partition("_")[2] not in DJANGOS

    @property
    def name(self) -> str:
        """As it is reversed, without what all begin with: `delivery_redeliver`."""
        return str(self.pattern.name).removeprefix("webhook_delivery_")

    @property
    def of_one(self) -> bool:
        """Whether it is about one row."""
        return bool(self.pattern.pattern.converters)

    def url(self, number: Any = None) -> str:
        """Its URL, for the row of that number if it is about one."""
        kwargs = dict.fromkeys(self.pattern.pattern.converters, number)
        return reverse(f"admin:{self.pattern.name}", kwargs=kwargs)

    def url_of(self) -> str:
        """Its URL for the newest row there is, with what it needs to be asked."""
        number = newest(self.admin.model).pk if self.of_one else None
        return self.url(number) + self.query()

    def query(self) -> str:
        asked = ASKED.get(self.name)
        return f"?{urlencode(asked())}" if asked else ""

    def __str__(self) -> str:
        return self.name


def admins() -> list[ConsoleAdmin]:
    return [each for each in admin.site._registry.values() if isinstance(each, ConsoleAdmin)]


def addresses() -> list[Address]:
    """All that have a name; the one that has none sends old bookmarks on."""
    return [address for each in admins() for address in _addresses_of(each)]


def own_addresses() -> list[Address]:
    return [address for address in addresses() if address.own]


def newest(model: type[Model]) -> Model:
    """A row for the pages about one; of deliveries, one with a story."""
    rows = model._default_manager.order_by("-pk")
    if issubclass(model, Delivery):
        rows = rows.filter(state=Delivery.State.DEAD)
    row = rows.first()
    assert row is not None, f"no {model._meta.verbose_name} to look at"
    return row


def group() -> dict[str, Any]:
    """The group of the dead letter with a story."""
    row = newest(Delivery)
    assert isinstance(row, Delivery)
    return {"endpoint": row.endpoint_id, "reason": row.reason, "status": row.last_status or 0}


def dead() -> dict[str, Any]:
    return {"state": "dead"}


ASKED: dict[str, Callable[[], dict[str, Any]]] = {
    "failuregroup_ask": group,
    "redeliverybatch_confirm": dead,
    "redeliverybatch_start": dead,
    "endpoint_recover_missed": lambda: {"since": "2026-01-01T00:00"},
    "deadletter_discard": lambda: {"ids": newest(Delivery).pk},
}
"""The parameters without which there is nothing to show."""


def _addresses_of(each: ConsoleAdmin) -> Iterator[Address]:
    for pattern in each.get_urls():
        if pattern.name:
            yield Address(each, pattern)
