"""What is asked, one module each; its docstring is its heading, and `run` answers."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

NAMES = [
    "drain",
    "peers",
    "publish",
    "latency",
    "retries",
    "isolation",
    "growth",
    "retention",
    "bodies",
    "tls",
    "memory",
]
"""In the order in which they are run and told."""


def scenario(name: str) -> ModuleType:
    return import_module(f"benchmarks.scenarios.{name}")
