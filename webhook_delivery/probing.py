"""Sends a test event to an endpoint, now; one that no person switched off may be on again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from django.db import router

from webhook_delivery import endpoints
from webhook_delivery.conf import settings
from webhook_delivery.endpoints import Switched
from webhook_delivery.models import Delivery, Endpoint
from webhook_delivery.publishing import attempt_now, publish_test
from webhook_delivery.validation import validate_rate

ARRIVED = "a test event arrived"
"""Why an endpoint was switched on: what the audit keeps."""
LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Probed:
    """What came of a test."""

    delivery: Delivery
    """As it is now; unfinished only if the test was taken over by a worker that still waits."""
    switched: Switched | None = None
    """What came of switching the endpoint on; None: it stayed as it was."""

    @property
    def arrived(self) -> bool:
        return self.delivery.state == Delivery.State.DELIVERED


def probe(
    endpoint: Endpoint,
    *,
    by: Any = None,
    rate: float | None = None,
    switches: bool = True,
    using: str | None = None,
) -> Probed:
    """
    Send a test event in this process and wait for the answer, whatever the endpoint's state.

    If it arrives, an endpoint that was switched off for failing, or at its own wish, is on again,
    and is sent what was held. One that a person has paused or switched off stays as it is.

    by: the user who asks (or a name), who is then kept; None: nobody is.
    rate: how many requests a second the endpoint is sent at most once it is on; None: as before.
    switches: whether it may be switched on; who asks may have no right to that.
    using: the database; default: where the router writes endpoints.
    Raises ValidationError for no sensible rate; then nothing is sent.
    """
    validate_rate(rate)
    using = using or router.db_for_write(Endpoint)
    event = publish_test(endpoint, by=by, using=using)
    attempt_now(event, using=using, regardless=True)
    test = Delivery.objects.using(using).get(event=event)
    probed = Probed(_once_it_has_ended(test, using))
    now = Endpoint.objects.using(using).get(pk=endpoint.pk)
    if not (switches and probed.arrived and now.is_off_by_itself):
        return probed
    on = endpoints.switch_on(now.pk, by=by or "", reason=ARRIVED, rate=rate, using=using)
    return Probed(probed.delivery, on)


def _once_it_has_ended(test: Delivery, using: str) -> Delivery:
    """A worker may have been faster, and wait for the answer still; but no longer than that."""
    ends = time.monotonic() + settings.MAX_TIMEOUT_SECONDS
    while test.state in (Delivery.State.PENDING, Delivery.State.SENDING):
        if time.monotonic() > ends:
            break
        time.sleep(LOOK_SECONDS)
        test.refresh_from_db(using=using)
    return test
