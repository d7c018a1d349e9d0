"""Holds the model whose saves are told."""

from __future__ import annotations

from django.db import models


class Order(models.Model):
    committed = models.FloatField()
    padding = models.TextField()

    def __str__(self) -> str:
        return f"order {self.pk}"
