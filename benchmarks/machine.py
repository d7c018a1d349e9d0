"""What the figures were measured on: the machine, and the versions of what took part."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import redis

from benchmarks.databases import SERVERS, version_of
from benchmarks.running import ROOT
from benchmarks.web import find
from tests.everywhere import BROKER

PACKAGES = ["Django", "django-q2", "requests", "urllib3", "psycopg", "redis"]


def described() -> str:
    """CPU model, cores and memory."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{_cpu_model()}, {cores} cores, {memory:.0f} GB RAM, {platform.system()}"


def versions() -> dict[str, str]:
    """By name; of servers, what they say themselves."""
    packages = {name: version(name) for name in PACKAGES}
    databases = {engine: version_of(engine) for engine in SERVERS}
    return {
        "Python": platform.python_version(),
        "django-webhook-delivery": _own_version(),
        **packages,
        **databases,
        "Redis": _redis_version(),
        "nginx": _nginx_version(),
    }


def _cpu_model() -> str:
    facts = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", facts.read_text()) if facts.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def _own_version() -> str:
    """With the commit, for the version changes less often than the figures."""
    from webhook_delivery.version import __version__

    git = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return f"{__version__} ({git.stdout.strip()})" if git.stdout else __version__


def _redis_version() -> str:
    if BROKER.missing:
        return BROKER.missing
    with redis.Redis.from_url(BROKER.url) as server:
        return str(server.info("server")["redis_version"])


def _nginx_version() -> str:
    told = subprocess.run([find(), "-v"], capture_output=True, text=True, check=True).stderr
    return told.strip().rpartition("/")[2]
