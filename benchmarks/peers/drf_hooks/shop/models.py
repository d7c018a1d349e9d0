"""Holds the model whose saves are told, and a hook that does not wait for ever."""

from __future__ import annotations

from django.db import models
from drf_hooks.client import get_client
from drf_hooks.models import AbstractHook


class Order(models.Model):
    committed = models.FloatField()
    padding = models.TextField()

    def __str__(self) -> str:
        return f"order {self.pk}"


class TimedHook(AbstractHook):
    """The package's hook has no timeout; overriding the delivery is its documented way to one."""

    timeout_seconds = 10.0

    def __str__(self) -> str:
        return f"{self.event} to {self.target}"

    def deliver_hook(self, serialized_hook: str) -> None:
        get_client().post(
            url=self.target,
            data=serialized_hook,
            headers=self.headers,
            timeout=self.timeout_seconds,
        )
