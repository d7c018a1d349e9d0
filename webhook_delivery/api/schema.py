"""The API's own description, in OpenAPI 3.1, whatever the project's settings say of others."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from webhook_delivery.api.base import View


class SchemaView(View):
    resource = "schema"

    def retrieve(self, request: Request) -> Response:
        return Response({})
