"""Writes an attempt as a script for a shell, signature and all, without its secret (pure)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from urllib.parse import quote

LARGEST = 8192
"""Bytes of a body that stand in the script; a larger one is read from a file."""
MASK = "***"
"""Stands for a value that is not shown; in ASCII, as all of the script."""
URL_CHARACTERS = "".join(map(chr, range(0x21, 0x7F)))
PLAIN = frozenset(range(0x20, 0x7F)) - frozenset(b"'\\%")
"""What a format in single quotes means as it is."""

SCRIPT = r"""{notes}
body() {{ {body}; }}
timestamp=$(date +%s)
key=$(printf %s "${{WEBHOOK_SECRET#whsec_}}" | base64 -d | od -An -v -tx1 | tr -d ' \n')
signature=$({{ printf %s.%s. {webhook_id} "$timestamp"; body; }} |
  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | base64)
body | curl --request POST --globoff --data-binary @- \
{headers}
  --url {url}
"""


def script(
    *,
    url: str | None,
    webhook_id: str,
    headers: Mapping[str, str],
    body: bytes,
    file: str,
    prefix: str,
    notes: Iterable[str] = (),
) -> str:
    r"""
    Return lines that send the same bytes again, signed now with `$WEBHOOK_SECRET`.

    They are ASCII, but for the notes: whatever a stranger wrote, no terminal and no shell obeys it.

    url: None if who asks may not see it; it is `$WEBHOOK_URL` then.
    headers: those beside the signature's own, as they may be shown.
    file: what the body is read from if it is too large to stand here.
    prefix: what the names of the signature's headers begin with.
    notes: comments that stand before it.
    """
    signed = {f"{prefix}id": webhook_id}
    lines = [_header(f"{name}: {value}") for name, value in {**headers, **signed}.items()]
    lines += [f'  --header "{prefix}timestamp: $timestamp" \\']
    lines += [f'  --header "{prefix}signature: v1,$signature" \\']
    return SCRIPT.format(
        notes="\n".join(f"# {' '.join(note.split())}" for note in notes),
        body=_printf(body) if len(body) <= LARGEST else f"cat {_quoted(file)}",
        webhook_id=_quoted(webhook_id),
        headers="\n".join(lines),
        url='"$WEBHOOK_URL"' if url is None else _quoted(quote(url, safe=URL_CHARACTERS)),
    )


def _printf(body: bytes) -> str:
    """A command that prints just these bytes: octal for all that a shell or terminal might read."""
    text = "".join(map(_byte, body))
    return "printf '" + re.sub("^-", r"\\055", text) + "'"


def _byte(code: int) -> str:
    return chr(code) if code in PLAIN else f"\\{code:03o}"


def _header(line: str) -> str:
    return f"  --header {_quoted(line)} \\"


def _quoted(text: str) -> str:
    """One word for a shell, without anything that a terminal would obey."""
    return shlex.quote("".join(map(_character, text)))


def _character(character: str) -> str:
    plain = " " <= character <= "~"
    return character if plain else character.encode("unicode_escape").decode()
