"""`python -m tests.themes`: open every screen, and say as JSON what of ours is on it."""

from __future__ import annotations

import json
import os
import re
import sys
from html.parser import HTMLParser

NUMBERS = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+")
MENU = re.compile(r"/admin/webhook_delivery/\w+/(?:add/)?")
"""Where the skins' own menus lead, each in its way."""


class Marks(HTMLParser):
    """Our classes and ids, where our links and forms lead, and what the forms ask."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        named = [*values.get("class", "").split(), values.get("id", "")]
        self.found |= {each for each in named if each.startswith("webhook-")}
        self.found |= {name for name in values if name.startswith("data-webhook-")}
        leads = values.get("action" if tag == "form" else "href", "")
        if tag in ("a", "form") and "/webhook_delivery/" in leads and not MENU.fullmatch(leads):
            self.found.add(f"{tag} {NUMBERS.sub('0', leads.partition('?')[0])}")
        if tag in ("input", "select", "textarea"):
            self._asks(values.get("name", ""))

    def _asks(self, name: str) -> None:
        """What Django's own forms have beside their fields is drawn by each skin in its way."""
        if name and not name.startswith(("_", "subscriptions-")):
            self.found.add(f"field {name}")


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.themes.settings"
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.test import Client
    from django.test.utils import setup_test_environment

    from tests.screens import addresses
    from tests.screens.past import write_past

    setup_test_environment()
    call_command("migrate", verbosity=0)
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="x"))
    write_past(3)
    found = {}
    for address in addresses():
        answer = client.get(address.url_of())
        marks = Marks()
        if answer.status_code == 200 and not answer.streaming:
            marks.feed(answer.content.decode())
        found[address.name] = {"status": answer.status_code, "marks": sorted(marks.found)}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
