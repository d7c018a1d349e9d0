"""Installs one package into an environment of its own, and has its run.py do the measured work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ENVIRONMENTS = Path(".build/bench/peers")
PATIENCE_SECONDS = 900.0


class PeerFailed(Exception):
    """The peer's run.py ended without figures; its last words are in the message."""


@dataclass
class Peer:
    """
    One package from PyPI, with the requirements that its project needs.

    `usual_count` is a backlog that keeps it busy for some ten seconds on two cores. `version` is
    known after `prepare`.
    """

    name: str
    requirements: tuple[str, ...]
    usual_count: int
    version: str = ""
    environment: Path = field(default=ENVIRONMENTS, repr=False)

    def prepare(self, folder: Path = ENVIRONMENTS) -> None:
        """Make the environment under `folder`, unless it is there with these requirements."""
        self.environment = folder.resolve() / self.name
        if not self._is_prepared():
            self._install()
        self.version = self._installed_version()

    def drain(self, url: str, count: int, body_bytes: int) -> dict[str, Any]:
        """
        Send `count` bodies of about `body_bytes` to `url`, as fast as the peer can.

        `sent`: deliveries that the peer recorded as successes (it keeps no record: requests that
        its sender has answered). `seconds`: from the first to the last of them, where there is a
        backlog that waits for the sender; else from the first publish to the last arrival.
        `startup_seconds`: how long its processes took before that; not in `seconds`.
        `cpu_seconds`: of the processes that send, their start included; the servers' are not in it.
        """
        return self._run("drain", {"url": url, "count": count, "body_bytes": body_bytes})

    def isolation(
        self,
        healthy: list[str],
        hanging: list[str],
        rate: float,
        seconds: float,
        timeout: float,
    ) -> dict[str, Any]:
        """
        Publish `rate` events a second for `seconds`, each to all of the endpoints.

        `latencies`: seconds from just before the save to the arrival, at the healthy endpoints;
        `sent` of the `offered` arrived at them. `timeout`: seconds an attempt may take. The URLs
        must be of `benchmarks.peers.receiver`, which is asked for the arrivals.
        """
        load = {"rate": rate, "seconds": seconds, "timeout": timeout}
        return self._run("isolation", {"healthy": healthy, "hanging": hanging, **load})

    @property
    def python(self) -> Path:
        return self.environment / "bin" / "python"

    def _is_prepared(self) -> bool:
        return self._stamp.exists() and self._stamp.read_text() == "\n".join(self.requirements)

    @property
    def _stamp(self) -> Path:
        return self.environment / ".ready"

    def _install(self) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--clear", self.environment], check=True)
        quiet = ("--quiet", "--quiet", "--disable-pip-version-check")
        subprocess.run(
            [self.python, "-m", "pip", "install", *quiet, *self.requirements], check=True
        )
        self._stamp.write_text("\n".join(self.requirements))

    def _installed_version(self) -> str:
        ask = f"from importlib.metadata import version; print(version({self.name!r}))"
        return subprocess.check_output([self.python, "-c", ask], text=True).strip()

    def _run(self, work: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if not self.version:
            self.prepare()
        project = HERE / self.name.replace("-", "_")
        command = [str(self.python), str(project / "run.py"), work, json.dumps(arguments)]
        figures: dict[str, Any] = json.loads(self._output_of(command, project))
        return figures

    def _output_of(self, command: list[str], project: Path) -> str:
        surroundings = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(project), str(HERE / "common")]),
            "DJANGO_SETTINGS_MODULE": "settings",
        }
        process = subprocess.Popen(command, env=surroundings, stdout=subprocess.PIPE, text=True)
        try:
            output, _ = process.communicate(timeout=PATIENCE_SECONDS)
        finally:
            process.terminate()  # it tears down its database and its workers when told to end
            process.wait()
        if process.returncode:
            raise PeerFailed(f"{self.name}: run.py ended with status {process.returncode}")
        return output
