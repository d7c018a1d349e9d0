"""
The signals by which the rest of a project hears what became of deliveries, endpoints, batches.

Each is sent after the commit of what it tells, once, by whoever made the change; what is rolled
back is never told. A process that dies between its commit and the signal tells nothing: who may
miss none reads the rows besides (`Delivery.objects.dead().since(…)`).

Receivers run in the process that made the change, most often a drain, which sends nothing more
meanwhile: let them be short, and hand over to a task what takes long. What they raise is logged by
`django.dispatch`, and hurts nobody.

Each is also given `using`, the database's alias; rows are as they are when it is sent, and events
come without their bodies (deferred).
"""

from __future__ import annotations

from django.dispatch import Signal

delivery_succeeded = Signal()
"""
A delivery has arrived.

sender: `Delivery`.
delivery: the row, with its event and its endpoint.

Tests are told of too: their `trigger` is `test`; and a delivery that was sent again by a person,
each time that it arrives.
"""

delivery_dead = Signal()
"""
A delivery has become a dead letter: it failed for the last time.

sender: `Delivery`.
delivery: the row, with its event and its endpoint.
reason: the fault of its last attempt, one of `outcomes.Fault`.

Sent once each time that it dies, so again if it was redelivered in vain.
"""

endpoint_warned = Signal()
"""
An endpoint has failed for `WARN_AFTER_SECONDS`, and may be switched off.

sender: `Endpoint`.
endpoint: the row.
failing_since: when the first attempt failed that no success has followed.
"""

endpoint_disabled = Signal()
"""
An endpoint was switched off, and no person did it.

sender: `Endpoint`.
endpoint: the row.
reason: why: `410 Gone`, `webhook-delivery: disable`, or `failing since …`, as its `state_reason`
    says.

Who pauses one or switches it off, in the admin or in code, knows that.
"""

endpoint_recovered = Signal()
"""
Something has arrived at an endpoint that had failed: people were told of that, or its breaker was
open. Switching it on is not enough.

sender: `Endpoint`.
endpoint: the row; it may be off, if what arrived was a test.
failing_since: when the first attempt had failed; None: it was switched on since.
"""

batch_finished = Signal()
"""
A redelivery of many has sent the last of what it was to send.

sender: `RedeliveryBatch`.
batch: the row.

Some of what it sent may still be on its way: `batches.progress(batch)` counts that. One that was
cancelled does not finish.
"""
