"""Verification: what was signed passes, and whatever a stranger sends is refused as a value is."""

from __future__ import annotations

import base64
import email.message
import functools
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable

import pytest
from django.http import HttpRequest
from django.test import RequestFactory
from django.views.debug import ExceptionReporter
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import make_endpoint
from webhook_delivery import InvalidSignature, publish, signing, verify
from webhook_delivery.models import Secret

pytestmark = pytest.mark.everywhere_once

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PAIR = (
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
)
PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
SEED = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc="
OTHER, OTHER_PAIR = signing.generate_secret(), signing.generate_signing_key()

NOW = 1614265330
BODY = b'{"test": 2432232314}'
ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
TRUE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
TRUE_PUBLIC = (
    "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
)


def vector(signature: str = TRUE) -> dict[str, str]:
    """The headers of the specification's vector, with one signature or several."""
    return {ID: "msg_p5jXN8AQM9LWM0D4loKWxJek", TIMESTAMP: str(NOW), SIGNATURE: signature}


def signed(*secrets: str, body: bytes = BODY, at: int = NOW, **fields: str) -> dict[str, str]:
    keys = [signing.key_of(secret) for secret in secrets]
    return signing.headers("evt_1", at, body, keys, **fields)


def refusal(headers, secrets=(SECRET, PUBLIC), *, body: bytes = BODY, now: float = NOW) -> str:
    """Why it is refused; fails if it is not."""
    with pytest.raises(InvalidSignature) as refused:
        verify(body, headers, secrets, now=now)
    return str(refused.value)


@pytest.mark.parametrize(
    ("signature", "secret"),
    [(TRUE, SECRET), (TRUE_PUBLIC, PUBLIC), (TRUE_PUBLIC, PAIR), (TRUE_PUBLIC, SEED)],
)
def test_the_vectors_of_the_specification_verify(signature, secret):
    verify(BODY, vector(signature), secret, now=NOW)


@given(st.binary(), st.integers(0, 10**18 - 1), st.lists(st.binary(min_size=24, max_size=64)))
def test_what_is_signed_verifies_whatever_the_bytes(body, at, others):
    older = ["whsec_" + base64.b64encode(raw).decode() for raw in others[:14]]

    headers = signed(*older, PAIR, SECRET, body=body, at=at)

    verify(body, headers, SECRET, now=at)
    verify(body, headers, PUBLIC, now=at)


@pytest.mark.parametrize("secrets", [[OTHER, SECRET], (OTHER_PAIR, PUBLIC), iter([SECRET, OTHER])])
def test_one_of_several_secrets_is_enough(secrets):
    verify(BODY, vector(f"{TRUE} {TRUE_PUBLIC}"), secrets, now=NOW)


@pytest.mark.parametrize("signature", [TRUE, TRUE_PUBLIC])
def test_one_of_several_signatures_is_enough(signature):
    others = signed(OTHER, OTHER_PAIR)[SIGNATURE]

    verify(BODY, vector(f"v2,é {others} {signature}"), [SECRET, PUBLIC], now=NOW)


def test_another_secret_does_not_fit():
    assert refusal(vector(f"{TRUE} {TRUE_PUBLIC}"), [OTHER, OTHER_PAIR]) == "No signature fits."


SIGNED = {
    "v1": {"body": BODY, **signed(SECRET)},
    "v1a": {"body": BODY, **signed(PAIR)},
}
PLACES = [
    (version, part, bit)
    for version, parts in SIGNED.items()
    for part, value in parts.items()
    for bit in range(8 * len(value))
]


def flipped(value, bit: int):
    if isinstance(value, str):
        return flipped(value.encode(), bit).decode("latin-1")
    byte, place = divmod(bit, 8)
    return value[:byte] + bytes([value[byte] ^ 1 << place]) + value[byte + 1 :]


def test_no_bit_of_a_request_can_be_changed():
    """Not one of 1 672: those at the end of base64, which decoders ignore, are among them."""
    for version, part, bit in PLACES:
        request = dict(SIGNED[version])
        request[part] = flipped(request[part], bit)
        refusal(request, body=request.pop("body"))


@given(st.data(), st.binary(min_size=1), st.sampled_from([SECRET, PAIR]))
def test_no_bit_of_any_body_can_be_changed(data, body, secret):
    bit = data.draw(st.integers(0, 8 * len(body) - 1))

    refusal(signed(secret, body=body), body=flipped(body, bit))


