"""Introduces the app to Django, and finds each app's `webhooks.py`."""

from django.apps import AppConfig, apps
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class WebhookDeliveryConfig(AppConfig):
    name = "webhook_delivery"
    verbose_name = _("Webhook delivery")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        if not apps.is_installed("django_q"):
            raise ImproperlyConfigured("webhook_delivery needs 'django_q' in INSTALLED_APPS.")
        from webhook_delivery import (  # noqa: F401
            checks,
            correspondence,
            doorbell,
            informing,
            provisioning,
        )

        autodiscover_modules("webhooks")
