"""Reads the head of an answer: strictly where it decides, and cheaply where it does not."""

from __future__ import annotations

import http.client
import re

from webhook_delivery.transport.deadlines import ANSWER_BYTES

STATUS_LINE = re.compile(r"(HTTP/1\.[0-9]) ([1-9][0-9]{2})(?: (.*))?", re.DOTALL)
"""RFC 9112 §4; what it says about the reason is not insisted on."""
MOST_FIELDS = 200
FRAMING = frozenset({"content-length", "transfer-encoding"})
"""What says where the body ends; said twice, it says nothing."""


class Answer(http.client.HTTPResponse):
    """
    The answer that counts, known by its status line whatever follows that.

    It passes over interim answers (RFC 9110 §15.2), lest the final one be taken for the next. The
    standard library reads `+200` as a status, and headers by the email package, which can be made
    to take half a second.
    """

    ambiguous = False
    """Whether nobody can say where this answer ends."""

    def begin(self) -> None:
        while (status := self._read_head()) == http.client.CONTINUE:
            self._read_fields()
        self.code = self.status = status
        try:
            self._frame(self._read_fields())
        except (OSError, http.client.HTTPException):
            # The receiver has decided; that its headers cannot be read does not undo it.
            self._frame({})
            self.will_close = True  # what is left of them is not the next answer
            self._close_conn()  # type: ignore[attr-defined] # not in the stubs

    def _read_head(self) -> int:
        """The status; of an interim answer, 100."""
        line = self.fp.readline(ANSWER_BYTES + 1).decode("latin-1")
        if not line:
            raise http.client.RemoteDisconnected("no answer")
        found = STATUS_LINE.fullmatch(line.rstrip(" \r\n"))
        if not found or not line.endswith("\n"):
            raise http.client.BadStatusLine("no status line")
        self.version = 10 if found[1] == "HTTP/1.0" else 11
        self.reason, status = found[3] or "", int(found[2])
        return 100 if 101 < status < 200 else status

    def _read_fields(self) -> dict[str, str]:
        """The headers, by their names in lower case; the first of each."""
        fields: dict[str, str] = {}
        for _ in range(MOST_FIELDS):
            line = self.fp.readline(ANSWER_BYTES + 1)
            if line in (b"\r\n", b"\n"):
                return fields
            if not line.endswith(b"\n"):
                raise http.client.IncompleteRead(b"")
            self._keep(line.decode("latin-1"), fields)
        raise http.client.HTTPException("too many headers")

    def _keep(self, line: str, fields: dict[str, str]) -> None:
        name, colon, value = line.partition(":")
        name = name.lower()
        self.ambiguous = self.ambiguous or (name in FRAMING and name in fields)
        if colon and name.strip() == name:
            fields.setdefault(name, value.strip(" \t\r\n"))

    def _frame(self, fields: dict[str, str]) -> None:
        """Where the body ends (RFC 9112 §6.3); if that is doubtful, with the connection."""
        self.headers = self.msg = fields  # type: ignore[assignment] # only `get` is asked of them
        self.chunked = fields.get("transfer-encoding", "").lower() == "chunked"
        self.chunk_left = None
        self.length = None if self.chunked else self._length(fields.get("content-length", ""))
        unframed = not self.chunked and self.length is None
        both = fields.keys() >= FRAMING
        closes = self._check_close()  # type: ignore[attr-defined] # not in the stubs
        # 101: what follows is another protocol
        self.will_close = self.ambiguous or unframed or both or closes or self.status < 200

    def _length(self, said: str) -> int | None:
        if self.status in (204, 304) or self.status < 200:
            return 0
        return int(said) if said.isascii() and said.isdecimal() and len(said) < 19 else None
