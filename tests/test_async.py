"""Publishing from coroutines: async views, and a real ASGI server."""

from __future__ import annotations

import asyncio
import inspect
import json
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import SynchronousOnlyOperation
from django.test import AsyncClient

from example_project.processes import Process
from example_project.shop.models import Order
from tests.processes import environment, wait_until
from tests.test_readme import free_port
from webhook_delivery import InvalidEvent, apublish, apublish_many, publish, publish_many
from webhook_delivery.models import Delivery, Event

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def site(settings) -> None:
    settings.ROOT_URLCONF = "tests.asgi"


def get(path: str) -> tuple[int, dict]:
    response = async_to_sync(AsyncClient().get)(path)
    return response.status_code, json.loads(response.content)


def test_an_async_view_publishes_and_the_receiver_hears_it(site, endpoint, receiver, send_due):
    status, said = get("/told")

    assert status == 200
    assert send_due().delivered == 1
    assert [got.webhook_id for got in receiver.received] == [said["id"]]


def test_the_same_key_from_an_async_view_is_the_same_event(site):
    assert get("/told?key=7") == get("/told?key=7")
    assert Event.objects.count() == 1


def test_an_async_view_publishes_many(site, endpoint, send_due):
    assert get("/told-many") == (200, {"written": 20})

    assert send_due().delivered == 20


def test_what_an_async_view_does_in_one_transaction_is_written_or_not(site, endpoint):
    assert get("/placed?fail=1")[0] == 500
    assert (Order.objects.count(), Event.objects.count(), Delivery.objects.count()) == (0, 0, 0)

    assert get("/placed")[0] == 200
    assert Order.objects.count() == 1
    types = Delivery.objects.order_by("pk").values_list("event__event_type", flat=True)
    assert set(types) == {"order.created", "order.placed"}


def test_many_coroutines_publish_beside_each_other(endpoint):
    async def all_at_once() -> list[Event]:
        return await asyncio.gather(*(apublish("order.told", {"n": n}) for n in range(10)))

    published = async_to_sync(all_at_once)()

    assert len({event.pk for event in published}) == Delivery.objects.count() == 10


def test_what_is_refused_is_refused_to_a_coroutine_too():
    with pytest.raises(InvalidEvent):
        async_to_sync(apublish)("no type!")


def test_without_the_twin_a_coroutine_is_told_so():
    async def forgets() -> None:
        publish("order.told")

    with pytest.raises(SynchronousOnlyOperation):
        async_to_sync(forgets)()


@pytest.mark.parametrize(("twin", "of"), [(apublish, publish), (apublish_many, publish_many)])
def test_the_twins_take_and_say_the_same(twin, of):
    assert inspect.iscoroutinefunction(twin)
    assert inspect.signature(twin) == inspect.signature(of)
    assert twin.__doc__ == of.__doc__


def test_under_a_real_server_a_view_publishes_and_the_receiver_hears_it(
    endpoint, receiver, send_due, tmp_path: Path
):
    port, log = free_port(), tmp_path / "log"
    env = environment() | {"WEBHOOK_TEST_URLS": "tests.asgi"}
    command = ["-m", "uvicorn", "tests.asgi:application", "--port", port, "--lifespan", "off"]

    with Process(*command, log=log, env=env) as server:
        wait_until(lambda: _answers(port), seconds=30)
        with urlopen(f"http://127.0.0.1:{port}/told") as answer:
            said = json.load(answer)
        assert server.running()

    assert send_due().delivered == 1
    assert [got.webhook_id for got in receiver.received] == [said["id"]]


def _answers(port: str) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/placed?fail=1", timeout=5):
            return True
    except URLError as error:
        return getattr(error, "code", None) == 500
