"""The verb that describes what is sent: `catalogue`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from webhook_delivery.catalogue import entries
from webhook_delivery.management.rendering import as_json
from webhook_delivery.management.verbs.verb import Verb
from webhook_delivery.presenting import as_asyncapi, as_markdown

FORMATS = ("markdown", "json", "asyncapi")


class Catalogue(Verb):
    """Prints the event types: a page for developers, or what programs make one of."""

    name = "catalogue"
    help = "print the event types, with schemas and examples"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        parser.add_argument("--format", dest="form", choices=FORMATS, default="markdown")
        parser.add_argument("--type", dest="pattern", default="*", help="event type, or order.*")
        parser.add_argument("--title", default="Webhooks", help="of the page, or the document")
        parser.add_argument("--release", default="1.0.0", help="the document's version (AsyncAPI)")

    def run(
        self,
        *,
        form: str,
        pattern: str,
        title: str,
        release: str,
        **options: Any,
    ) -> None:
        found = entries(pattern)
        if not found:
            raise CommandError(f"The catalogue has no event type {pattern!r}.")
        if self.json or form == "json":
            self.out.write(as_json([entry.as_dict() for entry in found]))
        elif form == "asyncapi":
            self.out.write(as_json(as_asyncapi(found, title=title, version=release)))
        else:
            self.out.write(as_markdown(found, title=title))
