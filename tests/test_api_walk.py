"""The API answers as its own description says, whatever it is sent: schemathesis tries."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import schemathesis
from django.contrib.auth.models import User
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from rest_framework.settings import api_settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from tests.conftest import make_endpoint
from webhook_delivery import batches, publish
from webhook_delivery.api.rights import RIGHTS
from webhook_delivery.api.throttling import RATES
from webhook_delivery.models import Delivery, Endpoint
from webhook_delivery.selecting import selection_of

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("default")]

BASIC = "Basic " + base64.b64encode(b"root:of all").decode()
AS_ROOT = {"Authorization": BASIC}
MODES = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
JUDGED = {
    "endpoints_create", "endpoints_partial_update", "endpoints_pause", "endpoints_recover_missed",
    "groups_acknowledge",
}  # fmt: skip
"""What these are told must be true, too, which no schema says: an address, a moment to come."""


def left_out(case: schemathesis.Case) -> list:
    """The matrix of permissions looks into `ignored_auth`; here everybody is root."""
    named = case.operation.definition.raw["operationId"]
    keyed = "Idempotency-Key" in (case.headers or {})  # another body may have come with it: 422
    judged = [positive_data_acceptance] if keyed or named in JUDGED else []
    ill = [not_a_server_error] if named == "health_retrieve" else []  # 503 says that nothing drains
    return [ignored_auth, *judged, *ill]


@dataclass
class Walk:
    """What has been tried."""

    schema: schemathesis.BaseSchema
    cases: int = 0
    statuses: set[int] = field(default_factory=set)

    def operations(self) -> Iterator[schemathesis.APIOperation]:
        for found in self.schema.get_all_operations():
            yield found.ok()

    def try_each(self, examples: int) -> None:
        for operation, mode in itertools.product(self.operations(), MODES):
            self.fuzz(operation, mode, examples)

    def fuzz(self, operation, mode: GenerationMode, examples: int) -> None:
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate],
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def tried(case) -> None:
            without = left_out(case)
            self.count(case.call_and_validate(headers=AS_ROOT, excluded_checks=without))

        tried()

    def count(self, response) -> None:
        self.cases += 1
        self.statuses.add(response.status_code)

    def follow_links(self, examples: int, steps: int) -> None:
        walk = self

        class Following(self.schema.as_state_machine()):
            def get_call_kwargs(self, case):
                return {"headers": AS_ROOT}

            def validate_response(self, response, case, **more):
                without = left_out(case)
                case.validate_response(response, excluded_checks=without)

            def after_call(self, response, case) -> None:
                walk.count(response)

        Following.run(
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                database=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate],
            )
        )


@pytest.fixture
def one_connection():
    """Django's test client does the same: a request's end would close the test's transaction."""
    both = request_started, request_finished
    for signal in both:
        signal.disconnect(close_old_connections)
    yield
    for signal in both:
        signal.connect(close_old_connections)


@pytest.fixture
def walk(receiver, one_connection, monkeypatch):
    """As a superuser, among deliveries of all kinds."""
    monkeypatch.setattr(api_settings, "DEFAULT_THROTTLE_RATES", dict.fromkeys(RATES), raising=False)
    User.objects.create_superuser("root", password="of all")
    some = [make_endpoint(receiver.url(), name=name, ordered=name == "b") for name in "abc"]
    make_endpoint(receiver.url(), name="off", state=Endpoint.State.OFF)
    make_endpoint(receiver.url(), name="paused", state=Endpoint.State.PAUSED)
    for number in range(4):
        publish("order.paid", {"number": number}, source=f"shop.order:{number}")
    Delivery.objects.filter(endpoint=some[1]).update(state="dead", reason="timeout", due_at=None)
    batches.start(selection_of(), rate=1)
    return Walk(schemathesis.openapi.from_wsgi(
        "/webhooks/api/schema/", get_wsgi_application(), headers=AS_ROOT
    ))  # fmt: skip


def test_the_description_names_each_act(walk):
    named = {operation.definition.raw["operationId"] for operation in walk.operations()}

    assert named == {act.replace(".", "_") for act in RIGHTS if act != "schema.retrieve"}


def test_what_is_sent_at_random_is_answered_as_described(walk):
    walk.try_each(examples=2)
    walk.follow_links(examples=5, steps=6)

    assert walk.cases >= 100
    assert not {status for status in walk.statuses if status >= 500} - {503}


@pytest.mark.nightly
def test_two_thousand_requests_find_nothing(walk):
    walk.try_each(examples=26)
    walk.follow_links(examples=60, steps=12)

    assert walk.cases >= 2_000
    assert not {status for status in walk.statuses if status >= 500} - {503}
