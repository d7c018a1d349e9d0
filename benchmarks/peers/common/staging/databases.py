"""Gives a peer a PostgreSQL database of its own for one run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import sql

SERVER = os.environ.get("POSTGRES_URL", "postgres://postgres@127.0.0.1/postgres")


@contextmanager
def database(name: str) -> Iterator[None]:
    """Create `name`, tell the settings of this process and its children, and drop it at the end."""
    _execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
    _execute("CREATE DATABASE {}", name)
    os.environ["PEERS_DATABASE"] = name
    try:
        yield
    finally:
        _execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def django_database(**options: Any) -> dict[str, Any]:
    """Django's DATABASES entry for the database of this run."""
    server = urlsplit(SERVER)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["PEERS_DATABASE"],
        "HOST": server.hostname,
        "PORT": server.port or "",
        "USER": unquote(server.username or ""),
        "PASSWORD": unquote(server.password or ""),
        **options,
    }


def _execute(statement: str, name: str) -> None:
    with psycopg.connect(SERVER, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(sql.Identifier(name)))
