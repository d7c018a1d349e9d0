"""Golden vectors: requests that a receiver must accept, and requests that it must refuse."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True)
class Vector:
    """One request, and whether it is to be accepted."""

    name: str
    secret: str
    """What the receiver has: `whsec_`, or `whpk_`."""
    headers: Mapping[str, str]
    body: bytes
    now: int
    """When it arrives, in Unix seconds."""
    accepted: bool
    signed_with: tuple[str, ...] = ()
    """What the sender has signed it with, in this order."""

    def __str__(self) -> str:
        return self.name


def vectors() -> list[Vector]:
    """Return those of `vectors.json`, which is there for other languages too."""
    text = files("webhook_delivery.testing").joinpath("vectors.json").read_text(encoding="utf-8")
    document = json.loads(text)
    return [
        Vector(
            name=case["name"],
            secret=case["secret"],
            headers=case["headers"],
            body=case["body"].encode(),
            now=case["now"],
            accepted=part == "accepted",
            signed_with=tuple(case["signed_with"]),
        )
        for part in ("accepted", "refused")
        for case in document[part]
    ]
