"""What the log says: the same ids on every record, as JSON if asked, and never a secret."""

from __future__ import annotations

import ast
import io
import json
import logging
import logging.config
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from example_project.settings import BASE_DIR
from tests.conftest import make_due, make_endpoint
from webhook_delivery import drain as draining
from webhook_delivery import logs, publish, recording
from webhook_delivery.models import Attempt, Delivery, Endpoint
from webhook_delivery.testing.receiver import SILENCE, Reply

PACKAGE = BASE_DIR / "webhook_delivery"
CANARY = "CANARY-0123456789"


def guide() -> str:
    return (BASE_DIR / "docs" / "monitoring.md").read_text()


@pytest.fixture
def stream(monkeypatch) -> Iterator[io.StringIO]:
    """The log as the guide configures it, at its most talkative."""
    [code] = re.findall(r"^```python\n(LOGGING = .*?)^```$", guide(), re.MULTILINE | re.DOTALL)
    known: dict[str, dict] = {}
    exec(code, known)
    stream, logger = io.StringIO(), logging.getLogger("webhook_delivery")
    before = list(logger.handlers), logger.level, logger.propagate
    logging.config.dictConfig({**known["LOGGING"], "disable_existing_loggers": False})
    [handler] = logger.handlers
    handler.setStream(stream)
    logger.setLevel(logging.DEBUG)
    yield stream
    logger.handlers, logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


def lines(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.django_db(transaction=True)
def test_each_attempt_is_a_line_with_the_ids_of_its_rows(stream, receiver, endpoint, send_due):
    receiver.replies(503, 200)
    event = publish("order.paid", {"number": 7})
    for _ in range(2):
        send_due()
        make_due()

    told = [line for line in lines(stream) if "attempt" in line]
    [delivery] = Delivery.objects.all()
    rows = Attempt.objects.values_list("number", "status", "fault", "verdict", "duration_ms")
    assert [
        (line["attempt"], line["status"], line["outcome"], line["verdict"], line["duration_ms"])
        for line in told
    ] == [(n, status, fault or "delivered", verdict, ms) for n, status, fault, verdict, ms in rows]
    for line in told:
        assert line["webhook_id"] == event.webhook_id
        assert (line["delivery"], line["endpoint"]) == (delivery.pk, endpoint.pk)
        assert (line["level"], line["logger"]) == ("info", "webhook_delivery.observing")
        assert line["message"].startswith(f"Attempt {line['attempt']} at delivery {delivery.pk}: ")


@pytest.mark.django_db(transaction=True)
def test_no_record_has_what_only_the_receiver_may_know(
    stream, receiver, settings, send_due, monkeypatch
):
    url = receiver.url(f"/{CANARY}?sig={CANARY}").replace("//", f"//user:{CANARY}@")
    echo = Reply(500, body=CANARY.encode())
    for script in ([503, echo, SILENCE], [410], [Reply(302, headers={"location": url})]):
        endpoint = make_endpoint(receiver.url(f"/{CANARY}{len(script)}?sig={CANARY}"))
        endpoint.set_headers({"Authorization": f"Bearer {CANARY}"})
        receiver.replies(*script, path=f"/{CANARY}{len(script)}?sig={CANARY}")
    broken = make_endpoint(receiver.url("/x"), name="broken")
    Endpoint.objects.filter(pk=broken.pk).update(url=url, retry_schedule=[CANARY])
    sealed = make_endpoint(receiver.url("/y"), name="sealed")
    Endpoint.objects.filter(pk=sealed.pk).update(sealed_headers=b"not sealed")
    for _ in range(3):
        publish("order.paid", {"card": CANARY})
        send_due()
        make_due()
    monkeypatch.setattr("webhook_delivery.dispatch.sendable", _says_all)
    publish("order.paid", {"card": CANARY})
    send_due()
    monkeypatch.setattr(recording, "record", _away)
    monkeypatch.setattr(draining, "AWAY_SECONDS", 0)
    publish("order.paid", {"card": CANARY})
    with pytest.raises(KeyboardInterrupt):
        send_due()

    said = stream.getvalue()
    assert "cannot be prepared: ValueError in _says_all" in said
    assert len(said.splitlines()) > 10
    assert '"exception"' in said
    assert CANARY not in said
    assert "whsec_" not in said


def _says_all(headers: dict[str, str], **kwargs: object) -> None:
    raise ValueError(f"cannot send {headers} and {CANARY}")


def _away(*args: object, **kwargs: object) -> None:
    """Once the database is away; then somebody stops the worker."""
    if _away.__dict__.setdefault("called", False):
        raise KeyboardInterrupt
    _away.__dict__["called"] = True
    raise draining.DatabaseError("the database is away")


# ── the shape of every record


def test_every_record_has_every_field(caplog):
    logs.log_of("webhook_delivery.test").warning("x %s", 1, extra={"delivery": 5})

    [record] = caplog.records
    assert {name: getattr(record, name) for name in logs.FIELDS} == {
        **dict.fromkeys(logs.FIELDS),
        "delivery": 5,
    }
    assert record.funcName == "test_every_record_has_every_field"


def test_fields_are_no_names_that_python_uses():
    plain = logging.makeLogRecord({})

    assert not set(logs.FIELDS) & {*vars(plain), "message", "asctime"}


def test_a_traceback_is_one_line_of_json():
    formatter = logs.JSONFormatter()
    try:
        raise ValueError("a\nb")
    except ValueError:
        record = logging.getLogger("x").makeRecord(
            "x", logging.ERROR, "f", 1, "said %s", ("é",), logging.sys.exc_info()
        )

    line = formatter.format(record)

    assert "\n" not in line
    told = json.loads(line)
    assert told["message"] == "said é"
    assert "ValueError: a\nb" in told["exception"]
    assert set(told) == {"time", "level", "logger", "message", "exception"}


def modules() -> list[Path]:
    return [path for path in PACKAGE.rglob("*.py") if path.name != "logs.py"]


def test_only_one_module_makes_loggers():
    makers = [path.name for path in modules() if "getLogger" in path.read_text()]

    assert makers == []


def test_what_extra_names_is_a_field_and_messages_are_no_f_strings():
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Attribute) and ast.unparse(called.value) == "logger":
                assert not isinstance(node.args[0], ast.JoinedStr), f"{path}:{node.lineno}"
                for word in node.keywords:
                    if isinstance(word.value, ast.Dict):
                        keys = {key.value for key in word.value.keys if key}
                        assert keys <= set(logs.FIELDS), f"{path}:{node.lineno}"


def test_the_guide_names_every_field():
    named = re.findall(r"^\| `(\w+)` \| .* \|$", guide().partition("## The log")[2], re.MULTILINE)

    assert named == list(logs.FIELDS)
