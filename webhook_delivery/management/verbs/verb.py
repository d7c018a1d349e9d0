"""What every verb of the command has: a name, a help, arguments of its own, and a voice."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from argparse import RawDescriptionHelpFormatter
from inspect import cleandoc
from typing import Any, ClassVar

from django.core.management.base import (
    CommandError,
    CommandParser,
    DjangoHelpFormatter,
    OutputWrapper,
)
from django.core.management.color import Style, no_style
from django.db import connections, router
from django.db.models import QuerySet

from webhook_delivery.management.progress import Progress
from webhook_delivery.management.rendering import as_json
from webhook_delivery.models import Delivery

SENDING, LOOKING, CHANGING, KEEPING = "sending", "looking", "changing", "keeping"
GROUPS = (SENDING, LOOKING, CHANGING, KEEPING)
"""In which order the help tells of the verbs."""
NOTHING_DONE, WRONG_USAGE = 1, 2
"""What the command exits with, if not with 0."""


class Formatter(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """Examples are shown as they are written."""


class Verb(ABC):
    """One thing that the command can do; made anew for each run, with the options of the run."""

    name: ClassVar[str]
    help: ClassVar[str]
    group: ClassVar[str] = KEEPING
    example: ClassVar[str] = ""
    """Lines as they are typed, without `manage.py webhooks`."""
    fails: ClassVar[str] = ""
    """When it exits with 1, as the end of a sentence; empty: never."""
    changes: ClassVar[bool] = False
    """Whether it changes anything: then it has `--dry-run`, and `run` is told of it."""

    def __init__(
        self,
        *,
        database: str,
        json: bool,
        out: OutputWrapper,
        err: OutputWrapper,
        style: Style | None = None,
    ) -> None:
        self.database = database
        self.json = json
        self.out = out
        self.err = err
        self.style = style or no_style()

    @classmethod
    def add_to(cls, verbs: Any) -> None:
        """Make the verb known to the parser."""
        parser: CommandParser = verbs.add_parser(
            cls.name,
            description=cleandoc(cls.__doc__ or ""),
            epilog=cls._epilog(),
            formatter_class=Formatter,
        )
        cls.add_arguments(parser)
        if cls.changes:
            said = "say what would be changed, and change nothing"
            parser.add_argument("--dry-run", action="store_true", help=said)
        parser.add_argument("--json", action="store_true", help="print JSON")
        parser.add_argument(
            "--database", default=router.db_for_write(Delivery), choices=list(connections)
        )

    @classmethod
    def _epilog(cls) -> str:
        typed = [f"  manage.py webhooks {line}" for line in cls.example.splitlines()]
        fails = f"1: {cls.fails}; " if cls.fails else ""
        ends = f"exit status:\n  0: done; {fails}2: wrong usage"
        return "\n".join(["example:", *typed, "", ends] if typed else [ends])

    @classmethod
    @abstractmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        """Add the arguments that only this verb has."""

    @abstractmethod
    def run(self, *args: Any, **options: Any) -> None:
        """Do it; the options are its own arguments, and those of every command."""

    def say(self, value: Any, text: str) -> None:
        """Print the text, or the value if JSON was asked for."""
        self.out.write(as_json(value) if self.json else text)

    def say_ids(self, numbers: list[int]) -> None:
        """Print numbers only, one on a line: for `xargs`, or for `-` of another verb."""
        if numbers or self.json:
            self.say(numbers, "\n".join(map(str, numbers)))

    def conclude(self, done: object) -> None:
        """End, with 1 unless something was done."""
        if not done:
            self.out.flush()
            sys.exit(NOTHING_DONE)

    def progress(self, words: str, rows: QuerySet[Any] | None = None) -> Progress:
        """Show how far it is, to who watches; only for them is it counted how many there are."""
        total = rows.count() if rows is not None and self.err.isatty() else None
        return Progress(words, self.err, total=total)


def misused(message: str) -> CommandError:
    """What to raise for something that makes no sense: the command exits with 2."""
    return CommandError(message, returncode=WRONG_USAGE)