@given(st.binary(), st.binary())
def test_a_signature_is_of_one_body(one, other):
    headers = signed(SECRET, PAIR, body=one)

    if one != other:
        assert refusal(headers, body=other) == "No signature fits."


@pytest.mark.parametrize(
    "signature",
    [
        "v1", "v1,", "v1a", "v1a,", ",", " ", "  ", "v1, ", "v1,g", "v1,g0hM", TRUE[:-1],
        TRUE + "=", TRUE + "A", TRUE + "," + TRUE, TRUE + "\n", TRUE + "\t", "\u00a0" + TRUE,
        TRUE.removeprefix("v1,"), TRUE.replace("v1,", "v2,"), TRUE.replace("v1,", "v1a,"),
        TRUE.replace("v1,", "V1,"), TRUE.replace("v1,", "v1;"), TRUE.replace("v1,", "v1, "),
        TRUE.replace("OE=", "OF="), TRUE.replace("+", "-"), TRUE.replace("=", "%3D"),
        TRUE_PUBLIC[:-1], TRUE_PUBLIC + "=", TRUE_PUBLIC.replace("Ag==", "Ah=="),
        TRUE_PUBLIC.replace("v1a,", "v1,"), TRUE_PUBLIC.replace("v1a,", "v1b,"),
        "v1a," + "A" * 86 + "==", "v1a," + "A" * 88, "v1," + "A" * 43 + "=", "é", "\udc80", "\x00",
        "v1," + "A" * 1_000_000, "v1a," + "A" * 1_000_000,
    ],
    ids=lambda signature: ascii(signature)[:30],
)  # fmt: skip
def test_what_is_no_signature_does_not_fit(signature):
    assert refusal(vector(signature)) == "No signature fits."


@pytest.mark.parametrize("length", range(44))
def test_the_beginning_of_a_signature_does_not_fit(length):
    made = TRUE.removeprefix("v1,")[:length]

    assert refusal(vector(f"v1,{made}")) == "No signature fits."


@pytest.mark.parametrize("signature", [TRUE, TRUE_PUBLIC])
def test_ten_thousand_signatures_are_refused_and_sixteen_are_not(signature):
    forged = ["v1a," + "A" * 86 + "=="] * 10_000

    most = refusal(vector(" ".join([signature, *forged])))
    assert most == "No signature fits: there are more than 16."
    assert refusal(vector(" ".join([signature, *forged[:16]]))) == most
    verify(BODY, vector(" ".join([*forged[:15], signature])), [SECRET, PUBLIC], now=NOW)


@pytest.mark.parametrize(
    "timestamp",
    ["٣", "1e3", "+5", "-5", "1_000", "1614265330.0", "0x5", " 5", "5 ", "5\n", "NaN", "inf",
     "five", "١٦١٤٢٦٥٣٣٠", "9" * 19, "9" * 5000, "\x00", "\udc80", f"{NOW}\n"],
    ids=lambda timestamp: ascii(timestamp)[:30],
)  # fmt: skip
def test_a_timestamp_must_be_a_number(timestamp):
    content = signing.content_of("evt_1", timestamp, BODY)
    headers = {ID: "evt_1", TIMESTAMP: timestamp, SIGNATURE: signing.key_of(SECRET).sign(content)}

    assert refusal(headers) == "The timestamp is not a number of seconds."


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (NOW + 300.5, "The timestamp is too old: more than 300 s ago."),
        (NOW + 10**9, "The timestamp is too old: more than 300 s ago."),
        (NOW - 300.5, "The timestamp is too new: more than 300 s ahead."),
        (0, "The timestamp is too new: more than 300 s ahead."),
    ],
)
def test_what_was_not_sent_just_now_is_refused(now, why):
    assert refusal(vector(), now=now) == why


@pytest.mark.parametrize("now", [NOW - 300, NOW - 0.5, NOW, NOW + 300])
def test_clocks_may_be_five_minutes_apart(now):
    verify(BODY, vector(), SECRET, now=now)


def test_the_tolerance_can_be_another():
    verify(BODY, vector(), SECRET, now=NOW + 3600, tolerance=3600)
    verify(BODY, vector(), SECRET, tolerance=float("inf"))
    with pytest.raises(InvalidSignature, match="too old: more than 10 s ago"):
        verify(BODY, vector(), SECRET, now=NOW + 11, tolerance=10)


