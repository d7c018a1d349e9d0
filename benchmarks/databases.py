"""Databases of the benchmarks' own on the servers that answer, and how a process is given one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from benchmarks.running import ROOT, plain_environment
from tests.everywhere import MARIADB, POSTGRES, Server

PREFIX = "bench_"

SERVERS = {
    "PostgreSQL": Server("PostgreSQL", POSTGRES, "psycopg"),
    "MariaDB": Server("MariaDB", MARIADB, "MySQLdb"),
    "SQLite": Server("SQLite", "", ""),
}


@dataclass(frozen=True)
class Database:
    """One that `create` made; whoever made it drops it."""

    engine: str
    name: str
    folder: Path

    @property
    def env(self) -> Mapping[str, str]:
        """What a process needs in its environment to work on it."""
        return {"DATABASE_URL": self.url, "DJANGO_SETTINGS_MODULE": "benchmarks.settings"}

    @property
    def url(self) -> str:
        if self.engine == "SQLite":
            return f"sqlite:///{self._file}"
        return urlsplit(SERVERS[self.engine].url)._replace(path=f"/{self.name}").geturl()

    def create(self) -> Database:
        """Make it anew, with its tables."""
        self.drop()
        if self.engine != "SQLite":
            self._administer(f"CREATE DATABASE {self.name}")
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity=0"],
            cwd=ROOT,
            env=plain_environment() | dict(self.env),
            check=True,
        )
        return self

    def drop(self) -> None:
        if self.engine == "SQLite":
            for file in self.folder.glob(f"{self._file.name}*"):
                file.unlink()
        else:
            force = " WITH (FORCE)" if self.engine == "PostgreSQL" else ""
            self._administer(f"DROP DATABASE IF EXISTS {self.name}{force}")

    def ask(self, sql: str) -> Any:
        """The first column of the first row of what it answers, on a connection of its own."""
        return _run(self.engine, self.url, sql)

    def _administer(self, sql: str) -> None:
        _run(self.engine, SERVERS[self.engine].url, sql)

    @property
    def _file(self) -> Path:
        return self.folder / f"{self.name}.sqlite3"


def _run(engine: str, url: str, sql: str) -> Any:
    with _connect(engine, url) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        row = cursor.fetchone() if cursor.description else None
        return row and row[0]


def _connect(engine: str, url: str) -> Any:
    """Drivers are imported when needed: not every machine has both."""
    if engine == "PostgreSQL":
        import psycopg

        return psycopg.connect(url.replace("postgres://", "postgresql://", 1), autocommit=True)
    import MySQLdb  # type: ignore[import-untyped] # it has no stubs

    parts = urlsplit(url)
    return closing(
        MySQLdb.connect(
            host=parts.hostname or "127.0.0.1",
            port=parts.port or 3306,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            database=parts.path.lstrip("/"),
            autocommit=True,
        )
    )


def version_of(engine: str) -> str:
    """As the server tells it."""
    if engine == "SQLite":
        import sqlite3

        return sqlite3.sqlite_version
    server = SERVERS[engine]
    if server.missing:
        return server.missing
    told = re.search(r"\d+(\.\d+)+", str(_run(engine, server.url, "select version()")))
    return told[0] if told else "unknown"


def free_gigabytes() -> float:
    """On the disk of PostgreSQL, if it is on this machine; else on that of this folder."""
    folder = next((f for f in ("/var/lib/postgresql", str(ROOT)) if Path(f).exists()), "/")
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize / 1e9
