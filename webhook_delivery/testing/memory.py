"""A transport without sockets: keeps each request, and answers it by script."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from webhook_delivery.claims import Claim
from webhook_delivery.conf import settings
from webhook_delivery.flights import Flights
from webhook_delivery.models import Secret
from webhook_delivery.outcomes import Fault, Outcome
from webhook_delivery.testing.receiver import Receiver
from webhook_delivery.testing.replies import Answer, Reply, Script
from webhook_delivery.transport import (
    EXCERPT_BYTES,
    TLS,
    Transport,
    outcome_of_answer,
    outcome_of_failure,
)
from webhook_delivery.transport.tls import DEFAULT
from webhook_delivery.verifying import verify


@dataclass(frozen=True)
class Request:
    """One request, as it would be on the wire."""

    url: str
    headers: Mapping[str, str]
    """By their names in lower case."""
    body: bytes
    endpoint: int = 0
    """The number of the endpoint that it is for."""
    using: str = field(default="default", repr=False)
    method: str = "POST"

    def json(self) -> Any:
        """Return the body, read as JSON."""
        return json.loads(self.body)

    @property
    def webhook_id(self) -> str:
        return self.headers[f"{settings.HEADER_PREFIX}id".lower()]

    def verify(self, *secrets: str) -> None:
        """
        Raise InvalidSignature unless it was signed with one of the secrets, when it says.

        secrets: default: those of its endpoint that are live now.
        """
        prefix = settings.HEADER_PREFIX.lower()
        sent_at = int(self.headers.get(f"{prefix}timestamp", "0"))
        verify(self.body, self.headers, secrets or self._secrets(), now=sent_at, prefix=prefix)

    def _secrets(self) -> list[str]:
        live = Secret.objects.using(self.using).live().filter(endpoint=self.endpoint)
        return [secret.reveal() for secret in live]


@dataclass
class Memory:
    """What transports of one test have in common: the script, and what was sent."""

    using: str
    script: Script = field(default_factory=Script)
    requests: list[Request] = field(default_factory=list)
    mistakes: list[Exception] = field(default_factory=list)
    """What functions in the script raised that is no fault of a network."""


class MemoryTransport(Transport):
    """Posts to nobody, but to receivers that were started for the test."""

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self._memory = memory

    def post(
        self,
        endpoint: int,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        timeout: float,
        tls: TLS = DEFAULT,
    ) -> Outcome:
        if Receiver.serves(url):
            return super().post(endpoint, url, body, headers, timeout=timeout, tls=tls)
        request = Request(url, _on_the_wire(url, body, headers), body, endpoint, self._memory.using)
        self._memory.requests.append(request)
        try:
            return _outcome(self._memory.script.take(url), request)
        except Exception as error:
            self._memory.mistakes.append(error)
            raise


def _on_the_wire(url: str, body: bytes, headers: Mapping[str, str]) -> dict[str, str]:
    """With what HTTP adds."""
    own = {name.lower(): value for name, value in headers.items()}
    return {"host": urlsplit(url).netloc, "content-length": str(len(body)), **own}


def _outcome(answer: Answer, request: Request) -> Outcome:
    """What the real transport would make of it."""
    try:
        given = _given(answer, request)
    except OSError as error:
        given = error
    if isinstance(given, Fault):
        return Outcome(fault=given, detail="as scripted")
    if isinstance(given, OSError):
        return _outcome_of_failure(given)
    reply = given if isinstance(given, Reply) else Reply(given)
    headers = {name.lower(): value for name, value in reply.headers.items()}
    return outcome_of_answer(reply.status, headers, reply.body[:EXCERPT_BYTES])


def _outcome_of_failure(error: OSError) -> Outcome:
    """A refusal is seen while connecting, where it has a name of its own."""
    if isinstance(error, ConnectionRefusedError):
        return Outcome(fault=Fault.REFUSED, detail=type(error).__name__)
    return outcome_of_failure(error)


def _given(answer: Any, request: Request) -> int | Reply | Fault | OSError:
    """Follow functions, and make classes of errors into errors."""
    if isinstance(answer, type) and issubclass(answer, OSError):
        return answer()
    if callable(answer):
        return _given(answer(request), request)
    if isinstance(answer, int | Reply | Fault | OSError):
        return answer
    raise TypeError(f"A receiver cannot answer {answer!r}: use a status, a Reply or a Fault.")


class InTurn(Flights):
    """Flights one after the other, in the caller's thread: in order, and inside its transaction."""

    def launch(self, claims: Any) -> None:
        ready: list[Claim] = sorted(claims, key=lambda claim: claim.delivery_id)
        for claim in ready:
            stopped = self._stopped(claim.endpoint_id)
            self._landed((claim, None if stopped else self._fly(claim)))
