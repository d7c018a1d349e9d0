"""
Secrets leave by the signature, and by nothing else.

An endpoint whose every secret is a canary lives through all that can happen to it; then all that
was written, printed, shown, queued or stored meanwhile is searched for canaries, in any spelling.
"""

from __future__ import annotations

import base64
import json
import logging
import pickle
import re
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from html import unescape
from typing import Any
from urllib.parse import quote, urlsplit

import django
import pytest
import redis
from cryptography.fernet import Fernet
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils.log import AdminEmailHandler
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from tests import servers
from tests.conftest import make_due, make_endpoint
from tests.owing import end_pauses
from webhook_delivery import drain as draining
from webhook_delivery import keys, publish, rotation, scheduling, tasks
from webhook_delivery.dispatch import attempt
from webhook_delivery.lifecycle import claim
from webhook_delivery.models import Attempt, Delivery, Endpoint
from webhook_delivery.testing.receiver import SILENCE, Receiver, Reply
from webhook_delivery.transport import Transport

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.nightly_on_servers]

own_redis = servers.own_redis

KEY = b"CANARY-KEY-which-signs-0123456789"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
HEADER = "Bearer CANARY-HEADER-0123456789"
PATH, QUERY = "CANARY-PATH-0123456789", "CANARY-QUERY-0123456789"
TAIL = f"/hook/{PATH}?sig={QUERY}"

# ── what is looked for


