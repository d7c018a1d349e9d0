"""The keys that seal secrets at rest, and whether they open what is stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cryptography.fernet import Fernet
from django.core.checks import CheckMessage, Error
from django.db import connections, router

from webhook_delivery import keys
from webhook_delivery.conf import settings
from webhook_delivery.models import Secret


def of_keys() -> Iterator[CheckMessage]:
    if not all(map(_is_fernet, settings.SECRET_KEYS)):
        yield Error(
            "One of SECRET_KEYS is not a Fernet key.",
            hint="Make one with cryptography.fernet.Fernet.generate_key().",
            id="webhook_delivery.E005",
        )


def of_stored(databases: Iterable[str]) -> Iterator[CheckMessage]:
    """The newest secret of each database shows whether the keys are those that sealed it."""
    for alias in databases:
        newest = _newest(alias)
        if newest and not keys.opens(newest[1], owner=newest[0]):
            yield Error(
                f"The newest secret stored in database {alias!r} cannot be opened.",
                hint="Put the key that sealed it back into SECRET_KEYS, or a former SECRET_KEY "
                "into SECRET_KEY_FALLBACKS. If SECRET_KEYS was empty until now: run "
                "`manage.py webhooks rotate-keys`.",
                id="webhook_delivery.E011",
            )


def _is_fernet(key: object) -> bool:
    try:
        Fernet(key)  # type: ignore[arg-type] # whatever somebody has put into the settings
    except (ValueError, TypeError):
        return False
    return True


def _newest(alias: str) -> tuple[int, bytes] | None:
    if not router.allow_migrate_model(alias, Secret) or not _is_there(alias):
        return None
    newest = Secret.objects.using(alias).live().values_list("endpoint_id", "sealed").first()
    return newest and (newest[0], bytes(newest[1]))


def _is_there(alias: str) -> bool:
    """Before the first `migrate`, which asks this too, there is no table."""
    return Secret._meta.db_table in connections[alias].introspection.table_names()
