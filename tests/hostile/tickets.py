"""A server that answers in TLS with session tickets and nothing else, many to a record."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import socket
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PATIENCE_SECONDS = 6
"""For how long its client may not read."""
RECORD = 16384


def main() -> None:
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    context.minimum_version, context.num_tickets = ssl.TLSVersion.TLSv1_3, 0
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        log = Path(folder) / "keys"
        context.keylog_filename = str(log)
        port, roots = server.getsockname()[1], ca.cert_pem.bytes().decode()
        print(json.dumps({"port": port, "roots": roots}), flush=True)
        connection, _ = server.accept()
        connection.settimeout(PATIENCE_SECONDS)
        with connection, contextlib.suppress(OSError):
            cipher = _shake_hands(connection, context)
            for record in _records(_secret(log), cipher):
                connection.sendall(record)


def _shake_hands(connection: socket.socket, context: ssl.SSLContext) -> str:
    """In memory, so that the records that follow can be our own."""
    heard, said = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(heard, said, server_side=True)
    while True:
        try:
            server.do_handshake()
        except ssl.SSLWantReadError:
            connection.sendall(said.read())
            heard.write(connection.recv(65536))
        else:
            connection.sendall(said.read())
            return server.cipher()[0]


def _secret(log: Path) -> bytes:
    lines = log.read_text().splitlines()
    found = [line for line in lines if line.startswith("SERVER_TRAFFIC_SECRET_0")]
    return bytes.fromhex(found[-1].split()[2])


def _records(secret: bytes, cipher: str) -> Iterator[bytes]:
    """For ever: each a record full of tickets (RFC 8446 §4.6.1, §5.2, §7.3)."""
    key = AESGCM(_expanded(secret, b"key", 32 if "256" in cipher.split("_")[2] else 16))
    iv = int.from_bytes(_expanded(secret, b"iv", 12))
    ticket = (7200).to_bytes(4) + bytes([0, 0, 0, 1]) + b"\0" + b"\0\1x" + b"\0\0"
    message = b"\4" + len(ticket).to_bytes(3) + ticket
    inner = message * (RECORD // len(message)) + b"\x16"
    head = b"\x17\3\3" + (len(inner) + 16).to_bytes(2)
    number = 0
    while True:
        yield head + key.encrypt((iv ^ number).to_bytes(12), inner, head)
        number += 1


def _expanded(secret: bytes, label: bytes, length: int) -> bytes:
    """HKDF-Expand-Label with an empty context; no more than one block is asked for."""
    kind = hashlib.sha384 if len(secret) == 48 else hashlib.sha256
    name = b"tls13 " + label
    info = length.to_bytes(2) + bytes([len(name)]) + name + b"\0"
    return hmac.digest(secret, info + b"\1", kind)[:length]


if __name__ == "__main__":
    main()
