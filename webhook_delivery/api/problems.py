"""What went wrong, as RFC 9457 wants it told: `application/problem+json`, with what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import Http404
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import set_rollback

from webhook_delivery.patience import TooSlow

CONTENT_TYPE = "application/problem+json"
SLOW = "That took too long and was stopped: add an endpoint, a state or a time range."
INVALID = "Some of what was sent has no meaning here; `errors` names each. Nothing was changed."


class Conflict(exceptions.APIException):
    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


class Unprocessable(exceptions.APIException):
    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_code = "unprocessable"


class TooLarge(exceptions.APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"


def problem_of(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Tell of an error as DRF's own handler would, in the words of the RFC; None: not ours."""
    known = _known(error)
    if known is None:
        return None
    set_rollback()
    response = Response(
        _problem(known),
        status=known.status_code,
        headers=_headers(known),
        content_type=CONTENT_TYPE,
    )
    response.exception = True
    return response


def _known(error: Exception) -> exceptions.APIException | None:
    match error:
        case exceptions.APIException():
            return error
        case Http404():
            return exceptions.NotFound("There is no such thing, or not for you.")
        case DjangoPermissionDenied():
            return exceptions.PermissionDenied()
        case DjangoValidationError():
            return exceptions.ValidationError(exceptions.as_serializer_error(error))  # type: ignore[attr-defined]
        case TooSlow():
            return Unprocessable(SLOW)
    return None


def _problem(error: exceptions.APIException) -> dict[str, Any]:
    """`type` is about:blank, so that `title` is the status, as the RFC has it."""
    code = error.status_code
    told: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(code).phrase,
        "status": code,
        "detail": _detail(error),
    }
    if isinstance(error, exceptions.ValidationError):
        told["errors"] = [*_errors(error.detail)]
    return told


def _detail(error: exceptions.APIException) -> str:
    if isinstance(error, exceptions.ValidationError):
        return INVALID
    return str(error.detail)


def _errors(detail: Any, path: str = "") -> Iterator[dict[str, str]]:
    """Each with a JSON pointer to what it is about."""
    match detail:
        case dict():
            for name, inner in detail.items():
                whole = name == api_settings.NON_FIELD_ERRORS_KEY
                yield from _errors(inner, path if whole else f"{path}/{name}")
        case list():
            for number, inner in enumerate(detail):
                deeper = isinstance(inner, dict | list)
                yield from _errors(inner, f"{path}/{number}" if deeper else path)
        case _:
            yield {"pointer": _encodable(f"#{path}"), "detail": _encodable(str(detail))}


def _encodable(text: str) -> str:
    """JSON may name half a character, which UTF-8 cannot write: told as it was named."""
    return text.encode(errors="backslashreplace").decode()


def _headers(error: exceptions.APIException) -> dict[str, str]:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait) + 1)
    return headers
