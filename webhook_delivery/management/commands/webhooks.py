"""`manage.py webhooks VERB …`; the verbs are in `management.verbs`."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.management.color import no_style
from django.db import InterfaceError, OperationalError

from webhook_delivery.management.verbs import VERBS
from webhook_delivery.management.verbs.verb import GROUPS, Formatter


class Command(BaseCommand):
    help = "Works on webhook deliveries: send what is due, look at them, send them again."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(
            prog_name, subcommand, **{"formatter_class": Formatter, **kwargs}
        )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.description = f"{self.help}\n\n{_verbs_by_group()}"
        parser.epilog = "VERB --help says what a verb takes, with examples: docs/commands.md."
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for verb in VERBS:
            verb.add_to(verbs)

    def check(self, *args: Any, **kwargs: Any) -> None:
        """Ask no database yet, as Django 6.1 would: a verb says it better if none answers."""
        super().check(*args, **{**kwargs, "databases": []})

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        chosen = {each.name: each for each in VERBS}[verb]
        database, json = options.pop("database"), options.pop("json")
        style = self.style if self.stdout.isatty() or options["force_color"] else no_style()
        out, err = self.stdout, self.stderr
        try:
            chosen(database=database, json=json, out=out, err=err, style=style).run(**options)
            self.stdout.flush()
        except BrokenPipeError:
            _leave_quietly()
        except (OperationalError, InterfaceError) as error:
            raise CommandError(f"The database does not answer: {error}") from error


def _verbs_by_group() -> str:
    """All verbs, those that do similar things together."""
    width = max(len(verb.name) for verb in VERBS)
    parts = []
    for group in GROUPS:
        its = [verb for verb in VERBS if verb.group == group]
        parts.append("\n".join([f"{group}:", *(f"  {v.name:<{width}}  {v.help}" for v in its)]))
    return "\n\n".join(parts)


def _leave_quietly() -> None:
    """Whoever read what we print (`| head`) has enough; the rest must not be flushed to them."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)
