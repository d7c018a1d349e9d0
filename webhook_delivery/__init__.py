"""
Delivers outbound webhooks durably. The public names, and the order in which to read the code:

1. something happened:  registry → receivers, bulk → binding → telling → coalescing → occasions
                        → tellers → transitions, shaping; then
                        publishing → composing, payloads → writing;
                        writing → searching, targeting → hearing, conditions → paths, texts;
                        catalogue → deriving; composing → fitting; presenting, asyncapi
2. who runs it:         doorbell → listening, scheduling → tasks, loop → sweeping;
                        drain → rhythm, flights, holdings, landings, report
3. one attempt:         dispatch → signing, headers → transport → addresses, hostnames → outcomes
4. the truth:           recording → lifecycle → pacing, sharing → loading → claims → models;
                        loading → policies, lapsing, cloudevents; notifying → signals;
                        overseeing → ailing; what all of them do in the end: locking;
                        what people are told: correspondence, informing → operational
5. the proof:           history → logbook → judging → verification; archive → restoring
6. many at once:        gradual → batches → selecting, guarding, missing → pump;
                        acknowledging → grouping; charts → figures → rollups → totals;
                        standing → figures; backlog; counting
7. what goes:           retention → pruning; erasing
8. around it:           apps → provisioning; conf, configuration, checks, validation, clock,
                        version; relating → references, keys,
                        endpoints, subscribing, redelivery, forwarding, probing,
                        health → symptoms, pulse; roles; rotation, of one secret, and resealing,
                        of all; admin, for people, management, for the shell, and api, for their
                        tools → tenancy, explaining, patience; templatetags
9. watching it:         observing → telemetry, logs; metrics → totals
10. the other side:     verifying → receiving; testing, for those who use the app
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from webhook_delivery.version import __version__

if TYPE_CHECKING:
    from webhook_delivery.bulk import WebhookQuerySet
    from webhook_delivery.catalogue import describe
    from webhook_delivery.composing import InvalidEvent, NewEvent
    from webhook_delivery.payloads import PayloadNotSerializable
    from webhook_delivery.publishing import apublish, apublish_many, publish, publish_many
    from webhook_delivery.receiving import WebhookRequest, receives
    from webhook_delivery.registry import register
    from webhook_delivery.relating import TellsWebhooks, deliveries_of
    from webhook_delivery.subscribing import subscribe
    from webhook_delivery.tellers import ModelWebhooks
    from webhook_delivery.verifying import InvalidSignature, verify

__all__ = [
    "InvalidEvent",
    "InvalidSignature",
    "ModelWebhooks",
    "NewEvent",
    "PayloadNotSerializable",
    "TellsWebhooks",
    "WebhookQuerySet",
    "WebhookRequest",
    "__version__",
    "apublish",
    "apublish_many",
    "deliveries_of",
    "describe",
    "publish",
    "publish_many",
    "receives",
    "register",
    "subscribe",
    "verify",
]

_HOMES = {
    "InvalidEvent": "composing",
    "InvalidSignature": "verifying",
    "ModelWebhooks": "tellers",
    "NewEvent": "composing",
    "PayloadNotSerializable": "payloads",
    "TellsWebhooks": "relating",
    "WebhookQuerySet": "bulk",
    "WebhookRequest": "receiving",
    "apublish": "publishing",
    "apublish_many": "publishing",
    "deliveries_of": "relating",
    "describe": "catalogue",
    "publish": "publishing",
    "publish_many": "publishing",
    "receives": "receiving",
    "register": "registry",
    "subscribe": "subscribing",
    "verify": "verifying",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: models need Django to be ready."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
