"""What every verb of the command has: a name, a help, arguments of its own, and a voice."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from django.core.management.base import CommandParser, OutputWrapper
from django.db import connections, router

from webhook_delivery.management.rendering import as_json
from webhook_delivery.models import Delivery


class Verb(ABC):
    """One thing that the command can do; made anew for each run, with the options of the run."""

    name: ClassVar[str]
    help: ClassVar[str]

    def __init__(
        self, *, database: str, json: bool, out: OutputWrapper, err: OutputWrapper
    ) -> None:
        self.database = database
        self.json = json
        self.out = out
        self.err = err

    @classmethod
    def add_to(cls, verbs: Any) -> None:
        """Make the verb known to the parser."""
        parser: CommandParser = verbs.add_parser(cls.name, help=cls.help)
        cls.add_arguments(parser)
        parser.add_argument("--json", action="store_true", help="print JSON")
        parser.add_argument(
            "--database", default=router.db_for_write(Delivery), choices=list(connections)
        )

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
