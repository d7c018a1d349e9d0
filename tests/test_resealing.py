"""Keys are rotated beside a system at work: all is sealed anew, and nothing is written over."""

from __future__ import annotations

import io
import json

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command

from tests.conftest import SECRET, make_due, make_endpoint
from tests.owing import end_pauses
from tests.shell import Terminal
from webhook_delivery import keys, publish, resealing
from webhook_delivery.management import progress
from webhook_delivery.models import Endpoint, Secret
from webhook_delivery.resealing import COLUMNS, reseal
from webhook_delivery.rotation import rotate

pytestmark = pytest.mark.django_db(transaction=True)

HEADERS = {"authorization": "Bearer of news"}
CERTIFICATE = "a certificate, as far as sealing goes"


def new_key() -> str:
    return Fernet.generate_key().decode()


@pytest.fixture
def use(settings):
    """Let these be the keys, the newest first."""

    def use(*keys: str) -> None:
        settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "SECRET_KEYS": list(keys)}

    return use


@pytest.fixture
def full(receiver) -> Endpoint:
    """An endpoint with all that can be sealed for it: three secrets, headers, a certificate."""
    endpoint = make_endpoint(receiver.url(), name="acme").set_headers(HEADERS)
    for _ in range(2):
        rotate(endpoint.pk, using="default")
    sealed = keys.seal(CERTIFICATE, owner=endpoint.pk)
    Endpoint.objects.filter(pk=endpoint.pk).update(sealed_client_certificate=sealed)
    return endpoint


def columns() -> list[bytes]:
    """All that is sealed, wherever."""
    return [
        bytes(sealed)
        for column in COLUMNS
        for sealed in column.rows("default").values_list(column.name, flat=True)
    ]


def opened(endpoint: Endpoint) -> list[str]:
    endpoint.refresh_from_db()
    sealed = [*endpoint.secrets.order_by("pk").values_list("sealed", flat=True)]
    sealed += [endpoint.sealed_headers, endpoint.sealed_client_certificate]
    return [str(keys.unseal(each, owner=endpoint.pk)) for each in sealed]


def rotate_keys(*arguments: str) -> str:
    out = io.StringIO()
    call_command("webhooks", "rotate-keys", *arguments, stdout=out)
    return out.getvalue()


def counts(done: resealing.Resealed) -> tuple[int, int, int]:
    return done.anew, done.current, done.closed


def test_afterwards_the_old_key_can_be_thrown_away(full, use):
    old, new = new_key(), new_key()
    use(old)
    assert counts(reseal(using="default")) == (5, 0, 0), "from the derived key"
    before = opened(full)
    use(new, old)

    assert rotate_keys() == "Sealed anew: 5, current already: 0.\n"

    use(new)
    assert opened(full) == before
    assert before[0] == SECRET
    assert json.loads(before[3]) == HEADERS
    assert before[4] == CERTIFICATE
    assert rotate_keys() == "Sealed anew: 0, current already: 5.\n"
    use(old)
    assert [s for s in columns() if keys.opens(s, owner=full.pk)] == []


def test_a_former_secret_key_is_rotated_out_in_the_same_way(full, settings):
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", [settings.SECRET_KEY]

    assert counts(reseal(using="default")) == (5, 0, 0)

    settings.SECRET_KEY_FALLBACKS = []
    assert SECRET in opened(full)


def test_who_sets_secret_keys_at_last_loses_nothing(full, receiver, send_due, use):
    use(new_key())
    publish("order.paid", {})
    send_due()
    assert receiver.received == []

    rotate_keys()
    end_pauses()
    make_due()
    send_due()

    assert [got.verified for got in receiver.received] == [True]
    assert receiver.received[0].headers["authorization"] == HEADERS["authorization"]


def test_a_dry_run_counts_and_writes_nothing(full, use):
    use(new_key())
    before = columns()

    assert rotate_keys("--dry-run") == "To be sealed anew: 5, current already: 0.\n"
    assert json.loads(rotate_keys("--dry-run", "--json")) == {
        "resealed": 5,
        "current": 0,
        "unopenable": 0,
        "endpoints": [],
        "dry_run": True,
    }
    assert columns() == before


def test_what_does_not_open_is_named_by_its_endpoint_and_left_as_it_is(full, use, capsys):
    lost = make_endpoint(name="lost").set_headers(HEADERS)
    use(new_key())
    lost_secret = make_endpoint(name="kept").secrets.get()
    Secret.objects.filter(endpoint=lost).update(sealed=b"garbage")
    Endpoint.objects.filter(pk=lost.pk).update(sealed_headers=lost_secret.sealed)
    before = Endpoint.objects.get(pk=lost.pk).sealed_headers

    with pytest.raises(SystemExit) as ended:
        call_command("webhooks", "rotate-keys", "--json")
    report = json.loads(capsys.readouterr().out)
    with pytest.raises(SystemExit):
        call_command("webhooks", "rotate-keys")
    said = capsys.readouterr().out

    assert ended.value.code == 1
    assert report["endpoints"] == [{"id": lost.pk, "name": "lost"}]
    assert (report["resealed"], report["current"], report["unopenable"]) == (5, 1, 2)
    assert f"Cannot be opened: 2, of endpoint {lost.pk} (lost)." in said
    assert bytes(Secret.objects.get(endpoint=lost).sealed) == b"garbage"
    assert bytes(Endpoint.objects.get(pk=lost.pk).sealed_headers) == bytes(before)
    assert not any(each in said for each in ("garbage", "whsec_", "Bearer"))


