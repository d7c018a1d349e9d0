"""What a person may enter for an endpoint."""

import contextlib

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from tests.settings import WEBHOOK_DELIVERY
from webhook_delivery.validation import validate_schedule, validate_url

pytestmark = pytest.mark.everywhere_once


@pytest.fixture
def strict(settings):
    settings.WEBHOOK_DELIVERY = {}


@pytest.mark.parametrize(
    "url",
    [
        "https://receiver.example/",
        "https://receiver.example:443/hook?token=1",
        "https://8.8.8.8/",
        "https://[2606:4700:4700::1111]/hook",
    ],
)
def test_complete_public_addresses_are_accepted(strict, url):
    validate_url(url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "printable"),
        ("https://receiver.example/ x", "printable"),
        ("https://bücher.example/", "printable"),
        ("https://receiver.example/\r\n", "printable"),
        ("https://receiver.example/" + "x" * 2048, "2048"),
        ("http://receiver.example/", "ALLOW_HTTP"),
        ("ftp://receiver.example/", "complete"),
        ("javascript:alert(1)", "complete"),
        ("//receiver.example/", "complete"),
        ("https:///path", "complete"),
        ("https://user:pass@receiver.example/", "user names"),
        ("https://receiver.example/#part", "fragment"),
        ("https://receiver.example/#", "fragment"),
        (" https://receiver.example/", "printable"),
        ("https://receiver.example/\t", "printable"),
        ("https://receiver.example/\0", "printable"),
        ("file:///etc/passwd", "complete"),
        ("gopher://receiver.example/", "complete"),
        ("http+unix://%2Fvar%2Frun%2Fdocker.sock/", "complete"),
        ("https:/receiver.example", "complete"),
        ("https://a.example\\@b.example/", "user names"),
        ("https://a.example#@b.example/", "fragment"),
        ("https://receiver.example:22/", "ALLOWED_PORTS"),
        ("https://receiver.example:25/", "ALLOWED_PORTS"),
        ("https://receiver.example:6379/", "ALLOWED_PORTS"),
        ("https://receiver.example:-1/", "not a URL"),
        ("https://127.1/", "four decimal numbers"),
        ("https://0x7f000001/", "four decimal numbers"),
        ("https://a..b/", "not a host name"),
        ("https://xn--/", "not a host name"),
        ("https://localhost/", "ALLOWED_NETWORKS"),
        ("https://metadata/", "ALLOWED_NETWORKS"),
        ("https://receiver.example:0/", "ALLOWED_PORTS"),
        ("https://receiver.example:65536/", "not a URL"),
        ("https://[::1/", "not a URL"),
        ("https://127.0.0.1/", "not public"),
        ("https://[::1]/", "not public"),
        ("https://169.254.169.254/", "not public"),
    ],
)
def test_others_are_refused_with_what_to_change(strict, url, said):
    with pytest.raises(ValidationError) as refused:
        validate_url(url)

    assert said in refused.value.messages[0]


def test_each_error_is_a_new_one(strict):
    """One that is raised again and again would hold on to the frames of each time."""
    raised = []
    for _ in range(2):
        with pytest.raises(ValidationError) as refused:
            validate_url("https://127.0.0.1/")
        raised.append(refused.value)

    assert raised[0] is not raised[1]
    assert raised[0].messages == raised[1].messages


def test_every_port_but_none_can_be_opened(settings):
    settings.WEBHOOK_DELIVERY = {"ALLOWED_PORTS": []}

    validate_url("https://receiver.example:8443/")
    with pytest.raises(ValidationError):
        validate_url("https://receiver.example:0/")


def test_settings_open_what_development_needs(settings):
    settings.WEBHOOK_DELIVERY = WEBHOOK_DELIVERY

    validate_url("http://127.0.0.1:8001/hook")


@given(st.text())
def test_no_text_does_anything_but_validate(text):
    with contextlib.suppress(ValidationError):
        validate_url(text)


@pytest.mark.parametrize("schedule", [[], [0], [5, 60.5, 604_800]])
def test_a_schedule_is_a_list_of_seconds(schedule):
    validate_schedule(schedule)


@pytest.mark.parametrize(
    "schedule", [5, "5", [-1], [604_801], ["5"], [True], [None], [5] * 101, {"a": 1}]
)
def test_other_schedules_are_refused(schedule):
    with pytest.raises(ValidationError):
        validate_schedule(schedule)