def spellings(secret: bytes) -> set[str]:
    """Every way in which the bytes may stand in a text."""
    found = {secret.hex(), repr(secret)[2:-1]}
    with suppress(UnicodeDecodeError):
        text = secret.decode()
        found |= {text, quote(text, safe=""), json.dumps(text)[1:-1]}
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + secret).decode()
        own = encoded[(before * 8 + 5) // 6 : (before + len(secret)) * 8 // 6]
        found |= {own, own.replace("+", "-").replace("/", "_")}
    return found


URL = {PATH: spellings(PATH.encode()), QUERY: spellings(QUERY.encode())}
SEALED = {"key": spellings(KEY), "header": spellings(HEADER.removeprefix("Bearer ").encode())}


def leaks(text: str, canaries: dict[str, set[str]]) -> set[str]:
    return {name for name, ways in canaries.items() if any(way in text for way in ways)}


@pytest.mark.parametrize("secret", [KEY, b"\x00\xff\xfe" * 9], ids=["text", "bytes"])
@pytest.mark.parametrize("around", range(4))
def test_a_canary_is_found_in_every_spelling(secret, around):
    padded = b"x" * around + secret + b"y"
    said = [repr(padded), padded.hex(), base64.b64encode(padded).decode()]
    said += [base64.urlsafe_b64encode(padded).decode(), repr({"a": [secret]})]

    assert all(leaks(each, {"it": spellings(secret)}) for each in said)
    assert not leaks("nothing of the kind", {"it": spellings(secret)})


# ── who listens


class Ears(logging.Handler):
    """Every record of every logger, as text and as it is."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard += [self.format(record), repr(vars(record))]


@pytest.fixture
def ears(monkeypatch) -> Iterator[Ears]:
    """Listens at the root, with every other logger as talkative as it can be."""
    ears, root = Ears(), logging.getLogger()
    for logger in [root, *map(logging.getLogger, [*logging.root.manager.loggerDict, "urllib3"])]:
        monkeypatch.setattr(logger, "level", logging.DEBUG)
        monkeypatch.setattr(logger, "propagate", True)
        monkeypatch.setattr(logger, "disabled", False)
    logging.root.manager._clear_cache()
    root.addHandler(ears)
    yield ears
    root.removeHandler(ears)
    logging.root.manager._clear_cache()


@pytest.fixture
def values(monkeypatch) -> list[str]:
    """What each claim, outcome and finding of a drain says of itself."""
    said: list[str] = []

    def told(claim: Any, transport: Transport) -> Any:
        finding = attempt(claim, transport)
        said.extend(f"{each} {each!r}" for each in (claim, finding, finding.outcome))
        return finding

    monkeypatch.setattr(draining, "attempt", told)
    return said


# ── a whole life


class Life:
    """What a person and a worker do with the endpoint, in the way in which they would."""

    def __init__(self, receiver: Receiver, settings: Any) -> None:
        self.receiver, self.settings = receiver, settings
        self.root = Client(raise_request_exception=False)
        self.root.force_login(User.objects.create_superuser("root", password="x"))
        self.made = ""

    def create(self) -> None:
        page = self.root.post(url("endpoint", "add"), self._form(self.receiver.url(TAIL)))
        [self.made] = set(re.findall(r"whsec_[A-Za-z0-9+/=]+", unescape(page.content.decode())))
        endpoint = Endpoint.objects.get()
        rotation.rotate(endpoint.pk, using="default", secret=SECRET)
        self.root.post(url("endpoint", "rotate", endpoint.pk), {"reason": "to see it"})

    def move(self, where: str) -> None:
        """Edit the URL, as a person does; or as whoever edits the database, if it is refused."""
        endpoint = Endpoint.objects.get()
        kept = {"headers": "Authorization: ••••••••", "subscriptions-TOTAL_FORMS": 0}
        form = self._form(where) | kept
        page = self.root.post(url("endpoint", "change", endpoint.pk), form)
        if page.status_code == 200:
            Endpoint.objects.update(url=where)
        assert Endpoint.objects.get().url == where

    def fail(self, reason: str, *replies: int | Reply) -> None:
        """Send once more, and fail for that reason."""
        self.receiver.replies(*replies, path=TAIL)
        self.go_on()
        assert Delivery.objects.earliest("pk").reason == reason

    def go_on(self) -> None:
        end_pauses()
        make_due()
        tasks.drain()

    def command(self, *words: str) -> None:
        with suppress(SystemExit):
            call_command("webhooks", *words)

    def redeliver(self) -> None:
        for delivery in Delivery.objects.dead():
            self.root.post(url("delivery", "redeliver", delivery.pk), {"reason": "again"})

    def with_a_wrong_key(self, act: Callable[[], object]) -> None:
        right = self.settings.WEBHOOK_DELIVERY
        wrong = {"SECRET_KEYS": [Fernet.generate_key().decode()]}
        self.settings.WEBHOOK_DELIVERY = {**right, **wrong}
        act()
        self.settings.WEBHOOK_DELIVERY = right

    def canaries(self) -> dict[str, set[str]]:
        made = base64.b64decode(self.made.removeprefix("whsec_"))
        signatures = {
            signature.removeprefix("v1,")
            for got in self.receiver.received
            for signature in got.headers["webhook-signature"].split()
        }
        assert len(signatures) > 3
        return {**SEALED, "made": spellings(made), "signatures": signatures}

    def _form(self, where: str) -> dict[str, Any]:
        return {
            "name": "acme",
            "url": where,
            "timeout_seconds": "0.3",
            "retry_schedule": "[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]",
            "headers": f"Authorization: {HEADER}",
            "format": "standard",
            "tls_minimum": "1.2",
            "subscriptions-TOTAL_FORMS": 1,
            "subscriptions-INITIAL_FORMS": 0,
            "subscriptions-0-pattern": "*",
        }


def url(model: str, page: str = "changelist", *args: Any) -> str:
    return reverse(f"admin:webhook_delivery_{model}_{page}", args=args)


@pytest.fixture
def life(capfd, receiver, settings, ears, values) -> Life:
    """Created, sent, failed in every way, deferred, dead, redelivered, delivered; and looked at."""
    life = Life(receiver, settings)
    life.create()
    here = receiver.url(TAIL)
    origin = urlsplit(here).netloc
    publish("order.paid", {"number": 7})
    life.fail("http_5xx", 500)
    life.fail("timeout", SILENCE)
    life.fail("protocol", 999)
    for reason, elsewhere in {
        "refused": f"http://127.0.0.1:1{TAIL}",
        "tls": f"https://{origin}{TAIL}",
        "dns": f"http://nowhere.invalid{TAIL}",
        "blocked": f"http://10.0.0.1{TAIL}",
    }.items():
        life.move(elsewhere)
        life.fail(reason)
    life.move(f"http://[::1{TAIL}")
    life.fail("blocked")
    life.move(here)
    life.with_a_wrong_key(lambda: life.fail("secret"))
    life.fail("redirect", Reply(302, {"Location": here}))
    life.redeliver()
    life.fail("http_4xx", 429)
    life.go_on()
    assert Delivery.objects.delivered().exists()
    publish("order.lost", {"number": 8})
    life.go_on()
    for words in (
        "list",
        "list --json",
        f"show {Delivery.objects.earliest('pk').pk}",
        f"show {Delivery.objects.earliest('pk').pk} --json",
        "export",
        "verify",
        "verify --json",
        "health",
        "health --json",
        "send-test acme",
        "send-test acme --json",
        "drain",
        "rotate-keys",
        "rotate-keys --json",
    ):
        life.command(*words.split())
        life.with_a_wrong_key(lambda words=words: life.command(*words.split()))
    return life


# ── where it is looked for


MANY = 800
"""More pages than the admin has here."""


def crawled(client: Client) -> dict[str, str]:
    """Every page of the admin that links lead to, and what it shows."""
    pages: dict[str, str] = {}
    paths = [reverse("admin:index"), reverse("admin:app_list", args=["django_q"])]
    while paths:
        path = paths.pop()
        if path in pages or "logout" in path or "password" in path or len(pages) == MANY:
            continue
        answer = client.get(path)
        text = answer.content.decode(errors="replace")
        pages[path] = f"{text} {unescape(text)} {dict(answer.headers)} {answer.status_code}"
        for link in re.findall(r'href="([^"#]+)"', text):
            link = unescape(link)
            link = link if link.startswith("/") else path.partition("?")[0] + link
            # The same page, reached from another list, or in another order.
            link = re.sub(r"\?(_changelist_filters|o)=.*", "", link)
            several = link.count("=") > 1 or "%2C" in link  # filters together show nothing more
            if link.startswith("/admin/") and not several:
                paths.append(link)
    return pages


def person(name: str, *rights: str) -> Client:
    user = User.objects.create_user(name, password="x", is_staff=True)
    looks = Permission.objects.filter(
        codename__startswith="view_", content_type__app_label__in=["webhook_delivery", "django_q"]
    )
    looks = looks.exclude(codename="view_endpoint_url")
    user.user_permissions.set([*looks, *Permission.objects.filter(codename__in=rights)])
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def cells() -> Iterator[tuple[str, str]]:
    """Each cell of the database, by its table and column."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            names = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                for name, value in zip(names, row, strict=True):
                    value = bytes(value) if isinstance(value, memoryview) else value
                    plain = value.decode("latin-1") if isinstance(value, bytes) else ""
                    yield f"{table}.{name}", f"{value} {value!r} {plain}"


def queued() -> str:
    """The tasks in django-q2's table, unpacked."""
    payloads = OrmQ.objects.values_list("payload", flat=True)
    assert payloads
    return repr([SignedPackage.loads(payload) for payload in payloads])


def unpacked_sessions() -> str:
    return repr([session.get_decoded() for session in Session.objects.all()])


URL_COLUMN = "webhook_delivery_endpoint.url"


def test_a_canary_that_lived_through_everything_is_found_nowhere(life, ears, values, capfd):
    printed = capfd.readouterr()
    viewer, changer = person("viewer"), person("changer", "change_endpoint", "redeliver_delivery")
    pages, more = crawled(viewer), crawled(changer)
    call_command("dumpdata")
    dump = json.loads(capfd.readouterr().out)
    for row in dump:
        if row["model"] == "webhook_delivery.endpoint":
            del row["fields"]["url"]
    hidden = life.canaries()
    everything = {**hidden, **URL}
    stored = [(where, text) for where, text in cells() if where != URL_COLUMN]
    places: Iterable[tuple[str, str, dict[str, set[str]]]] = [
        *(("logs", text, everything) for text in ears.heard),
        ("stdout", printed.out, everything),
        ("stderr", printed.err, everything),
        *(("values", text, everything) for text in values),
        *((f"viewer {path}", text, everything) for path, text in pages.items()),
        *((f"changer {path}", text, hidden) for path, text in more.items()),
        ("dumpdata", json.dumps(dump), everything),
        ("queue", queued(), everything),
        ("sessions", unpacked_sessions(), everything),
        *((where, text, everything) for where, text in stored),
    ]

    found = {(where, leak) for where, text, looked in places for leak in leaks(text, looked)}

    assert found == set()
    # It was all looked at: the life was lived, and what was to be found was found.
    assert {got.headers["authorization"] for got in life.receiver.received} == {HEADER}
    assert {got.path for got in life.receiver.received} == {TAIL}
    assert set(Attempt.objects.values_list("fault", flat=True)) >= {
        *("", "http_5xx", "timeout", "protocol", "refused", "tls", "dns", "blocked", "secret"),
        *("redirect", "http_4xx"),
    }
    assert len(ears.heard) > 20
    assert len(values) > 30
    assert "acme" in printed.out
    assert any(PATH in text for where, text in cells() if where == URL_COLUMN)
    assert any(PATH in text for text in more.values()), "who may change it sees it"
    for part in ("delivery", "event", "endpoint", "consoleaction", "deadletter"):
        assert any(f"/webhook_delivery/{part}/" in path for path in pages)
    for part in ("ormq", "schedule"):
        assert any(f"/django_q/{part}/" in path for path in pages)
    assert not [path for path, text in (pages | more).items() if text.endswith(" 500")]
    assert max(len(pages), len(more)) < MANY, "the whole admin was seen"


def test_a_task_in_redis_says_only_that_something_may_be_due(own_redis, monkeypatch):
    monkeypatch.setattr(Conf, "ORM", None)
    monkeypatch.setattr(Conf, "REDIS", own_redis.url)
    scheduling._redis.cache_clear()
    make_endpoint(f"https://receiver.example{TAIL}").set_headers({"authorization": HEADER})

    publish("order.paid", {})

    with redis.Redis.from_url(own_redis.url) as server:
        [queue] = server.keys("*:q")
        raw = server.lrange(queue, 0, -1)
    task = SignedPackage.loads(raw[0])
    text = f"{raw} {task}"
    scheduling._redis.cache_clear()
    assert (task["func"], task["args"]) == ("webhook_delivery.tasks.drain", ())
    assert not leaks(text, {**SEALED, **URL})
    assert len(pickle.dumps(task)) < 1000


# ── exceptions


class Interrupted(SystemExit):
    """As django-q2 ends a task that took too long: wherever it is, and past `except Exception`."""


def interrupted(*args: Any, **kwargs: Any) -> Any:
    raise Interrupted


@pytest.fixture
def claimed(receiver) -> Any:
    endpoint = make_endpoint(receiver.url(TAIL)).set_headers({"authorization": HEADER})
    rotation.rotate(endpoint.pk, using="default", secret=SECRET)
    publish("order.paid", {})
    [found] = claim(1, using="default")
    return found


ADMINS = ["ada@example.com"] if django.VERSION >= (6, 0) else [("Ada", "ada@example.com")]
"""Pairs are deprecated since 6.0, which knows addresses alone first."""


def mailed(act: Callable[[], object], settings: Any) -> str:
    """The mail to the administrators about what was raised, with the variables of each frame."""
    settings.ADMINS = ADMINS
    handler = AdminEmailHandler(include_html=True)
    logger = logging.getLogger("webhook_delivery.test")
    logger.addHandler(handler)
    try:
        act()
    except (Exception, SystemExit):
        logger.exception("it was interrupted")
    finally:
        logger.removeHandler(handler)
    [sent] = mail.outbox
    [(html, _)] = sent.alternatives
    assert "Interrupted" in html
    return unescape(f"{sent.subject} {sent.body} {html}")


WHERE_IT_SIGNS = {
    "opening": "webhook_delivery.keys._unsealed",
    "reading the key": "webhook_delivery.signing.key_of",
    "signing": "webhook_delivery.signing.Key.sign",
    "writing headers": "webhook_delivery.signing.headers",
    "asking for headers": "webhook_delivery.dispatch.sendable",
    "connecting": "webhook_delivery.transport.posting.open_to",
}


@pytest.mark.parametrize("where", WHERE_IT_SIGNS.values(), ids=WHERE_IT_SIGNS)
def test_the_mail_about_an_exception_while_signing_holds_no_secret(
    claimed, settings, monkeypatch, where
):
    monkeypatch.setattr(where, interrupted)

    text = mailed(lambda: attempt(claimed, Transport()), settings)

    assert "Local Vars" in text
    assert not leaks(text, {**SEALED, **URL})


WHERE_IT_SEALS = {
    "keep": ("webhook_delivery.keys._box", lambda pk: rotate(pk)),
    "rotate": ("webhook_delivery.models.Secret.keep", lambda pk: rotate(pk)),
    "set_headers": ("webhook_delivery.keys._box", lambda pk: set_headers(pk)),
}


def rotate(pk: int) -> None:
    rotation.rotate(pk, using="default", secret=SECRET)


def set_headers(pk: int) -> None:
    Endpoint.objects.get(pk=pk).set_headers({"authorization": HEADER})


@pytest.mark.parametrize(("where", "act"), WHERE_IT_SEALS.values(), ids=WHERE_IT_SEALS)
def test_the_mail_about_an_exception_while_sealing_holds_no_secret(
    endpoint, settings, monkeypatch, where, act
):
    monkeypatch.setattr(where, interrupted)

    text = mailed(lambda: act(endpoint.pk), settings)

    assert not leaks(text, SEALED)


GIVEN: dict[str, Any] = {}
"""Not among the variables of the test, which are in the mail."""


@pytest.mark.parametrize("verb", ["seal", "unseal", "renew", "opens"])
def test_the_mail_about_an_exception_at_the_box_itself_holds_neither_secret_nor_key(
    settings, monkeypatch, verb
):
    key = Fernet.generate_key()
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "SECRET_KEYS": [key.decode()]}
    GIVEN[verb] = SECRET if verb == "seal" else keys.seal(SECRET, owner=1)
    monkeypatch.setattr(keys, "MultiFernet", interrupted)

    text = mailed(lambda: getattr(keys, verb)(GIVEN[verb], owner=1), settings)

    assert not leaks(text, {"fernet": spellings(key), **SEALED})


