"""What may be said of an endpoint, and how it looks in answers: never with what is sealed."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from webhook_delivery import keys
from webhook_delivery.api.fields import Float, Moment, Number
from webhook_delivery.api.reading import Reasoned
from webhook_delivery.api.showing import Shown
from webhook_delivery.models import Endpoint


class EndpointSerializer(Shown):
    """A receiver."""

    id = Number()
    name = serializers.CharField()
    url = serializers.SerializerMethodField(
        help_text="Without its path and its query for who may not see whole URLs."
    )
    tenant = serializers.CharField()
    owner = serializers.CharField()
    contact = serializers.CharField(help_text="Who is written to when it fails for long.")
    state = serializers.ChoiceField(choices=Endpoint.State.choices)
    state_reason = serializers.CharField()
    resume_at = Moment(allow_null=True, help_text="When it is switched on by itself.")
    failing_since = serializers.SerializerMethodField(
        help_text="When the first attempt failed that no success has followed."
    )
    subscriptions = serializers.SerializerMethodField(help_text="What it hears of.")
    conditions = serializers.JSONField(help_text="What must be in the body of what it is sent.")
    timeout_seconds = serializers.FloatField(allow_null=True)
    retry_schedule = serializers.ListField(child=serializers.FloatField(), allow_null=True)
    max_in_flight = serializers.IntegerField(allow_null=True)
    rate_per_second = serializers.FloatField(allow_null=True)
    ordered = serializers.BooleanField()
    format = serializers.ChoiceField(choices=Endpoint.Format.choices)
    header_names = serializers.SerializerMethodField(
        help_text="Of what is sent besides ours; null: it cannot be opened. Values are not told."
    )
    ca_bundle = serializers.CharField()
    has_client_certificate = serializers.SerializerMethodField()
    tls_minimum = serializers.ChoiceField(choices=Endpoint.TLS.choices)
    created_at = Moment()
    updated_at = Moment()

    def get_url(self, endpoint: Endpoint) -> str:
        return endpoint.url if self.context["may_see_urls"] else endpoint.address

    def get_failing_since(self, endpoint: Endpoint) -> str | None:
        lane = getattr(endpoint, "lane", None)
        since = lane and lane.failing_since
        return Moment().to_representation(since) if since else None

    def get_subscriptions(self, endpoint: Endpoint) -> list[str]:
        return sorted(each.pattern for each in endpoint.subscriptions.all())

    def get_header_names(self, endpoint: Endpoint) -> list[str] | None:
        try:
            return sorted(endpoint.kept_headers)
        except keys.SecretUnavailable:
            return None

    def get_has_client_certificate(self, endpoint: Endpoint) -> bool:
        return bool(bytes(endpoint.sealed_client_certificate))


class CreatedSerializer(EndpointSerializer):
    """A new endpoint, with its secret, once."""

    secret = serializers.CharField(
        allow_null=True, help_text="Shown this once; null when the answer is repeated."
    )
    notice = serializers.CharField(required=False)


class EndpointChangesSerializer(Reasoned):
    """What an endpoint may be told to be; what is not said stays."""

    url = serializers.CharField(max_length=2048, required=False)
    name = serializers.CharField(max_length=200, required=False)
    tenant = serializers.CharField(max_length=100, allow_blank=True, required=False)
    owner = serializers.CharField(max_length=200, allow_blank=True, required=False)
    contact = serializers.EmailField(max_length=254, allow_blank=True, required=False)
    subscriptions = serializers.ListField(
        child=serializers.CharField(max_length=200),
        max_length=100,
        required=False,
        help_text="All that it hears of: `order.created`, `order.*`, `*`.",
    )
    headers = serializers.DictField(
        child=serializers.CharField(max_length=1024, allow_null=True),
        required=False,
        help_text="All that is sent besides ours; null keeps the value that there is.",
    )
    client_certificate = serializers.CharField(
        max_length=100_000, allow_blank=True, required=False, help_text="In PEM, with its key."
    )
    ca_bundle = serializers.CharField(max_length=500_000, allow_blank=True, required=False)
    tls_minimum = serializers.ChoiceField(choices=Endpoint.TLS.choices, required=False)
    conditions = serializers.DictField(required=False)
    timeout_seconds = Float(allow_null=True, required=False)
    retry_schedule = serializers.ListField(
        child=Float(min_value=0), allow_null=True, max_length=100, required=False
    )
    max_in_flight = serializers.IntegerField(
        min_value=1, max_value=32_767, allow_null=True, required=False
    )
    rate_per_second = Float(allow_null=True, required=False)
    ordered = serializers.BooleanField(required=False)
    format = serializers.ChoiceField(choices=Endpoint.Format.choices, required=False)


class NewEndpointSerializer(EndpointChangesSerializer):
    """A receiver to be."""

    url = serializers.CharField(max_length=2048)
    secret = serializers.CharField(
        max_length=200, required=False, help_text="`whsec_` or `whsk_`; default: a new one."
    )

    def validate_headers(self, headers: dict[str, str | None]) -> dict[str, Any]:
        if None in headers.values():
            raise serializers.ValidationError("There is no value yet that could be kept.")
        return headers
