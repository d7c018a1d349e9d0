"""The verbs about the log: `verify` it against the rows or a copy, and `export` the copy."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from django.core.management.base import CommandError, CommandParser

from webhook_delivery import archive, verification
from webhook_delivery.judging import Discrepancy
from webhook_delivery.management.progress import Progress
from webhook_delivery.management.verbs.choosing import STANDARD, add_filters, chosen
from webhook_delivery.management.verbs.verb import Verb
from webhook_delivery.models import Delivery, DeliveryQuerySet
from webhook_delivery.restoring import Restoration


class Verify(Verb):
    """Compares deliveries with their logs, or with a copy; exits with 1 if faults are left."""

    name = "verify"
    help = "compare deliveries with their logs"
    changes = True
    example = "verify\nverify --repair\nverify --from deliveries.jsonl --repair --dry-run"
    fails = "faults are left"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        parser.add_argument("--repair", action="store_true", help="mend what can be mended")
        parser.add_argument(
            "--from", dest="copy", metavar="FILE", help="compare with an export; -: standard input"
        )

    def run(self, *, repair: bool, copy: str | None, dry_run: bool, **options: Any) -> None:
        """Without `--repair`, nothing is changed anyway."""
        repair = repair and not dry_run
        if copy is None:
            self._verify_rows(repair)
        else:
            self._verify_copy(copy, repair)

    def _verify_rows(self, repair: bool) -> None:
        with self.progress("deliveries checked", self._all()) as progress:
            found = verification.verify(using=self.database, repair=repair, told=progress.add)
            counts = self._print(found, progress)
        self._conclude(counts, {"checked": progress.count})

    def _verify_copy(self, copy: str, repair: bool) -> None:
        with _opened(copy) as file, self.progress("lines read") as progress:
            restoration = Restoration(using=self.database, repair=repair, told=progress.add)
            counts = self._print(restoration.compare(file), progress)
        states = {"states": dict(restoration.states), "retired": restoration.retired}
        self._conclude(counts, {"read": progress.count, **states})

    def _all(self) -> DeliveryQuerySet:
        return Delivery.objects.using(self.database).all()

    def _print(self, found: Iterable[Discrepancy], progress: Progress) -> dict[str, int]:
        """Print each when it is found: there may be more than fit into memory."""
        counts = {"found": 0, "mended": 0}
        if self.json:
            self.out.write('{"discrepancies": [', ending="")
        for each in found:
            progress.clear()
            comma = "," if counts["found"] else ""
            said = f"{comma}\n{json.dumps(asdict(each))}" if self.json else f"{each}\n"
            self.out.write(said, ending="")
            counts["found"] += 1
            counts["mended"] += each.mended
        return counts

    def _conclude(self, counts: dict[str, int], facts: dict[str, Any]) -> None:
        if self.json:
            self.out.write(f"], {json.dumps(facts | counts)[1:]}")
        else:
            self.out.write(_sentence(counts, facts))
        self.conclude(counts["found"] == counts["mended"])


class Export(Verb):
    """Writes deliveries with their logs, a line of JSON each; the copy that `verify` can read."""

    name = "export"
    help = "write deliveries with their logs as JSON Lines"
    example = (
        "export deliveries.jsonl --since 2026-11-20T00:00\nexport --state dead | gzip > dead.gz"
    )
    fails = "the file cannot be written"

    @classmethod
    def add_arguments(cls, parser: CommandParser) -> None:
        add_filters(parser)
        parser.add_argument("file", nargs="?", default=STANDARD, metavar="FILE")

    def run(self, *, file: str, **options: Any) -> None:
        deliveries = chosen(self.database, **options)
        standard = file == STANDARD
        progress = self.progress("deliveries written", deliveries)
        with progress, nullcontext(self.out) if standard else _replaced(Path(file)) as copy:
            for line in archive.export(deliveries):
                copy.write(f"{line}\n")
                progress.add(1)
        if not standard:
            said = f"Deliveries written to {file}: {progress.count}."
            self.say({"file": file, "deliveries": progress.count}, said)


@contextmanager
def _opened(copy: str) -> Iterator[IO[bytes]]:
    if copy == STANDARD:
        yield sys.stdin.buffer
        return
    try:
        file = Path(copy).open("rb")  # noqa: SIM115 - what else fails while it is open says so
    except OSError as error:
        raise CommandError(f"{copy} cannot be read: {error.strerror}.") from None
    with file:
        yield file


@contextmanager
def _replaced(file: Path) -> Iterator[IO[str]]:
    """A file that takes the place of the old one only when it has been written to its end."""
    part = file.with_name(f"{file.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="\n") as written:
            yield written
        part.replace(file)
    except OSError as error:
        raise CommandError(f"{file} cannot be written: {error.strerror}.") from None
    finally:
        part.unlink(missing_ok=True)


def _sentence(counts: dict[str, int], facts: dict[str, Any]) -> str:
    """What was looked at, and what came of it."""
    if "states" in facts:
        states = [f"{number} {state}" for state, number in sorted(facts["states"].items())]
        looked = f"Lines read: {facts['read']} ({', '.join(states) or 'no deliveries'})."
    else:
        looked = f"Deliveries checked: {facts['checked']}."
    if facts.get("retired"):
        looked += f" Gone since, for their time was over: {facts['retired']}."
    if not counts["found"]:
        return f"{looked} All is as the log says."
    return f"{looked} Faults found: {counts['found']}, mended: {counts['mended']}."
