"""Who is behind an endpoint is written to when it fails, is off, or is well; seldom, and surely."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.db.models import F

from tests.conftest import make_endpoint
from tests.owing import end_pauses, owe
from tests.test_overseeing import fail, let_pass
from webhook_delivery import correspondence, endpoints, health, loop, publish, tasks
from webhook_delivery.models import Delivery, Doorbell, Endpoint, Notice
from webhook_delivery.probing import probe
from webhook_delivery.testing.receiver import SILENCE

pytestmark = pytest.mark.django_db(transaction=True)

DB = "default"
SMTP = "django.core.mail.backends.smtp.EmailBackend"
IN_MEMORY = "django.core.mail.backends.locmem.EmailBackend"


@pytest.fixture
def customer(receiver) -> Endpoint:
    url = receiver.url("/hooks/T0K3N-in-the-path?key=s3cr3t")
    return make_endpoint(url, name="acme\nBcc: all@example.com", contact="ops@acme.example")


def by_email_settings(settings, backend: str, **options: Any) -> None:
    if hasattr(settings, "MAILERS"):
        del settings.MAILERS
    named = {f"EMAIL_{name.upper()}": value for name, value in options.items()}
    for name, value in {"EMAIL_BACKEND": backend, **named}.items():
        setattr(settings, name, value)


def by_mailers(settings, backend: str, **options: Any) -> None:
    settings.MAILERS = {"default": {"BACKEND": backend, "OPTIONS": options}}


WAYS = [by_email_settings, by_mailers] if hasattr(mail, "mailers") else [by_email_settings]
mail_by = WAYS[-1]
"""Chooses the mail server as this version of Django wants it; those before it had one way."""


def switch_off(endpoint: Endpoint) -> None:
    endpoints.mark_off(endpoint.pk, reason="410 Gone", using=DB)


def post() -> int:
    return correspondence.post(using=DB)


def an_hour_later() -> None:
    hour = timedelta(hours=1, seconds=1)
    Notice.objects.update(created_at=F("created_at") - hour, due_at=F("due_at") - hour)


def test_the_contact_is_written_to_from_the_warning_to_the_recovery(customer, mailoutbox):
    fail(customer, 3)
    let_pass(1)
    fail(customer)
    tasks.sweep()
    let_pass(4)
    fail(customer)
    tasks.sweep()
    tasks.sweep()
    end_pauses()
    probe(customer)
    tasks.sweep()

    assert [mail.to for mail in mailoutbox] == [["ops@acme.example"]] * 3
    warned, disabled, recovered = mailoutbox
    assert "is failing" in warned.subject
    assert "has arrived since 20" in warned.body
    assert "was switched off" in disabled.subject
    assert "failing since 20" in disabled.body
    assert "is well again" in recovered.subject
    assert "arrives again" in recovered.body


def test_who_is_switched_on_by_a_person_is_well_again_when_something_arrives(
    customer, send_due, mailoutbox
):
    fail(customer, 3)
    for days in (1, 4):
        let_pass(days)
        fail(customer)
        tasks.sweep()

    endpoints.switch_on(customer.pk, using=DB, by="ann")
    tasks.sweep()
    assert ["was switched off" in mail.subject for mail in mailoutbox] == [False, True]
    assert health.remarks() == []
    end_pauses()
    send_due()
    publish("order.paid")
    send_due()
    tasks.sweep()

    assert len(mailoutbox) == 3
    assert "is well again" in mailoutbox[-1].subject


def test_no_mail_holds_a_token_or_a_header_of_somebody_elses(customer, mailoutbox):
    switch_off(customer)
    post()

    [mail] = mailoutbox
    sent = mail.message().as_string()
    assert "T0K3N" not in sent
    assert "s3cr3t" not in sent
    assert mail.recipients() == ["ops@acme.example"]
    assert "127.0.0.1" in mail.body


def test_who_has_no_contact_is_not_written_to(endpoint, mailoutbox):
    switch_off(endpoint)
    post()

    assert mailoutbox == []
    assert not Notice.objects.exists()


def test_dead_letters_are_not_written_about(customer, receiver, send_due, mailoutbox):
    Endpoint.objects.update(retry_schedule=[])
    receiver.replies(*[500] * 5)
    for _ in range(5):
        publish("order.paid")
    send_due()
    post()

    assert mailoutbox == []


def test_the_same_is_written_once_an_hour_at_most(customer, mailoutbox):
    for _ in range(3):
        switch_off(customer)
        endpoints.switch_on(customer.pk, using=DB)
    post()
    assert len(mailoutbox) == 1

    an_hour_later()
    switch_off(customer)
    post()
    assert len(mailoutbox) == 2


def test_who_was_told_of_no_trouble_is_not_told_that_it_is_over(customer, send_due, mailoutbox):
    fail(customer, 10)  # its breaker opens
    end_pauses()
    publish("order.paid")
    send_due()
    post()

    assert mailoutbox == []


def test_a_mail_is_owed_only_if_the_change_is_committed(customer):
    class Undone(Exception):
        pass

    with pytest.raises(Undone), transaction.atomic():
        switch_off(customer)
        raise Undone

    assert not Notice.objects.exists()


def test_a_mail_server_that_is_away_is_tried_again_and_hurts_nobody(
    customer, settings, mailoutbox, receiver, caplog
):
    switch_off(customer)
    mail_by(settings, SMTP, host="127.0.0.1", port=1)  # nothing listens there
    other = make_endpoint(receiver.url("/other"), "order.paid")
    publish("order.paid")
    tasks.sweep()

    assert [each.path for each in receiver.received] == ["/other"]
    assert other.deliveries.get().state == "delivered"
    assert "could not be sent" in caplog.text
    notice = Notice.objects.get()
    assert (notice.attempts, notice.sent_at) == (1, None)
    assert post() == 0  # not before a minute has passed

    mail_by(settings, IN_MEMORY)
    an_hour_later()
    assert post() == 1
    assert len(mailoutbox) == 1
    notice.refresh_from_db()
    assert notice.sent_at is not None
    assert post() == 0


@pytest.fixture
def at_the_counter(settings, monkeypatch) -> list[int]:
    """How many requests were in flight whenever the mail server was asked, which may take long."""
    seen: list[int] = []

    class Tarpit(BaseEmailBackend):
        def send_messages(self, messages):
            seen.append(Delivery.objects.sending().count())
            raise TimeoutError("the mail server keeps us waiting")

    monkeypatch.setattr(f"{__name__}.Tarpit", Tarpit, raising=False)
    mail_by(settings, f"{__name__}.Tarpit")
    return seen


@pytest.fixture
def hanging(receiver) -> Endpoint:
    """An endpoint that takes what it is sent, and does not answer."""
    hanging = make_endpoint(receiver.url("/hangs"), "order.paid")
    receiver.replies(SILENCE, path="/hangs")
    publish("order.paid")
    return hanging


def test_a_drain_that_stands_in_for_the_sweep_writes_when_nothing_is_in_flight(
    customer, hanging, at_the_counter
):
    switch_off(customer)
    Doorbell.objects.update(swept_at=None)

    tasks.drain()

    assert at_the_counter == [0]
    assert hanging.deliveries.get().attempts_made >= 1


def test_a_loop_writes_between_its_drains(customer, hanging, at_the_counter, monkeypatch):
    monkeypatch.setattr(loop, "ROUND_SECONDS", 0.05)
    switch_off(customer)

    loop.run(using=DB, stopped=lambda: bool(at_the_counter))

    assert at_the_counter == [0]
    assert hanging.deliveries.get().attempts_made >= 1


def test_a_loop_that_has_always_something_to_send_writes_all_the_same(
    customer, receiver, at_the_counter, monkeypatch
):
    monkeypatch.setattr(loop, "RUN_SECONDS", 0.01)
    owe(1000, make_endpoint(receiver.url("/busy"), "order.paid"))
    switch_off(customer)

    loop.run(using=DB, stopped=lambda: bool(at_the_counter))

    assert at_the_counter == [0]
    assert Delivery.objects.pending().exists()


@pytest.fixture
def mute() -> Iterator[int]:
    """The port of a server that lets everybody in, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


