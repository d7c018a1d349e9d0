"""
Delivers outbound webhooks durably. The public names, and the order in which to read the code:

1. something happened:  registry → receivers → publishing → payloads
2. who runs it:         doorbell → scheduling → tasks, loop → drain
3. one attempt:         dispatch → signing → transport → addresses → outcomes
4. the truth:           lifecycle → locking → loading → claims → models
5. the proof:           history → logbook → judging → verification; archive → restoring
6. around it:           conf, checks, validation, clock, keys, endpoints, redelivery, health, admin
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from webhook_delivery.version import __version__

if TYPE_CHECKING:
    from webhook_delivery.payloads import PayloadNotSerializable
    from webhook_delivery.publishing import InvalidEvent, publish
    from webhook_delivery.registry import ModelWebhooks, register

__all__ = [
    "InvalidEvent",
    "ModelWebhooks",
    "PayloadNotSerializable",
    "__version__",
    "publish",
    "register",
]

_HOMES = {
    "InvalidEvent": "publishing",
    "ModelWebhooks": "registry",
    "PayloadNotSerializable": "payloads",
    "publish": "publishing",
    "register": "registry",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: models need Django to be ready."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
