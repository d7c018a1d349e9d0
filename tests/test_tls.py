"""How an endpoint wishes TLS to be spoken: whom to believe, what to show, how old it may be."""

import contextlib
import os
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from django.core.exceptions import ValidationError

from tests.conftest import make_endpoint
from tests.test_transport import raw_server, says
from webhook_delivery import publish
from webhook_delivery.models import Attempt, Delivery
from webhook_delivery.outcomes import Fault
from webhook_delivery.transport import TLS, Transport
from webhook_delivery.transport.tls import context_for

OK = says(b"HTTP/1.1 204 No Content\r\n\r\n")


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def context(ca) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def post() -> Iterator:
    with contextlib.closing(Transport()) as transport:
        yield lambda url, **tls: transport.post(1, url, b"{}", {}, timeout=2, tls=TLS(**tls))


def pem(certificate) -> str:
    return certificate.bytes().decode()


def client_certificate(ca: trustme.CA) -> str:
    leaf = ca.issue_cert("us@sender.example")
    return leaf.private_key_and_cert_chain_pem.bytes().decode()


def test_an_authority_of_the_endpoints_own_is_believed_and_no_other(ca, context, post):
    with raw_server(OK, context) as url:
        assert post(url, ca_bundle=pem(ca.cert_pem)).status == 204
        assert post(url, ca_bundle=pem(trustme.CA().cert_pem)).fault is Fault.TLS
        assert post(url).fault is Fault.TLS


def test_a_client_certificate_is_shown_where_it_is_asked_for(ca, context, post):
    context.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(context)
    shown = []

    def serve(connection: ssl.SSLSocket) -> None:
        shown.append(connection.getpeercert()["subjectAltName"])
        OK(connection)

    roots = pem(ca.cert_pem)
    with raw_server(serve, context) as url:
        ours = client_certificate(ca)
        assert post(url, ca_bundle=roots, client_certificate=ours).status == 204
        assert post(url, ca_bundle=roots).fault in (Fault.TLS, Fault.RESET)

    assert shown == [(("email", "us@sender.example"),)]


def test_a_receiver_whose_tls_is_too_old_is_refused(ca, context, post):
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with raw_server(OK, context) as url:
        assert post(url, ca_bundle=pem(ca.cert_pem)).status == 204
        assert post(url, ca_bundle=pem(ca.cert_pem), minimum="1.3").fault is Fault.TLS


def test_a_name_in_the_old_place_is_not_looked_at(context, post):
    """Only subjectAltName counts (RFC 9525 §2), also for authorities of an endpoint's own."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    text = certificate.public_bytes(Encoding.PEM).decode()
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with trustme.Blob((text + secret).encode()).tempfile() as both:
        own.load_cert_chain(both)
    with raw_server(OK, own) as url:
        assert post(url, ca_bundle=text).fault is Fault.TLS


def test_one_context_serves_all_who_wish_the_same():
    assert context_for(TLS()) is context_for(TLS(ca_bundle="", minimum="1.2"))
    assert context_for(TLS(minimum="1.3")) is not context_for(TLS())


def test_session_keys_are_written_nowhere(ca, monkeypatch, tmp_path):
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))

    assert context_for(TLS(ca_bundle=pem(ca.cert_pem))).keylog_filename is None


@pytest.mark.parametrize("memory", [True, False])
def test_the_key_is_left_on_no_disk(ca, monkeypatch, tmp_path, memory):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    if not memory:
        monkeypatch.delattr(os, "memfd_create")
    seen = []
    load = ssl.SSLContext.load_cert_chain

    def loading(self, path: str) -> None:
        seen.append((Path(path).parent, Path(path).stat().st_mode & 0o077))
        load(self, path)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", loading)

    context_for(TLS(client_certificate=client_certificate(ca)))

    if memory:
        assert [folder for folder, _ in seen] == [Path("/proc/self/fd")]
    else:
        assert seen == [(tmp_path, 0)]
    assert list(tmp_path.iterdir()) == []


def test_nothing_of_it_is_in_its_repr(ca):
    tls = TLS(client_certificate=client_certificate(ca))

    assert "PRIVATE" not in repr(tls) + str(tls)


@pytest.mark.django_db(transaction=True)
def test_an_endpoint_says_how_and_its_deliveries_go_so(ca, context, settings, send_due):
    context.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(context)
    with raw_server(OK, context) as url:
        endpoint = make_endpoint(url, ca_bundle=pem(ca.cert_pem), tls_minimum="1.3")
        endpoint.set_client_certificate(client_certificate(ca))
        publish("order.created", b"{}")
        send_due()

    assert Delivery.objects.get().state == "delivered", Attempt.objects.get().detail
    endpoint.refresh_from_db()
    assert b"PRIVATE" not in bytes(endpoint.sealed_client_certificate)


@pytest.mark.django_db
def test_what_is_no_certificate_is_refused(ca):
    endpoint = make_endpoint()
    leaf, other = ca.issue_cert("a.example"), ca.issue_cert("b.example")
    foreign_key = pem(leaf.cert_chain_pems[0]) + pem(other.private_key_pem)

    for wrong in ("nonsense", pem(leaf.cert_chain_pems[0]), pem(leaf.private_key_pem), foreign_key):
        with pytest.raises(ValidationError, match="private key"):
            endpoint.set_client_certificate(wrong)
    endpoint.ca_bundle = pem(ca.cert_pem) + pem(leaf.private_key_pem)
    with pytest.raises(ValidationError, match="PEM"):
        endpoint.full_clean()
    endpoint.ca_bundle = "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----"
    with pytest.raises(ValidationError, match="PEM"):
        endpoint.full_clean()
    assert endpoint.set_client_certificate("").sealed_client_certificate == b""


def test_threads_share_a_context_without_harm(ca, context):
    with raw_server(OK, context) as url, contextlib.closing(Transport()) as transport:
        tls, found = TLS(ca_bundle=pem(ca.cert_pem)), []

        def post(endpoint: int) -> None:
            outcome = transport.post(endpoint, url, b"{}", {}, timeout=5, tls=tls)
            found.append(outcome.status)

        threads = [threading.Thread(target=post, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert found == [204] * 8
