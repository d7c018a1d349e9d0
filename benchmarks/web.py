"""A private nginx that answers 204, plainly and over TLS, and counts who connected."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Self

import certifi
import trustme

CONFIGURATION = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_max_body_size 1m;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 100000000;
  keepalive_timeout 600s;
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    listen 127.0.0.1:{tls_port} ssl backlog=1024;
    ssl_certificate {folder}/server.pem;
    ssl_certificate_key {folder}/server.pem;
    location / {{ return 204; }}
    location = /status {{ stub_status; }}
  }}
}}
"""
HINT = "nginx is needed: as root `apt-get install nginx-light`, or put another nginx on the PATH."


def find() -> str:
    """Where nginx is: on Debian, not where a user's PATH leads."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    program = shutil.which("nginx", path=path)
    if program is None:
        raise SystemExit(HINT)
    return program


class Web:
    """Runs while its `with` block does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port, self.tls_port = _free_port(), _free_port()
        self.bundle = folder / "trusted.pem"
        """What to verify its certificate with: certifi's roots, and its own."""

    def __enter__(self) -> Self:
        program = find()
        self._certify()
        settings = self._folder / "nginx.conf"
        settings.write_text(
            CONFIGURATION.format(folder=self._folder, port=self.port, tls_port=self.tls_port)
        )
        self._process = subprocess.Popen(
            [program, "-p", str(self._folder), "-c", str(settings)],
            stderr=(self._folder / "nginx.log").open("ab"),
        )
        _await(self.port)
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.terminate()
        self._process.wait()

    def url(self, path: str = "/hook", *, tls: bool = False) -> str:
        if tls:
            return f"https://127.0.0.1:{self.tls_port}{path}"
        return f"http://127.0.0.1:{self.port}{path}"

    def connections(self) -> int:
        """How many others were ever accepted: each asking is one, too, and so was the probe."""
        with urllib.request.urlopen(self.url("/status"), timeout=5) as answer:
            accepted = int(answer.read().decode().splitlines()[2].split()[0])
        self._asked += 1
        return accepted - self._asked

    _asked = 1

    def _certify(self) -> None:
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1", "localhost")
        certificate.private_key_and_cert_chain_pem.write_to_path(str(self._folder / "server.pem"))
        roots = Path(certifi.where()).read_bytes()
        self.bundle.write_bytes(roots + b"\n" + authority.cert_pem.bytes())


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _await(port: int, seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"nginx does not answer on port {port}; see its nginx.log.")
