"""Certificates of receivers, good and bad, and the one authority that is to be believed."""

from __future__ import annotations

import ipaddress
import ssl
import warnings
from datetime import UTC, datetime, timedelta

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"
LONG_AGO, YESTERDAY = datetime(2020, 1, 1, tzinfo=UTC), datetime.now(UTC) - timedelta(days=1)
TOMORROW = datetime.now(UTC) + timedelta(days=1)


class Contexts(dict[str, ssl.SSLContext]):
    """How TLS is spoken, by what is wrong with it: nothing, if it is "good"."""

    def __init__(self) -> None:
        known, unknown = trustme.CA(), trustme.CA()
        self.authority = known.cert_pem.bytes().decode()
        self["good"] = _context(known.issue_cert(HOST))
        self["for another name"] = _context(known.issue_cert("elsewhere.example"))
        self["expired"] = _context(known.issue_cert(HOST, not_before=LONG_AGO, not_after=YESTERDAY))
        self["not yet valid"] = _context(known.issue_cert(HOST, not_before=TOMORROW))
        self["of an unknown authority"] = _context(unknown.issue_cert(HOST))
        self["self-signed"] = _context(_self_signed())
        self["of old TLS only"] = _old(_context(known.issue_cert(HOST)))
        self["if the client has one"] = _demanding(_context(known.issue_cert(HOST)), known)
        self["with tickets without end"] = _generous(_context(known.issue_cert(HOST)))


def _context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def _old(context: ssl.SSLContext) -> ssl.SSLContext:
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def _demanding(context: ssl.SSLContext, authority: trustme.CA) -> ssl.SSLContext:
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    return context


def _generous(context: ssl.SSLContext) -> ssl.SSLContext:
    """After the handshake it hands out session tickets, of which applications see nothing."""
    context.num_tickets = 10**9
    return context


def _self_signed() -> trustme.LeafCert:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    address = x509.IPAddress(ipaddress.ip_address(HOST))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(LONG_AGO)
        .not_valid_after(TOMORROW)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return trustme.LeafCert(pem, certificate.public_bytes(Encoding.PEM), [])
