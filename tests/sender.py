"""A process that makes one attempt at the URL it is given, and prints what it found."""

import json
import os
import sys
import time
import uuid
from datetime import UTC, datetime

import django

MOMENT = datetime(2026, 1, 2, tzinfo=UTC)


def main(url: str) -> None:
    os.umask(int(os.environ.get("WEBHOOK_UMASK", "22"), 8))
    time.tzset()
    django.setup()
    from webhook_delivery import dispatch, keys
    from webhook_delivery.claims import Claim
    from webhook_delivery.clock import elapsed
    from webhook_delivery.outcomes import Policy
    from webhook_delivery.transport import Transport

    sealed = keys.seal("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", owner=1)
    claim = Claim(
        token=uuid.UUID(int=1),
        delivery_id=1,
        number=1,
        number_in_run=1,
        trigger="schedule",
        endpoint_id=1,
        url=url,
        timeout=5,
        sealed_secrets=(sealed,),
        webhook_id="evt_1",
        content_type="application/json",
        body=b'{"a":1}',
        policy=Policy((), 0),
        due_at=MOMENT,
        claimed_at=MOMENT,
        lease=60,
        _leased=elapsed(),
    )
    outcome = dispatch.attempt(claim, Transport()).outcome
    print(json.dumps([outcome.status, outcome.fault, outcome.detail]))


if __name__ == "__main__":
    main(sys.argv[1])
