"""Does what was asked twice with one Idempotency-Key a single time, and answers the same again."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import wraps
from typing import Any

from django.db import IntegrityError, router, transaction
from django.db.models import QuerySet
from django.utils.crypto import salted_hmac
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from webhook_delivery.api.problems import Conflict, Unprocessable
from webhook_delivery.clock import Now
from webhook_delivery.locking import insist
from webhook_delivery.models import KeptAnswer

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEY = re.compile(r'"?([!#-~]{1,255})"?')
"""A string of RFC 8941, with its quotation marks or without."""
LEASE = timedelta(minutes=1)
"""Who has not answered by then has died, and what it did was rolled back."""
LOST = "It was in the first answer only: rotate the secret if nobody has kept it."

Answering = Callable[..., Response]


def once(act: Answering) -> Answering:
    """Let a method of a view be asked with an Idempotency-Key; it writes to the database only."""

    @wraps(act)
    def asked(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get(HEADER)
        if key is None:
            return act(view, request, *args, **kwargs)
        return _Asked.of(request, key).answer(lambda: act(view, request, *args, **kwargs))

    return asked


@dataclass(frozen=True)
class _Asked:
    digest: str
    fingerprint: str
    claim: uuid.UUID = field(default_factory=uuid.uuid4)

    @classmethod
    def of(cls, request: Request, key: str) -> _Asked:
        found = KEY.fullmatch(key)
        if not found:
            raise ValidationError({HEADER: ["Use 1 to 255 printable characters, as of a UUID."]})
        of_whom = [str(request.user.pk), request.method, request.path, found[1]]
        return cls(_digest(of_whom), _digest(request.data))

    def answer(self, act: Callable[[], Response]) -> Response:
        """Do it and keep the answer, in one transaction; or answer as it was answered before."""
        if not self._begin():
            return self._again()
        try:
            return insist(lambda: self._do(act), using=self._using)
        except BaseException:
            self._mine().filter(status=None).delete()  # what failed may be asked anew
            raise

    @property
    def _using(self) -> str:
        return router.db_for_write(KeptAnswer)

    def _rows(self) -> QuerySet[KeptAnswer]:
        return KeptAnswer.objects.using(self._using).filter(digest=self.digest)

    def _mine(self) -> QuerySet[KeptAnswer]:
        return self._rows().filter(claim=self.claim)

    def _begin(self) -> bool:
        """Whether it is ours to do: nobody has done it, or who began it has died."""
        try:
            with transaction.atomic(using=self._using):
                KeptAnswer.objects.using(self._using).create(**vars(self), created_at=Now())
            return True
        except IntegrityError:
            left = self._rows().filter(status=None, created_at__lt=Now() - LEASE)
            mine = {"claim": self.claim, "fingerprint": self.fingerprint, "created_at": Now()}
            return bool(left.update(**mine))

    def _again(self) -> Response:
        kept = self._rows().first()
        if kept and kept.fingerprint != self.fingerprint:
            raise Unprocessable(f"This {HEADER} came with another body before: use a new one.")
        if kept is None or kept.status is None:
            raise Conflict("The first request with this key is being done: ask again in a second.")
        return Response(kept.body, kept.status, headers={REPLAYED: "true"})

    def _do(self, act: Callable[[], Response]) -> Response:
        response = act()
        kept = {"status": response.status_code, "body": _without_secret(response.data)}
        if not self._mine().update(**kept):
            raise Conflict("It took too long, and was taken over by a request with the same key.")
        return response


def _without_secret(data: Any) -> Any:
    told = json.loads(JSONRenderer().render(data))
    return {**told, "secret": None, "notice": LOST} if "secret" in told else told


def _digest(value: Any) -> str:
    """Keyed, because bodies hold tokens that could be guessed."""
    text = json.dumps(value, sort_keys=True)
    return salted_hmac("webhook_delivery.api.once", text, algorithm="sha256").hexdigest()
