"""The API's own description, in OpenAPI 3.1, whatever the project's settings say of others."""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from typing import Any

from django.utils.translation import get_language
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.settings import patched_settings
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from webhook_delivery.api.base import View
from webhook_delivery.api.describing import Said
from webhook_delivery.version import __version__

SETTINGS = {
    "TITLE": "Webhook delivery",
    "DESCRIPTION": "What the console does, for an operator's own tools.",
    "VERSION": __version__,
    "OAS_VERSION": "3.1.1",
    "COMPONENT_SPLIT_REQUEST": True,
    "COMPONENT_NO_READ_ONLY_REQUIRED": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENABLE_DJANGO_DEPLOY_CHECK": False,
    "PREPROCESSING_HOOKS": [],
    "POSTPROCESSING_HOOKS": [],
    "SCHEMA_PATH_PREFIX": None,
    "SCHEMA_PATH_PREFIX_TRIM": False,
    "SCHEMA_PATH_PREFIX_INSERT": "",
    "APPEND_COMPONENTS": {},
    "APPEND_PATHS": {},
    "SECURITY": [],
    "SERVERS": [],
    "TAGS": [],
    "EXTERNAL_DOCS": {},
    "EXTENSIONS_INFO": {},
    "EXTENSIONS_ROOT": {},
    "WEBHOOKS": [],
    "DISABLE_ERRORS_AND_WARNINGS": True,
}
"""Those of the project are for its own API."""
_patching = Lock()
"""The settings of drf-spectacular are patched for all threads."""


class SchemaView(View):
    """The description."""

    resource = "schema"
    said = {"retrieve": Said(serializers.DictField)}

    def retrieve(self, request: Request) -> Response:
        """This document."""
        return Response(described(request.path.removesuffix("schema/"), get_language()))


@lru_cache(maxsize=16)
def described(prefix: str, language: str | None) -> dict[str, Any]:
    """The document, for where the API is; in a language."""
    with _patching, patched_settings(SETTINGS):
        generator = SchemaGenerator(urlconf="webhook_delivery.api.urls")
        document: dict[str, Any] = generator.get_schema(request=None, public=True)
    document["servers"] = [{"url": prefix.rstrip("/") or "/"}]
    found: dict[str, Any] = _without_hints(document)
    return found


def _without_hints(value: Any) -> Any:
    """Without what drf-spectacular leaves for hooks that are not asked."""
    match value:
        case dict():
            kept = (name for name in value if name != "x-spec-enum-id")
            return {name: _without_hints(value[name]) for name in kept}
        case list():
            return [_without_hints(each) for each in value]
    return value
