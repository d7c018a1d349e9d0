"""Says what of an order is told."""

from __future__ import annotations

from rest_framework import serializers

from shop.models import Order


class OrderSerializer(serializers.ModelSerializer):
    class Meta:
        model = Order
        fields = ["id", "committed", "padding"]
