"""Whose rows the console shows: the API asks the same."""

from __future__ import annotations

from webhook_delivery.tenancy import may, tenants_of

__all__ = ["may", "tenants_of"]
