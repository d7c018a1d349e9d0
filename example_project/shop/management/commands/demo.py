"""`manage.py demo`: sets everything up, tells the story, checks that it came true, and serves."""

from __future__ import annotations

import base64
import logging
import os
import secrets
import signal
import socket
import sys
import tempfile
from argparse import ArgumentParser
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management import BaseCommand, CommandError, call_command
from django.db import connection
from django.urls import reverse

from example_project.processes import Process, ReceiverProcess, qcluster
from example_project.story import SCRIPTS, NotInTime, Story
from example_project.verdict import verdict

ENVIRONMENT = {**os.environ, "WEBHOOK_DEMO": "1"}


class Command(BaseCommand):
    help = "Empty the database, tell how an order's webhook is delivered, then serve the admin."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--exit", action="store_true", help="stop after the story: 0 if it came true, else 1"
        )
        parser.add_argument(
            "--seconds", type=float, default=90, help="how long the story may take (90)"
        )
        parser.add_argument(
            "--script",
            action="append",
            default=[],
            metavar="PATH=503,0,200",
            help="let a receiver answer otherwise, and the story not come true",
        )

    def handle(self, **options: Any) -> None:
        for ending in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(ending, lambda *_: sys.exit(1))
        # A shell that starts us in the background has SIGINT ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        logging.getLogger("django-q").setLevel(logging.WARNING)
        empty_database()
        self.password = secrets.token_urlsafe(9)
        self.user = User.objects.create_superuser("demo", "", self.password)
        try:
            with ExitStack() as running:
                try:
                    self.play(running, options)
                finally:  # a second Ctrl-C must not leave processes behind
                    signal.signal(signal.SIGINT, signal.SIG_IGN)
        except KeyboardInterrupt:
            self.stdout.write("\nStopped.")

    def play(self, running: ExitStack, options: dict[str, Any]) -> None:
        logs = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="webhook-demo-")))
        secret = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
        scripts = [*SCRIPTS, *options["script"]]
        receiver = ReceiverProcess(log=logs / "receiver.log", secret=secret, scripts=scripts)
        running.enter_context(receiver)
        cluster = running.enter_context(qcluster(log=logs / "qcluster.log", env=ENVIRONMENT))
        story = Story(receiver, secret, self.user, self.say, cluster.running, options["seconds"])
        self.tell(story, cluster)
        if not options["exit"]:
            self.serve(running, logs / "server.log")

    def tell(self, story: Story, cluster: Process) -> None:
        try:
            story.tell()
        except NotInTime as late:
            self.stdout.write(f"\nThe end of the cluster's log:\n{cluster.log_tail()}\n")
            raise CommandError(f"The story did not come true: {late}.") from None
        self.judge(story)

    def judge(self, story: Story) -> None:
        self.stdout.write("\nHeld against the database and against what the receiver reports:")
        claims = verdict(story)
        for claim in claims:
            style = self.style.SUCCESS if claim.true else self.style.ERROR
            self.stdout.write(style(f"  {'true ' if claim.true else 'FALSE'}  {claim.text}"))
        wrong = sum(not claim.true for claim in claims)
        if wrong:
            raise CommandError(f"The story did not come true: {wrong} of {len(claims)} are false.")
        self.stdout.write(f"\nThe story came true: {len(claims)} of {len(claims)}.")

    def serve(self, running: ExitStack, log: Path) -> None:
        page = reverse("admin:webhook_delivery_deadletter_changelist")
        address = f"127.0.0.1:{free_port()}"
        arguments = ["manage.py", "runserver", "--noreload", address]
        server = running.enter_context(Process(*arguments, log=log, env=ENVIRONMENT))
        self.stdout.write(
            f"\nThe admin:  http://{address}{page}\n"
            f"Login:      demo\nPassword:   {self.password}\n\n"
            "There lie the dead letters of “gone” and “silent”. Save an order, and see it arrive.\n"
            "Cluster and receiver are still running. Ctrl-C stops everything."
        )
        server.wait()
        raise CommandError(f"The server stopped:\n{server.log_tail()}")

    def say(self, line: str, verdict: str = "", /) -> None:
        """Print at once; attempts have the colour of what they led to, on a terminal."""
        styles = {
            "delivered": self.style.SUCCESS,
            "retry": self.style.WARNING,
            "dead": self.style.ERROR,
        }
        self.stdout.write(styles[verdict](line) if verdict else line)
        self.stdout.flush()


def empty_database() -> None:
    """Begin anew, whatever was there."""
    if connection.vendor == "sqlite":
        connection.close()
        file = Path(connection.settings_dict["NAME"])
        file.parent.mkdir(parents=True, exist_ok=True)
        for part in ("", "-wal", "-shm"):
            Path(f"{file}{part}").unlink(missing_ok=True)
    call_command("migrate", verbosity=0, interactive=False)
    if connection.vendor != "sqlite":
        call_command("flush", verbosity=0, interactive=False)


def free_port(first: int = 8000) -> int:
    """Find the first port, from 8000 on, that nobody listens at."""
    for port in range(first, first + 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise CommandError(f"No port is free from {first} on.")
