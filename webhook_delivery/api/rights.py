"""Which of our permissions each act of the API takes; what is not in the table is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

Right = str | frozenset[str]
"""The code name of a permission; of several, any."""

REDELIVERING = frozenset({"redeliver_delivery", "bulk_redeliver_delivery", "redeliver_unfiltered"})
"""One of these; which one, what is chosen decides."""

RIGHTS: Mapping[str, tuple[Right, ...]] = {
    "attempts.list": ("view_delivery",),
    "config.retrieve": ("view_endpoint",),
    "deliveries.list": ("view_delivery",),
    "deliveries.retrieve": ("view_delivery",),
    "deliveries.redeliver": ("view_delivery", "redeliver_delivery"),
    "deliveries.retry_now": ("view_delivery", "redeliver_delivery"),
    "deliveries.discard": ("view_delivery", "discard_delivery"),
    "deliveries.restore": ("view_delivery", "discard_delivery"),
    "endpoints.list": ("view_endpoint",),
    "endpoints.retrieve": ("view_endpoint",),
    "endpoints.create": ("view_endpoint", "add_endpoint", "add_subscription"),
    "endpoints.partial_update": ("view_endpoint", "change_endpoint"),
    "endpoints.rotate_secret": ("view_endpoint", "rotate_secret"),
    "endpoints.pause": ("view_endpoint", "pause_endpoint"),
    "endpoints.resume": ("view_endpoint", "pause_endpoint"),
    "endpoints.switch_off": ("view_endpoint", "pause_endpoint"),
    "endpoints.test": ("view_endpoint", "test_endpoint"),
    "endpoints.probe": ("view_endpoint", "test_endpoint"),
    "endpoints.recover": ("view_endpoint", "view_delivery", "bulk_redeliver_delivery"),
    "endpoints.recover_missed": ("view_endpoint", "bulk_redeliver_delivery"),
    "events.list": ("view_event",),
    "events.retrieve": ("view_event",),
    "events.erase": ("view_event", "erase_event"),
    "events.forward": ("view_event", "redeliver_delivery"),
    "groups.list": ("view_delivery",),
    "groups.acknowledge": ("view_delivery", "redeliver_delivery"),
    "groups.reopen": ("view_delivery", "redeliver_delivery"),
    "health.retrieve": ("view_delivery",),
    "redeliveries.list": ("view_redeliverybatch",),
    "redeliveries.retrieve": ("view_redeliverybatch",),
    "redeliveries.create": ("view_delivery", REDELIVERING),
    "redeliveries.preview": ("view_delivery", REDELIVERING),
    "redeliveries.pause": ("view_redeliverybatch", "bulk_redeliver_delivery"),
    "redeliveries.resume": ("view_redeliverybatch", "bulk_redeliver_delivery"),
    "redeliveries.cancel": ("view_redeliverybatch", "bulk_redeliver_delivery"),
    "redeliveries.rate": ("view_redeliverybatch", "bulk_redeliver_delivery"),
    "retries.list": ("view_delivery",),
    "retries.drain": ("view_delivery", "redeliver_delivery"),
    "schema.retrieve": (),
}
"""By resource and act: all of these. Nothing: whoever has signed in."""


def missing(user: object, act: str) -> Iterator[str]:
    """
    Yield what a user would need for an act, and has not; the console asks for the same.

    Raises KeyError for an act that is not in the table.
    """
    for right in RIGHTS[act]:
        choice = right if isinstance(right, frozenset) else frozenset({right})
        if not any(has(user, codename) for codename in choice):
            yield " or ".join(sorted(choice))


def has(user: object, codename: str) -> bool:
    asks = getattr(user, "has_perm", None)
    return bool(asks and asks(f"webhook_delivery.{codename}"))
