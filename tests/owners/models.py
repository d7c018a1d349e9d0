"""
Who may own endpoints, and what may point at them; without constraints, for the demo, which knows
nothing of these tables, empties those that they point at.
"""

from django.db import models

from webhook_delivery.models import Delivery, Endpoint, Event


class Customer(models.Model):
    slug = models.CharField(max_length=50, primary_key=True)


class Loyal(Customer):
    class Meta:
        proxy = True


class Integration(models.Model):
    """Goes with its endpoint."""

    endpoint = models.ForeignKey(
        Endpoint, models.CASCADE, related_name="integrations", db_constraint=False
    )


class Widget(models.Model):
    """Stays without its endpoint."""

    endpoint = models.OneToOneField(Endpoint, models.SET_NULL, null=True, db_constraint=False)


class Contract(models.Model):
    """Keeps its endpoint."""

    endpoint = models.ForeignKey(Endpoint, models.PROTECT, related_name="+", db_constraint=False)


class Receipt(models.Model):
    """Goes with its delivery."""

    delivery = models.ForeignKey(Delivery, models.CASCADE, db_constraint=False)


class Remark(models.Model):
    """Stays without its delivery."""

    delivery = models.ForeignKey(Delivery, models.SET_NULL, null=True, db_constraint=False)


class Dispute(models.Model):
    """Keeps its delivery, or its event."""

    delivery = models.ForeignKey(
        Delivery, models.PROTECT, null=True, related_name="+", db_constraint=False
    )
    event = models.ForeignKey(
        Event, models.PROTECT, null=True, related_name="+", db_constraint=False
    )
