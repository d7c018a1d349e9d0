"""
Lists the other packages that send webhooks, so that they can do the same work side by side.

    from benchmarks.peers import PEERS
    from benchmarks.peers.receiver import receiving

    for peer in PEERS:
        peer.prepare()
        with receiving() as receiver:
            figures = peer.drain(receiver.ok(1), count=1_000, body_bytes=1_024)

Read on: peer → receiver → figures; then common/staging and one folder for each package, run by a
Python of its own: settings → shop → run.
"""

from __future__ import annotations

from benchmarks.peers.peer import Peer

__all__ = ["PEERS", "Peer"]

# Pinned, because each run.py knows the inside of the version it drives; what they depend on is not.
PEERS: list[Peer] = [
    Peer(
        name="django-webhook",
        requirements=("django-webhook==0.0.15", "celery[redis,gevent]", "psycopg[binary,pool]"),
        usual_count=2_500,
    ),
    Peer(
        name="django-outbound-webhooks",
        requirements=("django-outbound-webhooks==0.4.0", "psycopg[binary]"),
        usual_count=300,
    ),
    Peer(
        name="drf-hooks",
        requirements=("drf-hooks==0.1.5", "psycopg[binary]"),
        usual_count=1_500,
    ),
]
