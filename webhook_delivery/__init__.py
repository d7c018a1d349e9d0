"""
Delivers outbound webhooks durably. The public names, and the order in which to read the code:

1. something happened:  registry → receivers → publishing → composing, payloads → writing;
                        writing → searching, hearing
2. who runs it:         doorbell → listening, scheduling → tasks, loop → drain → flights
3. one attempt:         dispatch → signing → transport → addresses → outcomes
4. the truth:           recording → lifecycle → pacing, sharing → loading → claims → models
5. the proof:           history → logbook → judging → verification; archive → restoring
6. many at once:        batches → selecting, guarding, missing → pump;
                        acknowledging → grouping; charts → figures → rollups
7. around it:           conf, checks, validation, clock, keys, endpoints, redelivery,
                        forwarding, health → pulse, roles, admin;
                        rotation, of one secret, and resealing, of all; verifying, for receivers
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from webhook_delivery.version import __version__

if TYPE_CHECKING:
    from webhook_delivery.composing import InvalidEvent, NewEvent
    from webhook_delivery.payloads import PayloadNotSerializable
    from webhook_delivery.publishing import publish, publish_many
    from webhook_delivery.registry import ModelWebhooks, register
    from webhook_delivery.verifying import InvalidSignature, verify

__all__ = [
    "InvalidEvent",
    "InvalidSignature",
    "ModelWebhooks",
    "NewEvent",
    "PayloadNotSerializable",
    "__version__",
    "publish",
    "publish_many",
    "register",
    "verify",
]

_HOMES = {
    "InvalidEvent": "composing",
    "InvalidSignature": "verifying",
    "ModelWebhooks": "registry",
    "NewEvent": "composing",
    "PayloadNotSerializable": "payloads",
    "publish": "publishing",
    "publish_many": "publishing",
    "register": "registry",
    "verify": "verifying",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: models need Django to be ready."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
