"""Decides what is answered to a request: refused, seen before, being processed, or the view's."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, UnreadablePostError
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables

from webhook_delivery.receiving.replays import Known, Turn, exists
from webhook_delivery.receiving.requests import Webhook
from webhook_delivery.signing import PRIVATE, PUBLIC, SHARED, InvalidSecret
from webhook_delivery.verifying import InvalidSignature, verify

Secrets = str | Iterable[str] | Callable[[Any], str | Iterable[str]]

View = Callable[..., Any]
V = TypeVar("V", bound=View)

DAY = 86_400


def receives(
    secrets: Secrets,
    *,
    tolerance: float = 300,
    prefix: str = "webhook-",
    replay: str | None = "default",
    remember: float = 7 * DAY,
    busy: float = 60,
    max_bytes: int = 1024 * 1024,
) -> Callable[[V], V]:
    """
    Let only verified webhooks through to a view, and each of them once.

    secrets: a secret, or several during a rotation; or the name of a Django setting that holds
        them; or a function of the request that returns them, none for who is unknown.
    tolerance: seconds that the sender's clock and ours may be apart.
    prefix: what the headers' names begin with; Svix: `svix-`.
    replay: the cache that remembers what was processed: one that all processes share, and that adds
        atomically (Redis, Memcached, the database; not files). None: nothing is remembered.
    remember: for how many seconds; senders retry for days.
    busy: after so many seconds, whoever processes it is taken for dead.
    max_bytes: larger bodies are refused.

    The view finds `request.webhook`, and should be annotated with `WebhookRequest`. What it answers
    is sent. Before it: 405 to what is no POST; 413 to what is too large; 400 to what is not signed,
    too old or too new, as the libraries of Svix do; 200 to what was processed before; 503 to what
    is being processed at this moment, which every sender repeats, while many take 409 for final.
    A webhook counts as processed when the view answers 2xx, and what it wrote is committed.

    Raises ImproperlyConfigured for a setting or a cache that is not there: then the sender tries
    again.
    """
    kept = secrets if isinstance(secrets, str) or callable(secrets) else tuple(secrets)
    gate = _Gate(kept, tolerance, prefix, replay, remember, busy, max_bytes)

    def decorate(view: V) -> V:
        guarded = _guard_async(gate, view) if iscoroutinefunction(view) else _guard(gate, view)
        return cast(V, csrf_exempt(guarded))

    return decorate


def _guard(gate: _Gate, view: View) -> View:
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        entry = gate.admit(request)
        if isinstance(entry, HttpResponse):
            return entry
        try:
            response: HttpResponseBase = view(request, *args, **kwargs)
        except BaseException:
            entry.fail()
            raise
        return entry.end(response)

    return guarded


def _guard_async(gate: _Gate, view: View) -> View:
    """Caches and functions that find secrets may use the database: in Django's thread for it."""

    @wraps(view)
    async def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        entry = await sync_to_async(gate.admit)(request)
        if isinstance(entry, HttpResponse):
            return entry
        try:
            response: HttpResponseBase = await view(request, *args, **kwargs)
        except BaseException:
            await sync_to_async(entry.fail)()
            raise
        return await sync_to_async(entry.end)(response)

    return guarded


@dataclass(frozen=True)
class _Entry:
    """A request that was let through; with a turn, if what was processed is remembered."""

    turn: Turn | None

    def end(self, response: HttpResponseBase) -> HttpResponseBase:
        if not 200 <= response.status_code <= 299:
            self.fail()
        elif self.turn:
            self.turn.succeed()
        return response

    def fail(self) -> None:
        if self.turn:
            self.turn.fail()


