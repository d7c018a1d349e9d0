"""How the app is set up, without anything secret, and whether deliveries flow."""

from __future__ import annotations

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from webhook_delivery import configuration, health, tenancy
from webhook_delivery.api.base import View
from webhook_delivery.api.describing import Said
from webhook_delivery.api.showing import Shown
from webhook_delivery.version import __version__


class ConfigSerializer(Shown):
    """What is in force."""

    version = serializers.CharField()
    settings = serializers.DictField(
        help_text="Each of `WEBHOOK_DELIVERY`, or its default; what is secret is `***`."
    )


class IllnessSerializer(Shown):
    """One thing that is wrong."""

    code = serializers.CharField()
    seen = serializers.CharField()
    remedy = serializers.CharField()
    restart = serializers.BooleanField(help_text="Whether a worker should be restarted.")


class HealthSerializer(Shown):
    """Whether deliveries flow."""

    healthy = serializers.BooleanField()
    illnesses = IllnessSerializer(many=True)
    remarks = serializers.ListField(child=serializers.CharField())


class ConfigView(View):
    """The settings."""

    resource = "config"
    said = {"retrieve": Said(ConfigSerializer)}

    def retrieve(self, request: Request) -> Response:
        """The settings in force; neither keys nor passwords are among them."""
        return Response({"version": __version__, "settings": configuration.effective()})


class HealthView(View):
    """Whether deliveries flow."""

    resource = "health"
    said = {"retrieve": Said(HealthSerializer, also={503: HealthSerializer})}

    def retrieve(self, request: Request) -> Response:
        """What keeps deliveries from flowing, with what to do about it; 503 if anything does."""
        whole = tenancy.tenants_of(request) is None  # the rest names endpoints of anybody
        found = health.examine()
        told = {
            "healthy": not found,
            "illnesses": [each.as_dict() for each in found] if whole else [],
            "remarks": health.remarks() if whole else [],
        }
        return Response(told, status=503 if found else 200)
