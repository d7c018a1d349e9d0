"""Refuses, at start-up, a configuration that cannot deliver; each message says what to change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Tags, register

from webhook_delivery.checks.deploying import of_deployment
from webhook_delivery.checks.described import of_catalogue, of_validation
from webhook_delivery.checks.engine import of_databases, of_engine
from webhook_delivery.checks.registered import of_payloads, of_registered
from webhook_delivery.checks.routing import of_routers
from webhook_delivery.checks.secrets import of_stored
from webhook_delivery.checks.servers import of_servers
from webhook_delivery.checks.settings import of_settings, usable


@register("webhook_delivery")
def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Names, types and values in `WEBHOOK_DELIVERY`."""
    return list(of_settings())


@register("webhook_delivery")
def check_engine(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """What django-q2 is told, and what that does to a drain."""
    return list(of_engine()) if usable() else []


@register("webhook_delivery")
def check_databases(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Connection settings with which workers fail one another."""
    return list(of_databases())


@register("webhook_delivery", Tags.models)
def check_registered(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Changes of registered models that would not be told, and secrets that would."""
    return list(of_registered())


@register("webhook_delivery", Tags.models)
def check_catalogue(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Event types that were described wrongly, and what is needed to validate them."""
    return [*of_catalogue(), *of_validation()] if usable() else []


@register("webhook_delivery", deploy=True)
def check_payloads(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """What each registered model sends."""
    return list(of_payloads())


@register("webhook_delivery", Tags.security, deploy=True)
def check_deployment(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """What works, is convenient, and should not go live so."""
    return list(of_deployment()) if usable() and not list(of_settings()) else []


@register("webhook_delivery")
def check_routers(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Whether what is saved and its events find themselves in one database, which is drained."""
    return list(of_routers())


@register(Tags.database)  # only: CI names our tag, and has no database to ask
def check_stored_secrets(
    app_configs: Sequence[AppConfig] | None, databases: Iterable[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Whether the keys open what is stored: for `check --database default`, and `migrate`."""
    return list(of_stored(databases or ())) if usable() else []


@register(Tags.database)
def check_servers(
    app_configs: Sequence[AppConfig] | None, databases: Iterable[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Whether the server keeps events in the order of time."""
    return list(of_servers(databases or ()))