@dataclass(frozen=True)
class _Gate:
    secrets: Secrets = field(repr=False)
    tolerance: float
    prefix: str
    replay: str | None
    remember: float
    busy: float
    max_bytes: int

    @sensitive_variables()
    def admit(self, request: HttpRequest) -> HttpResponse | _Entry:
        """Let the request through, with its webhook; or say what to answer instead."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        body = self._body(request)
        if isinstance(body, HttpResponse):
            return body
        try:
            marks = self._verified(body, request)
        except InvalidSignature as error:
            return _said(str(error), 400)
        webhook = Webhook.of(request, prefix=self.prefix)
        request.webhook = webhook  # type: ignore[attr-defined] # the views know it by WebhookRequest
        return self._take_turn([f"{request.path}\n{webhook.id}{mark}" for mark in marks])

    def _body(self, request: HttpRequest) -> bytes | HttpResponse:
        """Refuse what says how large it is before it is read."""
        too_large = _said(f"The body is larger than {self.max_bytes} bytes.", 413)
        said = request.META.get("CONTENT_LENGTH") or "0"
        if said.isdecimal() and int(said) > self.max_bytes:
            return too_large
        try:
            body = request.body
        except RequestDataTooBig:
            return too_large
        except UnreadablePostError:
            return _said("The body did not arrive.", 400)
        return too_large if len(body) > self.max_bytes else body

    @sensitive_variables()
    def _verified(self, body: bytes, request: HttpRequest) -> list[str]:
        """
        Say whose webhook it is; raise InvalidSignature if no secret fits.

        Of two who are told apart by a function, each hears a webhook, though it has one id: they
        are known by the secrets that fit, for others come and go while a webhook is retried.
        """
        secrets = _found(self.secrets, request)
        if callable(self.secrets):
            return [_mark_of(secret) for secret in self._fitting(body, request, secrets)]
        self._verify(body, request, secrets)
        return [""]

    @sensitive_variables()
    def _fitting(self, body: bytes, request: HttpRequest, secrets: list[str]) -> list[str]:
        fitting, misfit = [], InvalidSignature("No signature fits.")
        for secret in secrets:
            try:
                self._verify(body, request, [secret])
                fitting.append(secret)
            except InvalidSignature as error:
                misfit = error
        if not fitting:
            raise misfit
        return fitting

    @sensitive_variables()
    def _verify(self, body: bytes, request: HttpRequest, secrets: list[str]) -> None:
        try:
            verify(body, request.headers, secrets, tolerance=self.tolerance, prefix=self.prefix)
        except InvalidSecret as error:
            raise ImproperlyConfigured(f"@receives has no secret: {error}") from None

    def _take_turn(self, names: list[str]) -> HttpResponse | _Entry:
        if self.replay is None:
            return _Entry(None)
        if not exists(self.replay):
            raise ImproperlyConfigured(f"@receives(replay={self.replay!r}): no such cache.")
        turn = Turn(self.replay, names, self.busy, self.remember)
        match turn.begin():
            case Known.NEW:
                return _Entry(turn)
            case Known.DONE:
                return _said("Processed before.", 200)
            case Known.BUSY:
                return _said("Being processed; send it again later.", 503)


@sensitive_variables()
def _mark_of(secret: str) -> str:
    return "\n" + hashlib.sha256(secret.encode()).hexdigest()


@sensitive_variables()
def _found(secrets: Secrets, request: HttpRequest) -> list[str]:
    """The texts of the secrets, wherever they are."""
    given = secrets(request) if callable(secrets) else secrets
    if isinstance(given, str) and not callable(secrets) and not _is_secret(given):
        given = _setting(given)
    return [given] if isinstance(given, str) and given else list(given)


def _is_secret(text: str) -> bool:
    return text.startswith((SHARED, PRIVATE, PUBLIC))


def _setting(name: str) -> str | Iterable[str]:
    found: str | Iterable[str] | None = getattr(settings, name, None)
    if not found:
        raise ImproperlyConfigured(f"@receives({name!r}): no such setting, or it is empty.")
    return found


def _said(message: str, status: int) -> HttpResponse:
    return HttpResponse(message, status=status, content_type="text/plain; charset=utf-8")
