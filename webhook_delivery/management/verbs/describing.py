"""The verbs that describe what there is: the `catalogue` of events, and the settings, `config`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from webhook_delivery import configuration
from webhook_delivery.catalogue import entries
from webhook_delivery.management.rendering import as_json
from webhook_delivery.management.tables import table
from webhook_delivery.management.verbs.verb import LOOKING, Verb, misused
from webhook_delivery.presenting import as_asyncapi, as_markdown

FORMATS = ("markdown", "json", "asyncapi")


class Catalogue(Verb):
    """Prints the event types: a page for developers, or what programs make one of."""

    name = "catalogue"
    help = "print the event types, with schemas and examples"
    group = LOOKING
    example = 'catalogue > webhooks.md\ncatalogue --format asyncapi --title "The shop"'

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
            raise misused(f"The catalogue has no event type {pattern!r}.")
        if self.json or form == "json":
            self.out.write(as_json([entry.as_dict() for entry in found]))
        elif form == "asyncapi":
            self.out.write(as_json(as_asyncapi(found, title=title, version=release)))
        else:
            self.out.write(as_markdown(found, title=title))


class Config(Verb):
    """Prints the settings in force, those of the project and the defaults; no secret is shown."""

    name = "config"
    help = "print the settings in force"
    group = LOOKING
    example = "config\nconfig --changed --json"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        said = "only those that the project has set"
        parser.add_argument("--changed", action="store_true", help=said)

    def run(self, *, changed: bool, **options: Any) -> None:
        theirs = configuration.changed()
        values = {
            name: value
            for name, value in configuration.effective().items()
            if name in theirs or not changed
        }
        lines = [
            {"setting": name, "from": "settings" if name in theirs else "default", "value": value}
            for name, value in values.items()
        ]
        nothing = "Every setting is the default."
        self.say(values, table(("setting", "from", "value"), lines, self.style) or nothing)
