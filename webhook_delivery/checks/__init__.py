"""Refuses, at start-up, a configuration that cannot deliver; each message says what to change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, register

from webhook_delivery.checks.engine import of_databases, of_engine
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
