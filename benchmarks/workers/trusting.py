"""Lets a worker, and no other process, trust the certificate of the benchmark's own server."""

from __future__ import annotations

import certifi
import certifi.core

BUNDLE = "BENCH_TRUST"
"""The variable that names the bundle."""


def trust(bundle: str) -> None:
    """
    Give out this bundle in certifi's place, before anybody has read it; "" leaves certifi's.

    The package verifies with what `certifi.where()` names, and has no setting to weaken that.
    """
    if bundle:
        certifi.where = certifi.core.where = lambda: bundle