def test_the_time_is_that_of_the_system_clock():
    verify(BODY, signed(SECRET, at=int(time.time())), SECRET)
    with pytest.raises(InvalidSignature, match="too old"):
        verify(BODY, vector(), SECRET)


@pytest.mark.parametrize("name", [ID, TIMESTAMP, SIGNATURE])
def test_a_missing_header_is_named(name):
    headers = vector()

    assert refusal(headers | {name: ""}) == f"The header {name} is missing."
    del headers[name]
    assert refusal(headers) == f"The header {name} is missing."


@pytest.mark.parametrize("name", [ID, TIMESTAMP, SIGNATURE])
def test_a_header_that_comes_twice_is_refused(name):
    """Which of them would the receiver go by?"""
    assert refusal(vector() | {name.upper(): "x"}) == f"The header {name} comes more than once."


@pytest.mark.parametrize("webhook_id", ["evt.1", ".", f"a.{NOW}", "evt_1."])
def test_an_id_with_a_full_stop_is_refused(webhook_id):
    headers = signing.headers(webhook_id, NOW, BODY, [signing.key_of(SECRET)])

    assert refusal(headers) == "No signature fits: the id holds a full stop."


@pytest.mark.parametrize("webhook_id", ["evt_\udc80", "evt_\ud83d\ude00", "evt_€", "evt_"])
def test_an_id_that_is_no_text_does_not_pass_for_another(webhook_id):
    headers = signing.headers("evt_?", NOW, BODY, [signing.key_of(SECRET)])

    verify(BODY, headers, SECRET, now=NOW)
    assert refusal(headers | {ID: webhook_id}) == "No signature fits."


def test_a_body_cannot_pass_for_another_with_its_own_timestamp():
    later = NOW + 10**6
    headers = signed(SECRET, body=b"%d.pay twice" % later)
    content = f"evt_1.{NOW}.{later}.pay twice".encode()
    moved = {ID: f"evt_1.{NOW}", TIMESTAMP: str(later), SIGNATURE: headers[SIGNATURE]}

    assert headers[SIGNATURE] == signing.key_of(SECRET).sign(content)
    refusal(moved, body=b"pay twice", now=later)


@pytest.mark.parametrize("change", [str, str.upper, str.title])
def test_names_of_headers_are_of_any_case(change):
    verify(BODY, {change(name): value for name, value in vector().items()}, SECRET, now=NOW)


def test_headers_can_be_those_of_a_django_request():
    request = RequestFactory().post("/", BODY, content_type="application/json", headers=vector())

    verify(request.body, request.headers, SECRET, now=NOW)


def test_headers_can_be_those_of_the_standard_library():
    headers = email.message.Message()
    for name, value in vector().items():
        headers[name.title()] = value

    verify(BODY, headers, SECRET, now=NOW)
    headers["Webhook-Id"] = "another"
    assert refusal(headers) == "The header webhook-id comes more than once."


@pytest.mark.parametrize("prefix", ["svix-", "Svix-"])
def test_the_headers_can_have_other_names(prefix):
    headers = signed(SECRET, prefix="svix-")

    verify(BODY, headers, SECRET, now=NOW, prefix=prefix)
    assert refusal(headers) == "The header webhook-id is missing."


@pytest.mark.parametrize(
    "secrets",
    ["", "whsec_", "whpk_", "whsk_", SECRET[:-1], f"{SECRET} ", f"{PUBLIC} ", PUBLIC[:-1],
     PUBLIC.replace("4=", "5="), PUBLIC.replace("whpk_", ""), PUBLIC.replace("whpk_", "whsec_ "),
     PAIR.replace("whsk_", "whpk_"), SECRET.replace("whsec_", "whpk_"), [], [""], [SECRET, "?"]],
)  # fmt: skip
@pytest.mark.parametrize("headers", [vector(), {}], ids=["signed", "unsigned"])
def test_a_malformed_secret_is_told_to_whoever_gave_it(secrets, headers):
    with pytest.raises(signing.InvalidSecret):
        verify(BODY, headers, secrets, now=NOW)


