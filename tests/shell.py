"""`manage.py webhooks …` in this process: what it printed, and what it exited with."""

from __future__ import annotations

import io
import json
from typing import Any, NamedTuple

from django.core.management import CommandError, call_command


class Ran(NamedTuple):
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Terminal(io.StringIO):
    """Somebody watches."""

    def isatty(self) -> bool:
        return True


def run(*arguments: object, out: io.StringIO | None = None, err: io.StringIO | None = None) -> Ran:
    out, err, code = out or io.StringIO(), err or io.StringIO(), 0
    try:
        call_command("webhooks", *map(str, arguments), stdout=out, stderr=err)
    except SystemExit as exited:
        code = int(exited.code or 0)
    except CommandError as error:
        # What the parser refuses exits with 2 on a real command line, and raises here.
        wrong = str(error).startswith("Error: ")
        return Ran(2 if wrong else error.returncode, out.getvalue(), f"{err.getvalue()}{error}")
    return Ran(code, out.getvalue(), err.getvalue())


def in_json(*arguments: object) -> Any:
    """What a command that succeeds tells programs."""
    ran = run(*arguments, "--json")
    assert ran.code == 0, ran
    return ran.json
