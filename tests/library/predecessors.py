"""
The rows of other packages, as far as the guides to coming from them read those.

Their names, and those of their fields, are theirs; of each only what is read. Keys to
apps with migrations are unconstrained: their tables are created later than these.
"""

import uuid

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.utils import timezone


class Hook(models.Model):
    """Of drf-hooks 0.1.5; django-rest-hooks 1.5.0 has no headers."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, db_constraint=False)
    event = models.CharField(max_length=64)
    target = models.URLField(max_length=255)
    headers = models.JSONField(default=dict)


class WebhookTopic(models.Model):
    name = models.CharField(max_length=250, unique=True)


class TopicWebhook(models.Model):
    """`Webhook` of django-webhook 0.0.15."""

    url = models.URLField()
    topics = models.ManyToManyField(WebhookTopic, related_name="webhooks")
    active = models.BooleanField(default=True)
    uuid = models.UUIDField(default=uuid.uuid4)


class WebhookSecret(models.Model):
    webhook = models.ForeignKey(TopicWebhook, models.CASCADE, related_name="secrets")
    token = models.CharField(max_length=100)


class WebhookSubscriber(models.Model):
    """Of django-webhook-subscriber 2.3.0."""

    name = models.CharField(max_length=255)
    content_type = models.ForeignKey(ContentType, models.CASCADE, db_constraint=False)
    target_url = models.CharField(max_length=500)
    secret = models.CharField(max_length=64)
    headers = models.JSONField(default=dict)
    max_retries = models.PositiveIntegerField(default=3)
    retry_delay = models.PositiveIntegerField(default=60)
    timeout = models.PositiveIntegerField(default=30)
    is_active = models.BooleanField(default=True)


class WebhookSubscription(models.Model):
    subscriber = models.ForeignKey(WebhookSubscriber, models.CASCADE, related_name="subscriptions")
    event_name = models.CharField(max_length=100)
    custom_endpoint = models.CharField(max_length=512, blank=True)
    is_active = models.BooleanField(default=True)

    @property
    def endpoint(self):
        base = self.subscriber.target_url
        return f"{base.rstrip('/')}/{self.custom_endpoint}" if self.custom_endpoint else base


class SignalWebhook(models.Model):
    """`Webhook` of django-signal-webhooks 0.3.1; it opens `auth_token` when it is read."""

    name = models.CharField(max_length=256, unique=True)
    signal = models.CharField(max_length=255)
    ref = models.CharField(max_length=1024)
    endpoint = models.URLField(max_length=2048)
    headers = models.JSONField(default=dict)
    auth_token = models.CharField(max_length=255, blank=True)
    enabled = models.BooleanField(default=True)


class Subscriber(models.Model):
    """Of Thorn 1.5.2."""

    event = models.CharField(max_length=190)
    url = models.URLField(max_length=190)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, db_constraint=False
    )
    hmac_secret = models.TextField()


class RegisteredEndpoint(models.Model):
    """`Endpoint` of django-outbound-webhooks 0.4.0."""

    name = models.CharField(max_length=100)
    url = models.URLField(max_length=2000)
    secret = models.CharField(max_length=255)
    format_name = models.CharField(max_length=100, default="envelope")
    tenant = models.CharField(max_length=255, blank=True)
    previous_secret = models.CharField(max_length=255, blank=True)
    previous_secret_expires_at = models.DateTimeField(null=True, blank=True)
    is_active = models.BooleanField(default=True)


class NamedSubscription(models.Model):
    """Its `Subscription`."""

    endpoint = models.ForeignKey(RegisteredEndpoint, models.CASCADE, related_name="subscriptions")
    event_name = models.CharField(max_length=255)


def signing_secrets(endpoint):
    """Its function: all that sign now, the newest first."""
    ends = endpoint.previous_secret_expires_at
    earlier = [endpoint.previous_secret] if ends and ends > timezone.now() else []
    return [endpoint.secret, *earlier]
