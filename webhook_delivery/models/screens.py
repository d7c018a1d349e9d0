"""Deliveries as some of the console's screens show them; rights are those of deliveries."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from webhook_delivery.models.delivery import Delivery


class DeadLetter(Delivery):
    """The console's list of deliveries that need a person; rights are those of deliveries."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = _("dead letter")
        verbose_name_plural = _("dead letters")


class FailureGroup(Delivery):
    """The console's page of dead letters by endpoint and reason; rights are those of deliveries."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = _("failure group")
        verbose_name_plural = _("failure groups")


class Overview(Delivery):
    """The console's first page; rights are those of deliveries."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = _("overview")
        verbose_name_plural = _("overview")
