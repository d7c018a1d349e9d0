"""Where routers send what is saved, and the events that are written beside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from django.core import checks
from django.core.checks import CheckMessage, Error
from django.db import router

from webhook_delivery.models import Event
from webhook_delivery.tellers import registered


def of_routers() -> Iterator[CheckMessage]:
    """A registered model's events are written into its own database, in its own transaction."""
    home = router.db_for_write(Event)
    if not router.allow_migrate_model(home, Event):
        yield _without_tables(home, "What is published")
    for alias, models in _saved_in().items():
        names = ", ".join(models)
        if alias != home and not router.allow_migrate_model(alias, Event):
            yield _without_tables(alias, names)
        elif alias != home:
            yield checks.Warning(
                f"{names}: saved in {alias!r}, and so are its events; but django-q2's tasks "
                f"deliver those in {home!r}.",
                hint="Route webhook_delivery to the database of the models that it tells of, or "
                f"run `manage.py webhooks drain --loop --database {alias}` too.",
                id="webhook_delivery.W014",
            )


def _saved_in() -> dict[str, list[str]]:
    """The names of the registered models, by database."""
    names: dict[str, list[str]] = defaultdict(list)
    for model in registered:
        names[router.db_for_write(model)].append(model._meta.label)
    return names


def _without_tables(alias: str, whose: str) -> CheckMessage:
    return Error(
        f"{whose}: written into {alias!r}, where no router lets webhook_delivery have tables.",
        hint=f"Let allow_migrate({alias!r}, 'webhook_delivery') be true, and run "
        f"`manage.py migrate --database {alias}`.",
        id="webhook_delivery.E013",
    )
