"""
Runs the tests on every database that answers, and says plainly which did and which did not.

With REQUIRE_SERVERS=1 a server that does not answer, and a test that is skipped, is a failure.
With NIGHTLY=1 it runs the tests that take minutes, and only these. `--on SQLite,MariaDB` leaves the
others out; what else is given is for pytest.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

POSTGRES = os.environ.get("POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres")
MARIADB = os.environ.get("MARIADB_URL", "mysql://root@127.0.0.1:3306/test")
REDIS = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")
REQUIRED = os.environ.get("REQUIRE_SERVERS") == "1"
NIGHTLY = os.environ.get("NIGHTLY") == "1"

OK, NOT_ALL_THERE = 0, 2
WORKERS = "3"
"""One more than cores: the long tests mostly wait for clusters that are being broken."""


@dataclass(frozen=True)
class Server:
    name: str
    url: str
    driver: str

    @property
    def missing(self) -> str:
        """Why it cannot be tested; empty if it can."""
        if self.driver and importlib.util.find_spec(self.driver) is None:
            return f"the driver {self.driver} is not installed"
        return "" if not self.url or answers(self.url) else f"nothing answers at {self.url}"


def answers(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=2).close()
    except OSError:
        return False
    return True


SQLITE = Server("SQLite", "", "")
DATABASES = [
    SQLITE,
    Server("PostgreSQL", POSTGRES, "psycopg"),
    Server("MariaDB", MARIADB, "MySQLdb"),
]
BROKER = Server("Redis", REDIS, "redis")


def main(given: list[str]) -> int:
    options, arguments = _parser().parse_known_args(given)
    databases = [server for server in DATABASES if server.name in options.on]
    servers = [*databases, BROKER]
    for server in servers:
        print(
            f"{server.name:<12} {'not tested: ' + server.missing if server.missing else 'tested'}"
        )
    if REQUIRED and any(server.missing for server in servers):
        print("REQUIRE_SERVERS=1, and not every server is there.")
        return NOT_ALL_THERE
    _coverage("erase")
    there = [server for server in databases if not server.missing]
    whole = not (given or NIGHTLY)
    codes = {each.name: _test_on(each, arguments, whole and each is SQLITE) for each in there}
    codes["coverage"] = _coverage("report") if whole else OK
    return _conclude(servers, codes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.everywhere", allow_abbrev=False)
    names = [server.name for server in DATABASES]
    parser.add_argument("--on", type=lambda text: text.split(","), default=names)
    return parser


def _test_on(server: Server, arguments: list[str], measured: bool) -> int:
    """Run pytest in a process of its own: the database is chosen when Django is set up."""
    print(f"\n── {server.name} " + "─" * 60, flush=True)
    tier = "nightly" if NIGHTLY else "not nightly"
    chosen = ["-m", tier if server is SQLITE else f"{tier} and not everywhere_once"]
    coverage = ["--cov=webhook_delivery", "--cov-report="] if measured else []
    began = time.monotonic()
    code = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", WORKERS, *coverage, *chosen, *arguments],
        env=_environment(server),
    ).returncode
    print(f"{server.name}: {time.monotonic() - began:.0f} s", flush=True)
    return code


def _environment(server: Server) -> Mapping[str, str]:
    chosen = {"TEST_REDIS_URL": REDIS} | ({"DATABASE_URL": server.url} if server.url else {})
    plain = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")}
    return {**plain, **chosen}


def _coverage(verb: str) -> int:
    return subprocess.run([sys.executable, "-m", "coverage", verb]).returncode


def _conclude(servers: list[Server], codes: dict[str, int]) -> int:
    print("\n── in all " + "─" * 60)
    for server in servers:
        print(f"{server.name:<12} {_said(server, codes)}")
    failed = [name for name, code in codes.items() if code != OK]
    print(f"Failed: {', '.join(failed)}" if failed else "All passed.")
    return 1 if failed else OK


def _said(server: Server, codes: dict[str, int]) -> str:
    if server.missing:
        return f"not tested: {server.missing}"
    return "used as broker" if server is BROKER else ["passed", "FAILED"][codes[server.name] != OK]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
