"""How TLS is spoken: whom to believe, what to show, and one context for all who do it alike."""

from __future__ import annotations

import os
import ssl
import tempfile
from functools import lru_cache
from typing import NamedTuple

import certifi

from webhook_delivery.transport.deadlines import PunctualTLSSocket

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class TLS(NamedTuple):
    """What an endpoint wishes; the default is what browsers do."""

    ca_bundle: str = ""
    """The authorities that are believed, in PEM; empty: those of `certifi`."""
    client_certificate: str = ""
    """The certificate to show, and its private key, in PEM."""
    minimum: str = "1.2"

    def __repr__(self) -> str:
        return f"TLS(minimum={self.minimum!r})"


DEFAULT = TLS()


@lru_cache(maxsize=64)
def context_for(tls: TLS) -> ssl.SSLContext:
    """
    Make the context; loading the roots costs ten times as much as a handshake, so they are kept.

    `ssl.create_default_context` would write session keys wherever SSLKEYLOGFILE says.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.hostname_checks_common_name = False
    context.minimum_version = VERSIONS[tls.minimum]
    context.sslsocket_class = PunctualTLSSocket
    if tls.ca_bundle:
        context.load_verify_locations(cadata=tls.ca_bundle)
    else:
        context.load_verify_locations(cafile=certifi.where())
    if tls.client_certificate:
        _show(context, tls.client_certificate)
    return context


def _show(context: ssl.SSLContext, certificate: str) -> None:
    """OpenSSL reads it from a file only: one in memory, or else that its owner alone may read."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("webhook"), "w") as file:
            file.write(certificate)
            file.flush()
            context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
        return
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(certificate)
        file.flush()
        context.load_cert_chain(file.name)