deprecated = pytest.mark.filterwarnings("ignore:The EMAIL_:PendingDeprecationWarning")
"""Django 6.1's word to who sets them; whoever reads them is told nothing."""


@deprecated
@pytest.mark.parametrize("way", WAYS)
def test_a_mail_server_that_says_nothing_is_not_waited_for(
    customer, settings, mute, monkeypatch, caplog, way
):
    monkeypatch.setattr(correspondence, "POSTING_SECONDS", 0.2)
    way(settings, SMTP, host="127.0.0.1", port=mute)
    switch_off(customer)

    assert post() == 0
    assert "TimeoutError" in caplog.text


@deprecated
@pytest.mark.parametrize("way", WAYS)
def test_the_mail_server_is_whichever_the_project_has_named(customer, settings, tmp_path, way):
    way(settings, "django.core.mail.backends.filebased.EmailBackend", file_path=str(tmp_path))
    switch_off(customer)

    assert post() == 1
    [mailed] = tmp_path.iterdir()
    assert "To: ops@acme.example" in mailed.read_text()


def test_a_mail_that_can_never_be_sent_is_given_up(customer, settings):
    switch_off(customer)
    mail_by(settings, SMTP, host="127.0.0.1", port=1)
    for _ in range(len(correspondence.WAITS) + 3):
        Notice.objects.exclude(due_at=None).update(due_at=F("created_at") - timedelta(days=1))
        post()

    notice = Notice.objects.get()
    assert (notice.attempts, notice.due_at, notice.sent_at) == (7, None, None)


def test_two_sweeps_send_a_mail_once(customer, mailoutbox):
    switch_off(customer)
    mine, theirs = Notice.objects.get(), Notice.objects.get()

    assert correspondence._take(mine, DB)
    assert not correspondence._take(theirs, DB)


def test_it_goes_to_the_contact_that_there_is_by_then(customer, mailoutbox):
    switch_off(customer)
    Endpoint.objects.update(contact="new@acme.example")
    post()
    assert mailoutbox[0].to == ["new@acme.example"]


def test_whose_contact_is_gone_by_then_is_not_written_to(customer, mailoutbox):
    switch_off(customer)
    Endpoint.objects.update(contact="")

    assert post() == 0

    notice = Notice.objects.get()
    assert (notice.due_at, notice.sent_at) == (None, None)
    assert mailoutbox == []


def test_a_project_writes_its_own_words(customer, mailoutbox, settings, tmp_path):
    own = tmp_path / "webhook_delivery" / "mail"
    own.mkdir(parents=True)
    (own / "disabled_subject.txt").write_text("Off: {{ endpoint.pk }}")
    [engine] = settings.TEMPLATES
    settings.TEMPLATES = [{**engine, "DIRS": [tmp_path]}]
    switch_off(customer)
    post()

    assert mailoutbox[0].subject == f"Off: {customer.pk}"
    assert Endpoint.objects.get().is_off_by_itself
