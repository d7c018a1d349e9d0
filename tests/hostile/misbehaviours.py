"""How receivers misbehave on the wire, and how an attempt at each of them must end."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from tests.hostile.acts import (
    Act,
    Wire,
    answers,
    answers_each,
    closes,
    drip,
    endless,
    hangs,
    leaves,
    resets,
    sip,
    unasked,
)

PLAIN, TLS = "http", "https"
MEGABYTE = 1_000_000
MORE_THAN_BUFFERS_HOLD = 12 * MEGABYTE
"""Linux gives a connection up to 4 MB for what it sends, and 6 MB for what it receives."""


@dataclass(frozen=True)
class Misbehaviour:
    """What a receiver does, and what an attempt at it has to find."""

    act: Act
    ends: str | tuple[str, ...]
    """The status, if there is one, and the fault; or which there may be."""
    asked: int = 1
    """How many requests are made in a row; all but the last are given much more time."""
    body: int = 2
    """Bytes of each request."""
    keeps: bytes | None = None
    """The start of its answer, as it has to be kept; None if that is not the point."""
    soon: bool = False
    """Whether it has said enough long before the deadline."""
    over: tuple[str, ...] = (PLAIN, TLS)
    context: str = "good"
    """How TLS is spoken; empty if it is not, though the client does."""


It = Misbehaviour

OK = b"HTTP/1.1 200 OK\r\n"
FOUND = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\n"
DONE = b"HTTP/1.1 204 No Content\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
BLOCK = b"x" * 65536

GZIP = gzip.compress(bytes(10 * MEGABYTE), mtime=0) * 30  # members that are read as one: 300 MB
DEFLATE = zlib.compress(bytes(20 * MEGABYTE), 9)
POISON = b"\0\xff\xc3( \xed\xa0\x80 \xf0\x9f\x92\xa3 \xe2\x80\xae \x1b[2J <script>alert(1)</script>"


def bomb(coding: bytes, body: bytes, head: bytes = OK) -> Act:
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    return answers(head, b"Content-Encoding: " + coding + b"\r\n", length, body)


def sized(length: bytes, *parts: bytes | Act) -> Act:
    return answers(OK, b"Content-Length: " + length + b"\r\n\r\n", *parts)


def chunks(*parts: bytes | Act) -> Act:
    return answers(OK, CHUNKED, b"\r\n", *parts)


BODIES = {
    "200 MB": It(sized(b"200000000", endless(BLOCK)), "200 delivered", keeps=b"x" * 2048),
    "no end": It(answers(OK, b"\r\n", endless(BLOCK)), "200 delivered", keeps=b"x" * 2048),
    "no end, in chunks": It(chunks(endless(b"1000\r\n" + b"x" * 4096 + b"\r\n")), "200 delivered"),
    "no end, in chunks of one": It(chunks(endless(b"1\r\nx\r\n" * 5000)), "200 delivered"),
    "gzip bomb": It(bomb(b"gzip", GZIP), "200 delivered", keeps=GZIP[:2048]),
    "deflate bomb": It(bomb(b"deflate", DEFLATE), "200 delivered", keeps=DEFLATE[:2048]),
    "called Brotli": It(bomb(b"br", GZIP), "200 delivered", keeps=GZIP[:2048]),
    "called zstd": It(bomb(b"zstd", GZIP), "200 delivered", keeps=GZIP[:2048]),
    "bomb in transfer": It(
        answers(OK, b"Transfer-Encoding: gzip\r\n\r\n", GZIP), "200 delivered", keeps=GZIP[:2048]
    ),
    "302 and a bomb": It(bomb(b"gzip", GZIP, FOUND), "302 redirect", keeps=GZIP[:2048]),
    "302 and no end": It(answers(FOUND, b"\r\n", endless(BLOCK)), "302 redirect", soon=True),
    "503 and no end": It(answers(BUSY, b"\r\n", endless(BLOCK)), "503 http_5xx", soon=True),
    "poison": It(answers(OK, b"\r\n", POISON), "200 delivered", keeps=POISON),
}


def hears_out(wire: Wire) -> None:
    """Answer once, and take the next request without a word."""
    wire.hear()
    wire.play(DONE)
    wire.hear()
    wire.play(hangs)


def hears_kilobytes(wire: Wire) -> None:
    """Answer once, and take the next request by kilobytes."""
    wire.hear()
    wire.play(DONE, sip)


def hangs_up_late(wire: Wire) -> None:
    """Hang up on the second request after a while; where it is then made again, say nothing."""
    if b"\r\nx-post: 1\r\n" in wire.hear():
        wire.play(DONE)
        wire.hear()
        wire.pause(0.5)
        wire.play(closes)
    wire.play(hangs)


DRIPS = {
    "in the status line": It(answers(drip(OK)), "timeout"),
    "in the reason": It(answers(b"HTTP/1.1 200 ", drip(BLOCK)), "timeout"),
    "in the headers": It(answers(OK, drip(BLOCK)), "200 delivered"),
    "in the headers of a 503": It(answers(BUSY, drip(BLOCK)), "503 http_5xx"),
    "in the body": It(sized(b"9999", drip(BLOCK)), "200 delivered"),
    "in the size of a chunk": It(chunks(drip(b"0" * 9999)), "200 delivered"),
    "in a chunk": It(chunks(b"9999\r\n", drip(BLOCK)), "200 delivered"),
    "in the trailers": It(chunks(b"0\r\n", drip(BLOCK)), "200 delivered"),
    "in the body, when enough is said": It(
        sized(b"9999", b"x" * 3000, drip(BLOCK)), "200 delivered", keeps=b"x" * 2048, soon=True
    ),
    "in an interim answer": It(answers(drip(CONTINUE)), "timeout"),
    "not a word": It(answers(hangs), "timeout"),
    "not a word, and not an ear": It(unasked(hangs), "timeout", body=MEGABYTE),
    "not a word to the second": It(hears_out, "204 delivered, timeout", asked=2),
    "a late end, and not a word": It(hangs_up_late, "204 delivered, timeout", asked=2),
    "an ear for kilobytes of the second": It(
        hears_kilobytes, "204 delivered, timeout", asked=2, body=MORE_THAN_BUFFERS_HOLD
    ),
    "a length, and then nothing": It(sized(b"9", b"abc", hangs), "200 delivered", keeps=b"abc"),
    "an ear for kilobytes": It(unasked(sip), "timeout", body=MEGABYTE),
}

INTERIM = {
    "100, fast, for ever": It(answers(endless(CONTINUE * 100)), "too_large", soon=True),
    "100, slowly, for ever": It(answers(endless(CONTINUE, every=0.1)), "timeout"),
    "103, fast, for ever": It(answers(endless(HINTS * 100)), "too_large", soon=True),
    "103, slowly, for ever": It(answers(endless(HINTS, every=0.1)), "timeout"),
    "100 without end to its headers": It(
        answers(CONTINUE[:-2], endless(b"a: b\r\n" * 100)), "protocol"
    ),
    "100 without end to a header": It(answers(CONTINUE[:-2], endless(BLOCK)), "too_large"),
    "100, 102, 103, and then 200": It(
        answers(CONTINUE, PROCESSING, HINTS, OK, b"Content-Length: 2\r\n\r\nhi"),
        "200 delivered",
        keeps=b"hi",
    ),
    "199, and then 503": It(answers(b"HTTP/1.1 199 Odd\r\n\r\n", BUSY, b"\r\n"), "503 http_5xx"),
    "101": It(answers(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), "101 protocol"),
    "101, and no end": It(
        answers(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", endless(BLOCK)), "101 protocol"
    ),
    "103, and no more": It(answers(HINTS), "reset"),
}


def status(line: bytes) -> Act:
    return answers(line + b"\r\nContent-Length: 0\r\n\r\n")


STATUS_LINES = {
    "99": It(status(b"HTTP/1.1 99 Low"), "protocol"),
    "1000": It(status(b"HTTP/1.1 1000 High"), "protocol"),
    "-1": It(status(b"HTTP/1.1 -1 Negative"), "protocol"),
    "+200": It(status(b"HTTP/1.1 +200 Positive"), "protocol"),
    "2_00": It(status(b"HTTP/1.1 2_00 Grouped"), "protocol"),
    "0200": It(status(b"HTTP/1.1 0200 Padded"), "protocol"),
    "2OO": It(status(b"HTTP/1.1 2OO OK"), "protocol"),
    "600": It(status(b"HTTP/1.1 600 Odd"), "600 protocol"),
    "999": It(status(b"HTTP/1.1 999 Odd"), "999 protocol"),
    "blanks without end": It(answers(b"HTTP/1.1 200 " + b" " * 65_000), "protocol", soon=True),
    "no reason": It(status(b"HTTP/1.1 200"), "200 delivered"),
    "no status": It(status(b"HTTP/1.1"), "protocol"),
    "a reason in Latin-1, with NUL": It(status(b"HTTP/1.1 200 \xe9\0\x1b"), "200 delivered"),
    "HTTP/0.9": It(answers(b"<html>Hello</html>"), "protocol"),
    "HTTP/2, spelt out": It(status(b"HTTP/2 200"), "protocol"),
    "HTTP/2, its preface": It(unasked(b"\0\0\x12\4\0\0\0\0\0" + bytes(18), leaves), "protocol"),
    "SSH": It(unasked(b"SSH-2.0-OpenSSH_9.2\r\n", leaves), "protocol"),
    "Shoutcast": It(status(b"ICY 200 OK"), "protocol"),
    "lower case": It(status(b"http/1.1 200 ok"), "protocol"),
    "an empty line": It(answers(b"\r\n", DONE), "protocol"),
    "NUL": It(answers(bytes(100)), "protocol"),
    "cut short": It(answers(b"HTTP/1.1 2"), "protocol"),
    "without end": It(answers(endless(BLOCK)), "too_large"),
    "without end, after a 200": It(answers(b"HTTP/1.1 200 ", endless(BLOCK)), "too_large"),
}


def headed(*lines: bytes | Act, head: bytes = OK) -> Act:
    return answers(head, *lines, b"\r\n")


HEADERS = {
    "101 of them": It(headed(b"a: b\r\n" * 101), "200 delivered"),
    "1000 cookies": It(headed(b"Set-Cookie: a=b\r\n" * 1000), "200 delivered"),
    "without end": It(headed(endless(b"a: b\r\n" * 100)), "200 delivered"),
    "without end, after a 503": It(headed(endless(b"a: b\r\n"), head=BUSY), "503 http_5xx"),
    "one of 65 537 bytes": It(headed(b"a: " + b"b" * 65532 + b"\r\n"), "200 delivered"),
    "one without end": It(headed(b"a: ", endless(BLOCK)), "200 delivered"),
    "one without end, after a 404": It(
        headed(b"a: ", endless(BLOCK), head=b"HTTP/1.1 404 Not Found\r\n"), "404 http_4xx"
    ),
    "no colon": It(headed(b"Content-Length: 0\r\nnonsense\r\n"), "200 delivered"),
    "no name": It(headed(b": nameless\r\n"), "200 delivered"),
    "folded": It(headed(b"a: b\r\n c\r\n\td\r\n"), "200 delivered"),
    "folded at once": It(headed(b" a: b\r\n"), "200 delivered"),
    "NUL": It(headed(b"a: \0\r\n\0: b\r\n"), "200 delivered"),
    "Latin-1": It(headed(b"a: \xe9\xff\r\nRetry-After: \xd9\xa3\r\n"), "200 delivered"),
    "a separator after a number": It(headed(b"Retry-After: 5\x1c\r\n"), "200 delivered"),
    "lone carriage returns": It(headed(b"a: b\rc: d\r\n"), "200 delivered"),
    "a type that cannot be read": It(
        headed(b'Content-Type: multipart/a; boundary*=a; boundary*0="b"\r\n'), "200 delivered"
    ),
    "a message in a message": It(headed(b"Content-Type: message/rfc822\r\n"), "200 delivered"),
    "a reset among them": It(headed(b"a: b\r\n", resets), "200 delivered"),
    "a reset among those of a 503": It(headed(b"a: b\r\n", resets, head=BUSY), "503 http_5xx"),
    "an end among them": It(answers(OK, b"a: b"), "200 delivered"),
}

FRAMES = {
    "204 with a body": It(answers(DONE, b"boo"), "204 delivered"),
    "304 with a body": It(answers(b"HTTP/1.1 304 Not Modified\r\n\r\nboo"), "304 redirect"),
    "length too short": It(sized(b"2", b"abcdef"), "200 delivered", keeps=b"ab"),
    "length too long": It(sized(b"9", b"abc"), "200 delivered", keeps=b"abc"),
    "length negative": It(sized(b"-5", b"abc"), "200 delivered", keeps=b"abc"),
    "length no number": It(sized(b"abc", b"abc"), "200 delivered", keeps=b"abc"),
    "length of 5000 digits": It(sized(b"9" * 5000, b"abc"), "200 delivered", keeps=b"abc"),
    "two lengths": It(sized(b"3\r\nContent-Length: 9", b"abc"), "200 delivered"),
    "length and chunks": It(
        sized(b"1\r\nTransfer-Encoding: chunked", b"2\r\nab\r\n0\r\n\r\n"), "200 delivered"
    ),
    "chunked, and not": It(
        answers(OK, b"Transfer-Encoding: chunked, identity\r\n\r\nabc"), "200 delivered"
    ),
    "chunk of no number": It(chunks(b"zz\r\nabc\r\n0\r\n\r\n"), "200 delivered"),
    "chunk of 2^63": It(chunks(b"8000000000000000\r\nabc"), "200 delivered", keeps=b"abc"),
    "chunk of less than none": It(chunks(b"-5\r\nabc\r\n0\r\n\r\n"), "200 delivered"),
    "chunk of 5000 digits": It(chunks(b"f" * 5000 + b"\r\nabc"), "200 delivered", keeps=b"abc"),
    "chunk with an extension without end": It(chunks(b"3;", endless(BLOCK)), "200 delivered"),
    "chunk without its end": It(chunks(b"3\r\nabcdef"), "200 delivered"),
    "trailers without end": It(chunks(b"0\r\n", endless(b"a: b\r\n" * 100)), "200 delivered"),
}

ENDINGS = {
    "reset in the body": It(sized(b"9", b"abc", resets), "200 delivered"),
    "reset before a word": It(answers(resets), "reset"),
    "reset in the status line": It(answers(b"HTTP/1.1 20", resets), ("reset", "protocol")),
    "end before a word": It(answers(), "reset"),
    "reset before the request": It(unasked(resets), "reset"),
    "end before the request": It(unasked(closes), "reset"),
    "200 before the request": It(unasked(DONE, leaves), "204 delivered", body=MEGABYTE),
    "200 before the request, and away": It(unasked(DONE, closes), "204 delivered", body=MEGABYTE),
    "413 before the request, and away": It(
        unasked(b"HTTP/1.1 413 Content Too Large\r\n\r\n", closes),
        "413 http_4xx",
        body=MEGABYTE,
    ),
}


def redirect(code: int, where: bytes = b"") -> Misbehaviour:
    location = b"Location: " + where + b"\r\n" if where else b""
    head = b"HTTP/1.1 %d Elsewhere\r\nContent-Length: 0\r\n" % code
    return It(answers(head, location, b"\r\n"), f"{code} redirect")


ELSEWHERE = {
    "to public ground": b"https://www.example.com/",
    "to private ground": b"http://10.0.0.1/",
    "to metadata": b"http://169.254.169.254/latest/meta-data/",
    "to this machine": b"http://127.0.0.1:9/",
    "to a file": b"file:///etc/passwd",
    "to itself": b"/",
    "to nowhere": b"",
}
REDIRECTS = {
    f"{code} {where}": redirect(code, location)
    for code in (301, 302, 303, 307, 308)
    for where, location in ELSEWHERE.items()
}

PAGE = 8192
"""How much is read from a socket at once, and the boundary behind which a forged answer lies."""


def padded(head: bytes, size: int) -> bytes:
    """An answer without a body of exactly so many bytes."""
    rest = size - len(head) - len(b"Content-Length: 0\r\nx: \r\n\r\n")
    return head + b"Content-Length: 0\r\nx: " + b"x" * rest + b"\r\n\r\n"


TAKEN, FORGED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", padded(OK, 1024)
FORGERY = padded(BUSY, 1024) + FORGED * 15
"""Sixteen answers to one request; in TLS, one record: half of it is left when the first is read."""


def forges(first: bytes, ends: str = "503 http_5xx") -> Misbehaviour:
    return It(answers_each(first, TAKEN), f"{ends}, 202 delivered", asked=2)


def hangs_up_in_the_second(wire: Wire) -> None:
    wire.hear()
    wire.play(DONE)
    wire.take(1024)
    wire.play(closes)


SECOND_ANSWERS = {
    "at once": forges(padded(BUSY, 1024) + FORGED),
    "beyond what is read at once": forges(FORGERY),
    "beyond the body": forges(BUSY + b"Content-Length: 3\r\n\r\nabc" + FORGED * 60),
    "after 204": forges(DONE + FORGED * 60, "204 delivered"),
    "after the last chunk": forges(BUSY + CHUNKED + b"\r\n0\r\n\r\n" + FORGED * 60),
    "after a chunk of no number": forges(BUSY + CHUNKED + b"\r\nzz\r\n" + FORGED * 60),
    "after an interim answer": forges(HINTS + padded(BUSY, PAGE - len(HINTS)) + FORGED * 8),
    "none: it hangs up when idle": It(answers(DONE), ", ".join(["204 delivered"] * 3), asked=3),
    "none: it hangs up in the middle of the next": It(
        hangs_up_in_the_second, ", ".join(["204 delivered"] * 3), asked=3, body=MEGABYTE
    ),
}

SECTIONS: Mapping[str, Mapping[str, Misbehaviour]] = {
    "bodies": BODIES,
    "drips": DRIPS,
    "interim answers": INTERIM,
    "status lines": STATUS_LINES,
    "headers": HEADERS,
    "frames": FRAMES,
    "endings": ENDINGS,
    "redirects": REDIRECTS,
    "second answers": SECOND_ANSWERS,
}