def test_what_is_changed_meanwhile_is_never_written_over(full, use, monkeypatch):
    """Somebody sets other headers just before each of ours is written."""
    use(new_key())
    write, seen = resealing._write, []

    def overtaken(changes, column, using):
        if column.name == "sealed_headers":
            seen.append({"x-turn": str(len(seen))})
            Endpoint.objects.get(pk=full.pk).set_headers(seen[-1])
        return write(changes, column, using)

    monkeypatch.setattr(resealing, "_write", overtaken)

    done = reseal(using="default")

    assert json.loads(opened(full)[3]) == seen[-1] == {"x-turn": "0"}
    assert counts(done) == (4, 1, 0)


def test_a_change_with_an_old_key_is_sealed_anew_in_its_turn(full, use, monkeypatch):
    """As a worker writes it that was not restarted yet."""
    old, new = new_key(), new_key()
    use(old)
    reseal(using="default")
    late = keys.seal(json.dumps({"x-late": "1"}), owner=full.pk)
    use(new, old)
    write, seen = resealing._write, []

    def overtaken(changes, column, using):
        if column.name == "sealed_headers" and not seen:
            seen.append(Endpoint.objects.filter(pk=full.pk).update(sealed_headers=late))
        return write(changes, column, using)

    monkeypatch.setattr(resealing, "_write", overtaken)

    assert counts(reseal(using="default")) == (5, 0, 0)

    use(new)
    assert json.loads(opened(full)[3]) == {"x-late": "1"}


def test_a_row_that_is_deleted_meanwhile_is_no_trouble(full, use, monkeypatch):
    use(new_key())
    write = resealing._write

    def overtaken(changes, column, using):
        Secret.objects.filter(pk=min(changes)).delete()
        return write(changes, column, using)

    monkeypatch.setattr(resealing, "_write", overtaken)

    assert counts(reseal(using="default")) == (4, 0, 0)


def test_who_is_stopped_goes_on_where_it_was(use, monkeypatch):
    monkeypatch.setattr(resealing, "BATCH", 2)
    for _ in range(7):
        make_endpoint()
    use(new_key())
    looked = []

    def stopped(count: int) -> None:
        looked.append(count)
        if len(looked) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reseal(using="default", told=stopped)

    assert counts(reseal(using="default", told=looked.append)) == (3, 4, 0)
    assert looked[3:] == [2, 2, 2, 1]


def test_two_at_once_do_the_work_once(full, use, monkeypatch):
    use(new_key())
    write, second = resealing._write, []

    def overtaken(changes, column, using):
        if not second:
            second.append(None)
            second[0] = reseal(using="default")
        return write(changes, column, using)

    monkeypatch.setattr(resealing, "_write", overtaken)

    first = reseal(using="default")

    assert counts(second[0]) == (5, 0, 0)
    assert counts(first) == (0, 5, 0)


def test_each_batch_is_a_transaction_of_its_own(use, monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr(resealing, "BATCH", 5)
    for _ in range(20):
        make_endpoint()
    use(new_key())

    # A read for each batch and after the last, of three columns; 4 times begin and commit.
    with django_assert_max_num_queries(20 + 5 + 2 + 2 * 4) as queries:
        reseal(using="default")

    said = [query["sql"] for query in queries.captured_queries]
    assert sum(1 for sql in said if sql.startswith("UPDATE")) == 20


def test_what_is_empty_stays_empty(endpoint, use):
    use(new_key())

    assert counts(reseal(using="default")) == (1, 0, 0)

    endpoint.refresh_from_db()
    assert (bytes(endpoint.sealed_headers), bytes(endpoint.sealed_client_certificate)) == (b"", b"")


def test_progress_is_for_who_watches(full, use, monkeypatch):
    monkeypatch.setattr(progress, "REFRESH_SECONDS", 0)
    use(new_key())
    terminal, file, out = Terminal(), io.StringIO(), io.StringIO()

    call_command("webhooks", "rotate-keys", stdout=out, stderr=terminal)
    call_command("webhooks", "rotate-keys", stdout=out, stderr=file)

    assert "\rlooked at: 5it [" in terminal.getvalue()
    assert file.getvalue() == ""