@pytest.mark.parametrize("verb", ["add", "reveal", "rotate"])
def test_the_mail_about_an_error_in_the_console_holds_no_secret(
    endpoint, settings, monkeypatch, verb
):
    settings.ADMINS = ADMINS
    rotate(endpoint.pk)
    root = Client(raise_request_exception=False)
    root.force_login(User.objects.create_superuser("root", password="x"))

    def failing(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("it fails")

    monkeypatch.setattr("webhook_delivery.admin.endpoints.secrets.SecretsAdmin.about", failing)
    handler = AdminEmailHandler(include_html=True)
    logging.getLogger("django.request").addHandler(handler)
    form = {
        "name": "acme",
        "url": f"https://receiver.example{TAIL}",
        "headers": f"Authorization: {HEADER}",
        "format": "standard",
        "tls_minimum": "1.2",
        "subscriptions-TOTAL_FORMS": 0,
        "subscriptions-INITIAL_FORMS": 0,
    }
    name = {"add": "add", "reveal": "reveal_show", "rotate": "rotate_now"}[verb]
    where = url("endpoint", name, *([] if verb == "add" else [endpoint.pk]))

    answer = root.post(where, form if verb == "add" else {})

    logging.getLogger("django.request").removeHandler(handler)
    assert answer.status_code == 500
    text = unescape(" ".join(f"{sent.body} {sent.alternatives}" for sent in mail.outbox))
    assert "it fails" in text
    assert "Local Vars" in text
    assert not leaks(text, SEALED)
    if verb == "add":
        assert not leaks(text.replace(root.session.session_key, ""), URL)


def test_no_frame_shows_a_secret_while_it_signs(claimed, monkeypatch):
    """As tools do that record the variables of each frame by `repr`, and know nothing of Django."""
    monkeypatch.setattr("webhook_delivery.signing.Key.sign", interrupted)

    with pytest.raises(Interrupted) as raised:
        attempt(claimed, Transport())

    # Not this frame, which knows the canaries.
    frames = [frame for frame, _ in traceback.walk_tb(raised.tb)][1:]
    shown = [repr(value) for frame in frames for value in frame.f_locals.values()]
    assert any(frame.f_code.co_name == "_signature" for frame in frames)
    assert [text for text in shown if leaks(text, {**SEALED, **URL})] == []
