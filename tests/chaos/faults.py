"""The faults, by name: each breaks something now, and remembers which claims that may have hit."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from django.db import DatabaseError, InterfaceError, connection

from example_project.processes import Cluster, Role
from tests.chaos.senders import Senders
from tests.chaos.supervisor import Member, Supervisor
from tests.servers import Postgres, Redis
from webhook_delivery.claims import lease_seconds
from webhook_delivery.models import Delivery

T = TypeVar("T")
Claimed = tuple[int, int]
"""A delivery, and the number of the attempt that it was claimed for."""

GRACE_SECONDS = 1.0
"""How long a group may take to end after SIGTERM, before the rest of it is killed."""
COMMIT_SECONDS = 0.2
"""A claim may yet be committed whose worker was killed as it waited for just that."""


@dataclass(frozen=True)
class Stopped:
    """A time in which some processes stood still."""

    began: float
    ended: float


@dataclass
class Toll:
    """What the faults may have cost."""

    kinds: list[str] = field(default_factory=list)
    at_risk: list[set[Claimed]] = field(default_factory=list)
    """For each fault that hits senders, the claims that were held."""
    stops: list[Stopped] = field(default_factory=list)

    @property
    def bound(self) -> int:
        return sum(map(len, self.at_risk))

    @property
    def hit(self) -> set[Claimed]:
        return set().union(*self.at_risk)


class NothingThere(Exception):
    """What was to be broken does not run just now."""


@dataclass
class Stage:
    """What there is to break, and what breaking it has cost so far."""

    supervisor: Supervisor
    publisher: Member
    senders: Senders
    chance: random.Random
    postgres: Postgres | None = None
    redis: Redis | None = None
    toll: Toll = field(default_factory=Toll)
    thaws: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def break_(self, kind: str) -> bool:
        """Break it, if it runs just now; whether it did."""
        try:
            FAULTS[kind](self)
        except NothingThere:
            return False
        self.toll.kinds.append(kind)
        print(f"{datetime.now(UTC):%X.%f} {kind}", flush=True)
        return True

    def thaw(self, *, everything: bool = False) -> None:
        """Let what has stood still for long enough go on."""
        now = time.monotonic()
        due = [thaw for thaw in self.thaws if everything or thaw[0] <= now]
        self.thaws = [thaw for thaw in self.thaws if thaw not in due]
        for _, go_on in due:
            go_on()

    def risk(self) -> None:
        """Remember the claims that are held: what was sent for them may not be recorded."""
        time.sleep(COMMIT_SECONDS)
        rows = Delivery.objects.sending().values_list("pk", "attempts_made")
        self.toll.at_risk.append(set(insist(lambda: list(rows))))

    def sender(self) -> Member:
        """One that does not stand still already."""
        return self._one_of([each for each in self.supervisor.members if not each.frozen])

    def process(self, role: Role) -> tuple[Member, Cluster, int]:
        """A process of that role, and whose it is."""
        member = self.sender()
        if not isinstance(member.process, Cluster):
            raise NothingThere
        return member, member.process, self._one_of(member.process.pids(role))

    def _one_of(self, those: list[T]) -> T:
        if not those:
            raise NothingThere
        return self.chance.choice(those)


def insist(ask: Callable[[], list[Claimed]]) -> list[Claimed]:
    """Ask the database until it answers: it may be among what was broken."""
    ends = time.monotonic() + 30
    while True:
        try:
            return ask()
        except (DatabaseError, InterfaceError):
            connection.close()
            if time.monotonic() > ends:
                raise
            time.sleep(0.1)


def kill_one(role: Role, stage: Stage) -> None:
    _, cluster, pid = stage.process(role)
    cluster.signal_one(pid, signal.SIGKILL)
    if role == "worker":
        stage.risk()


def kill_group(stage: Stage) -> None:
    stage.sender().process.kill()
    stage.risk()


def terminate_group(stage: Stage) -> None:
    """As a deploy does where every process gets the signal; the main process may hang after it."""
    process = stage.sender().process
    process.signal(signal.SIGTERM)
    stage.risk()
    if not process.gone(seconds=GRACE_SECONDS):
        process.kill()
        stage.risk()


def stop_worker(stage: Stage) -> None:
    member, cluster, pid = stage.process("worker")
    cluster.signal_one(pid, signal.SIGSTOP)
    _freeze(stage, member, partial(cluster.signal_one, pid, signal.SIGCONT))


def stop_group(stage: Stage) -> None:
    member = stage.sender()
    process = member.process
    process.signal(signal.SIGSTOP)
    _freeze(stage, member, partial(process.signal, signal.SIGCONT))


def _freeze(stage: Stage, member: Member, go_on: Callable[[], None]) -> None:
    """Let it stand still until its leases have ended, while the faults go on elsewhere."""
    stage.risk()
    began, member.frozen = time.time(), True

    def thaw() -> None:
        stage.risk()
        stage.toll.stops.append(Stopped(began, time.time()))
        go_on()
        member.frozen = False

    stage.thaws.append((time.monotonic() + lease_seconds() + 0.5, thaw))


def kill_publisher(stage: Stage) -> None:
    """Between the commit and the doorbell, perhaps; another goes on."""
    stage.publisher.process.kill()
    stage.publisher.start()


def bury(stage: Stage) -> None:
    """Workers outlive their cluster's main process: they go when the next fault comes."""
    if stage.supervisor.bury():
        stage.risk()


def supervise(stage: Stage) -> None:
    """A supervisor that ends what does not answer hits claims as any other fault does."""
    if stage.supervisor.look():
        stage.risk()


def terminate_backends(stage: Stage) -> None:
    """Cut every connection to the database but our own."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    stage.risk()


def restart_postgres(stage: Stage) -> None:
    assert stage.postgres
    stage.risk()
    stage.postgres.stop()
    stage.postgres.start()
    stage.risk()


def flush_redis(stage: Stage) -> None:
    assert stage.redis
    stage.redis.flush()


def restart_redis(stage: Stage) -> None:
    assert stage.redis
    stage.redis.stop()
    stage.redis.start()


SERVER_FAULTS = {"backends", "postgres", "flush", "redis"}
FAULTS: dict[str, Callable[[Stage], None]] = {
    "worker": partial(kill_one, "worker"),
    "sentinel": partial(kill_one, "sentinel"),
    "main": partial(kill_one, "main"),
    "pusher": partial(kill_one, "pusher"),
    "monitor": partial(kill_one, "monitor"),
    "group": kill_group,
    "term": terminate_group,
    "stop-worker": stop_worker,
    "stop-group": stop_group,
    "publisher": kill_publisher,
    "backends": terminate_backends,
    "postgres": restart_postgres,
    "flush": flush_redis,
    "redis": restart_redis,
}
PROCESS_FAULTS = [kind for kind in FAULTS if kind not in SERVER_FAULTS]
