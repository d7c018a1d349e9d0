"""`manage.py seed`: a past of a hundred thousand deliveries, to look around the console at size."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS
from tqdm import tqdm

from example_project.past import HABITS, Past
from webhook_delivery.models import Endpoint
from webhook_delivery.rollups import add_up


class Command(BaseCommand):
    help = "Add a past: endpoints that fare well, badly and not at all, and what they were sent."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--deliveries", type=int, default=100_000, help="how many (100000)")
        parser.add_argument("--days", type=int, default=28, help="over how many days (28)")
        parser.add_argument("--seed", type=int, default=7, help="another one, another story (7)")

    def handle(self, *, deliveries: int, days: int, seed: int, **options: Any) -> None:
        if Endpoint.objects.filter(name__in=[habit.name for habit in HABITS]).exists():
            raise CommandError("There is a past already: begin with an empty database.")
        with tqdm(total=deliveries, unit=" deliveries", disable=None) as bar:
            Past(deliveries, days, seed).write(bar.update)
        for _twice in range(2):  # what is first seen now is added by the next run
            add_up(using=DEFAULT_DB_ALIAS)
        self.stdout.write(
            f"{deliveries:,} deliveries to {len(HABITS)} endpoints, over {days} days. Look around: "
            "python manage.py createsuperuser, then runserver, then /admin/webhook_delivery/."
        )