@pytest.mark.parametrize(
    ("secret", "error"),
    [
        (OTHER, InvalidSignature),
        (OTHER_PAIR, InvalidSignature),
        (f"{OTHER}\n", signing.InvalidSecret),
        (f"{OTHER_PAIR}\n", signing.InvalidSecret),
    ],
    ids=["shared", "private", "malformed", "malformed private"],
)
def test_a_report_of_the_error_shows_no_secret(secret, error):
    """Those that Django sends by e-mail show the local variables of every function."""
    report = report_of(error, functools.partial(verify, BODY, vector(), secret, now=NOW))

    assert "verifying.py" in report
    assert raw_text(secret) not in report


@pytest.mark.parametrize("read", [signing.key_of, signing.public_key_of])
@pytest.mark.parametrize("secret", [f"{OTHER}\n", f"{OTHER_PAIR}\n"], ids=["shared", "private"])
def test_a_report_of_a_malformed_secret_shows_none(read, secret):
    report = report_of(signing.InvalidSecret, functools.partial(read, secret))

    assert "signing.py" in report
    assert raw_text(secret) not in report


def raw_text(secret: str) -> str:
    return secret.partition("_")[2].strip()[:20]


def report_of(error: type[Exception], action: Callable[[], object]) -> str:
    with pytest.raises(error) as raised:
        action()
    inner = raised.value.__traceback__.tb_next  # without this function, which holds the action
    reporter = ExceptionReporter(None, error, raised.value, inner)
    return reporter.get_traceback_html() + reporter.get_traceback_text()


ANYTHING = st.text(st.characters(exclude_categories=[]))
TOKENS = st.lists(
    st.sampled_from(["v1,", "v1a,", "v1", TRUE, TRUE_PUBLIC, TRUE[:20], "A" * 43, "=", ","])
    | ANYTHING
)


@given(
    st.binary(),
    st.fixed_dictionaries(
        {},
        optional={
            ID: ANYTHING,
            TIMESTAMP: st.just(str(NOW)) | st.from_regex(r"\d+") | ANYTHING,
            SIGNATURE: TOKENS.map(" ".join) | TOKENS.map("".join) | ANYTHING,
            "Webhook-Id": ANYTHING,
            "\udcff": ANYTHING,
        },
    ),
)
def test_whatever_a_stranger_sends_is_refused_in_one_way(body, headers):
    refusal(headers, body=body)


def test_a_receiver_needs_no_django():
    code = (
        "import sys, webhook_delivery\n"
        f"webhook_delivery.verify({BODY!r}, {vector()!r}, {SECRET!r}, now={NOW})\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'django']\n"
    )

    subprocess.run([sys.executable, "-c", code], check=True)


def view_of_the_docstring():
    namespace: dict = {}
    example = (verify.__doc__ or "").partition("A Django view::\n")[2]
    exec(textwrap.dedent(example), namespace)
    return namespace["hook"]


def test_the_view_of_the_docstring_answers_as_it_says(settings):
    settings.WEBHOOK_SECRETS = [OTHER, SECRET]
    at = int(time.time())

    def answer(headers: dict[str, str]):
        request: HttpRequest = RequestFactory(enforce_csrf_checks=True).post(
            "/", BODY, content_type="application/json", headers=headers
        )
        return view_of_the_docstring()(request)

    assert answer(signed(SECRET, at=at)).status_code == 204
    assert answer(signed(OTHER, at=at)).status_code == 204
    refused = answer(signed(PAIR, at=at))
    assert (refused.status_code, refused.content) == (400, b"No signature fits.")
    assert view_of_the_docstring()(RequestFactory().get("/")).status_code == 405


def test_what_we_send_verifies_on_a_real_socket(receiver, endpoint, send_due):
    publish("order.created", {"number": 7})

    send_due()

    [got] = receiver.received
    verify(got.body, got.headers, SECRET)


def test_what_we_send_while_secrets_change_verifies_with_each(receiver, db, send_due):
    secrets = [signing.generate_secret(), signing.generate_signing_key()]
    endpoint = make_endpoint(receiver.url())
    for secret in secrets:
        Secret.keep(endpoint, secret)
    publish("order.created", {"number": 7})

    send_due()

    [got] = receiver.received
    for secret in (SECRET, secrets[0], signing.public_key_of(secrets[1])):
        verify(got.body, got.headers, secret)
    versions = [made.partition(",")[0] for made in got.headers[SIGNATURE].split(" ")]
    assert versions == ["v1a", "v1", "v1"]  # the newest first
