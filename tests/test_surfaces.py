"""Each verb does the same from the console, the API, the shell and code: one table of them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from tests import shell
from tests.conftest import make_endpoint
from tests.test_admin import url
from webhook_delivery import (
    acknowledging,
    batches,
    endpoints,
    erasing,
    forwarding,
    publish,
    redelivery,
    rotation,
)
from webhook_delivery.admin.redeliveries.asking import Token
from webhook_delivery.api.rights import RIGHTS
from webhook_delivery.grouping import Failure
from webhook_delivery.models import (
    Acknowledgement,
    ConsoleAction,
    Delivery,
    Endpoint,
    Event,
    RedeliveryBatch,
    Secret,
)
from webhook_delivery.probing import probe
from webhook_delivery.selecting import selection_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.nightly_on_servers]

DB, WHY = "default", "after deploy 4.2"
LATER = timezone.now() + timedelta(days=1)


@dataclass(frozen=True)
class World:
    """What a verb is done to."""

    delivery: Delivery
    endpoint: Endpoint
    other: Endpoint
    batch: RedeliveryBatch

    @property
    def event(self) -> Event:
        return self.delivery.event


Does = Callable[[World, Any], object]


@dataclass(frozen=True)
class Verb:
    """One verb: when there is something to do, what it leads to, and how each surface says it."""

    name: str
    ready: Callable[[World], object]
    too_late: Callable[[World], object] | None
    """None: there is always something to do."""
    led_to: Callable[[World], object]
    """Is true once it is done, and false before."""
    code: Does
    api: Callable[[World], tuple[str, Mapping[str, Any]]]
    shell: Callable[[World], list[object]]
    console: Callable[[World], tuple[str, Mapping[str, Any]]]
    rights: frozenset[str]
    """What it takes besides seeing things."""
    kept: str
    """The verb of the audit."""


def delivery_is(**columns: Any) -> Callable[[World], object]:
    return lambda world: Delivery.objects.filter(pk=world.delivery.pk).update(**columns)


def endpoint_is(**columns: Any) -> Callable[[World], object]:
    return lambda world: Endpoint.objects.filter(pk=world.endpoint.pk).update(**columns)


def batch_is(**columns: Any) -> Callable[[World], object]:
    return lambda world: RedeliveryBatch.objects.filter(pk=world.batch.pk).update(**columns)


def state(world: World) -> str:
    return Delivery.objects.get(pk=world.delivery.pk).state


def of_delivery(
    name: str, ready: Mapping[str, Any], too_late: str, becomes: str, right: str
) -> Verb:
    """The four of one delivery are alike."""
    dashed = name.replace("_", "-")
    change = delivery_is(**{"due_at": None, **ready})
    return Verb(
        name=name,
        ready=change,
        too_late=delivery_is(state=too_late, due_at=None),
        led_to=lambda world: state(world) == becomes and not _waits(world),
        code=lambda world, by: getattr(redelivery, name)(
            Delivery.objects.filter(pk=world.delivery.pk), by=by, reason=WHY
        ),
        api=lambda world: (f"deliveries/{world.delivery.pk}/{dashed}/", {"reason": WHY}),
        shell=lambda world: [dashed, world.delivery.pk, "--why", WHY],
        console=lambda world: (url("delivery", name, world.delivery.pk), {"reason": WHY}),
        rights=frozenset({right}),
        kept=name,
    )


def _waits(world: World) -> bool:
    row = Delivery.objects.get(pk=world.delivery.pk)
    return row.due_at is not None and row.due_at > timezone.now() + timedelta(hours=1)


SWITCHING = {
    "on": endpoints.switch_on,
    "paused": endpoints.pause,
    "off": endpoints.switch_off,
}


def switch(name: str, was: str, becomes: str, code: Does, console: str, kept: str) -> Verb:
    return Verb(
        name=name,
        ready=endpoint_is(state=was),
        too_late=lambda world: SWITCHING[becomes](world.endpoint.pk, using=DB),
        led_to=lambda world: Endpoint.objects.get(pk=world.endpoint.pk).state == becomes,
        code=code,
        api=lambda world: (f"endpoints/{world.endpoint.pk}/{name}/", {"reason": WHY}),
        shell=lambda world: [name, world.endpoint.pk, "--why", WHY],
        console=lambda world: (url("endpoint", console, world.endpoint.pk), {"reason": WHY}),
        rights=frozenset({"pause_endpoint"}),
        kept=kept,
    )


def of_batch(name: str, was: str, becomes: str, kept: str) -> Verb:
    return Verb(
        name=f"redelivery {name}",
        ready=batch_is(state=was),
        too_late=batch_is(state="done", ended_at=timezone.now()),
        led_to=lambda world: RedeliveryBatch.objects.get(pk=world.batch.pk).state == becomes,
        code=lambda world, by: getattr(batches, name)(world.batch.pk, by=by),
        api=lambda world: (f"redeliveries/{world.batch.pk}/{name}/", {}),
        shell=lambda world: ["redelivery", name, world.batch.pk],
        console=lambda world: (url("redeliverybatch", name, world.batch.pk), {}),
        rights=frozenset({"bulk_redeliver_delivery"}),
        kept=kept,
    )


def failure(world: World) -> Failure:
    return Failure(world.endpoint.pk, "timeout")


def dead_of_timeout(world: World) -> None:
    delivery_is(state="dead", reason="timeout", due_at=None, ended_at=timezone.now())(world)


def token() -> dict[str, str]:
    return {"token": str(Token())}


VERBS = [
    of_delivery("redeliver", {"state": "dead"}, "sending", "pending", "redeliver_delivery"),
    of_delivery(
        "retry_now",
        {"state": "pending", "due_at": LATER},
        "delivered",
        "pending",
        "redeliver_delivery",
    ),
    of_delivery("discard", {"state": "dead"}, "delivered", "discarded", "discard_delivery"),
    of_delivery("restore", {"state": "discarded"}, "delivered", "dead", "discard_delivery"),
    switch(
        "pause",
        "on",
        "paused",
        lambda world, by: endpoints.pause(world.endpoint.pk, using=DB, by=by, reason=WHY),
        "pause_now",
        "pause",
    ),
    switch(
        "resume",
        "paused",
        "on",
        lambda world, by: endpoints.switch_on(world.endpoint.pk, using=DB, by=by, reason=WHY),
        "on_now",
        "switch_on",
    ),
    switch(
        "switch-off",
        "on",
        "off",
        lambda world, by: endpoints.switch_off(world.endpoint.pk, using=DB, by=by, reason=WHY),
        "off_now",
        "switch_off",
    ),
    Verb(
        name="probe",
        ready=endpoint_is(state="off", state_reason="410 Gone", off_by_itself=True),
        too_late=None,
        led_to=lambda world: Endpoint.objects.get(pk=world.endpoint.pk).state == "on",
        code=lambda world, by: probe(world.endpoint, by=by),
        api=lambda world: (f"endpoints/{world.endpoint.pk}/probe/", {}),
        shell=lambda world: ["send-test", world.endpoint.pk],
        console=lambda world: (url("endpoint", "test", world.endpoint.pk), {}),
        rights=frozenset({"test_endpoint", "pause_endpoint"}),
        kept="test",
    ),
    Verb(
        name="rotate-secret",
        ready=lambda world: None,
        too_late=None,
        led_to=lambda world: Secret.objects.filter(endpoint=world.endpoint).count() == 2,
        code=lambda world, by: rotation.rotate(
            world.endpoint.pk, using=DB, overlap=timedelta(hours=1), by=by, reason=WHY
        ),
        api=lambda world: (f"endpoints/{world.endpoint.pk}/rotate-secret/", {"reason": WHY}),
        shell=lambda world: ["rotate-secret", world.endpoint.pk, "--why", WHY],
        console=lambda world: (
            url("endpoint", "rotate_now", world.endpoint.pk),
            {"newest": world.endpoint.secrets.latest("pk").pk, "reason": WHY},
        ),
        rights=frozenset({"rotate_secret"}),
        kept="rotate_secret",
    ),
    Verb(
        name="redeliver many",
        ready=dead_of_timeout,
        too_late=None,
        led_to=lambda world: RedeliveryBatch.objects.count() == 2,
        code=lambda world, by: batches.start(
            selection_of(reason="timeout"), by=by, reason=WHY, rate=5
        ),
        api=lambda world: (
            "redeliveries/",
            {"selection": {"reason": "timeout"}, "rate": 5, "reason": WHY},
        ),
        shell=lambda world: ["redeliver", "--reason", "timeout", "--rate", 5, "--why", WHY],
        console=lambda world: (
            f"{url('redeliverybatch', 'start')}?reason=timeout&state=dead",
            {"speed": "rate", "rate": 5, "attempts": "once", "canary": 0, "reason": WHY, **token()},
        ),
        rights=frozenset({"redeliver_delivery", "bulk_redeliver_delivery"}),
        kept="redeliver",
    ),
    of_batch("pause", "running", "paused", "batch paused"),
    of_batch("resume", "paused", "running", "batch running"),
    of_batch("cancel", "running", "cancelled", "batch cancelled"),
    Verb(
        name="recover what was missed",
        ready=lambda world: None,
        too_late=None,
        led_to=lambda world: RedeliveryBatch.objects.filter(kind="missed").exists(),
        code=lambda world, by: batches.start_missed(
            world.other.pk, timezone.now() - timedelta(days=1), by=by, reason=WHY
        ),
        api=lambda world: (
            f"endpoints/{world.other.pk}/recover-missed/",
            {"since": (timezone.now() - timedelta(days=1)).isoformat(), "reason": WHY},
        ),
        shell=lambda world: [
            *("recover", world.other.pk, "--since", "1d", "--missed", "--why", WHY)
        ],
        console=lambda world: (
            url("endpoint", "recover_missed_now", world.other.pk),
            {"since": "2026-01-01T00:00", "rate": 10, "reason": WHY, **token()},
        ),
        rights=frozenset({"bulk_redeliver_delivery"}),
        kept="recover_missed",
    ),
    Verb(
        name="forward",
        ready=lambda world: None,
        too_late=lambda world: Endpoint.objects.filter(pk=world.other.pk).update(state="off"),
        led_to=lambda world: world.other.deliveries.exists(),
        code=lambda world, by: forwarding.forward(world.event, world.other.pk, by=by, reason=WHY),
        api=lambda world: (
            f"events/{world.event.webhook_id}/forward/",
            {"endpoint": world.other.pk, "reason": WHY},
        ),
        shell=lambda world: ["forward", world.event.webhook_id, world.other.pk, "--why", WHY],
        console=lambda world: (
            url("event", "forward_now", world.event.pk),
            {"endpoint": world.other.pk, "reason": WHY},
        ),
        rights=frozenset({"redeliver_delivery"}),
        kept="forward",
    ),
    Verb(
        name="erase",
        ready=lambda world: None,
        too_late=lambda world: erasing.erase(world.event),
        led_to=lambda world: Event.objects.get(pk=world.event.pk).erased_at is not None,
        code=lambda world, by: erasing.erase(world.event, by=by, reason=WHY),
        api=lambda world: (f"events/{world.event.webhook_id}/erase/", {"reason": WHY}),
        shell=lambda world: ["erase", world.event.webhook_id, "--why", WHY],
        console=lambda world: (url("event", "erase_now", world.event.pk), {"reason": WHY}),
        rights=frozenset({"erase_event"}),
        kept="erase",
    ),
    Verb(
        name="acknowledge",
        ready=dead_of_timeout,
        too_late=delivery_is(state="delivered"),
        led_to=lambda world: Acknowledgement.objects.exists(),
        code=lambda world, by: acknowledging.acknowledge(failure(world), by=by, note=WHY, using=DB),
        api=lambda world: (
            "groups/acknowledge/",
            {"endpoint": world.endpoint.pk, "failure": "timeout", "reason": WHY},
        ),
        shell=lambda world: ["acknowledge", world.endpoint.pk, "timeout", "--why", WHY],
        console=lambda world: (
            url("failuregroup", "acknowledge"),
            {**failure(world)._asdict(), "note": WHY},
        ),
        rights=frozenset({"redeliver_delivery"}),
        kept="acknowledge",
    ),
    Verb(
        name="reopen",
        ready=lambda world: (
            dead_of_timeout(world),
            acknowledging.acknowledge(failure(world), using=DB),
        ),
        too_late=lambda world: Acknowledgement.objects.all().delete(),
        led_to=lambda world: not Acknowledgement.objects.exists(),
        code=lambda world, by: acknowledging.reopen(failure(world), by=by, note=WHY, using=DB),
        api=lambda world: (
            "groups/reopen/",
            {"endpoint": world.endpoint.pk, "failure": "timeout", "reason": WHY},
        ),
        shell=lambda world: ["reopen", world.endpoint.pk, "timeout", "--why", WHY],
        console=lambda world: (
            url("failuregroup", "reopen"),
            {**failure(world)._asdict(), "note": WHY},
        ),
        rights=frozenset({"redeliver_delivery"}),
        kept="reopen",
    ),
]
NOT_HERE = {
    "endpoints.create": "a form of its own in the console, and `subscribe()` in code",
    "endpoints.partial_update": "a form of its own in the console, and a save in code",
    "endpoints.recover": "a redelivery of many, of one endpoint",
    "endpoints.test": "publishes only; `probe` sends it",
    "redeliveries.preview": "changes nothing",
    "redeliveries.rate": "as pause, resume and cancel",
    "retries.drain": "a worker's; people have no button for it",
}
"""Acts of the API that the table leaves out, and why."""


@dataclass
class Surface:
    """One of the four: does a verb as a user with these rights, and says how that ended."""

    world: World
    user: User = field(init=False)

    def as_(self, rights: frozenset[str]) -> Surface:
        self.user = User.objects.create_user("ann", is_staff=True)
        ours = Permission.objects.filter(content_type__app_label="webhook_delivery")
        named = [each for each in ours if each.codename.startswith("view_")]
        self.user.user_permissions.set([*named, *ours.filter(codename__in=rights)])
        return self

    def through_code(self, verb: Verb) -> str:
        verb.code(self.world, self.user)
        return "done"

    def through_api(self, verb: Verb) -> str:
        client = APIClient()
        client.force_login(self.user)
        where, body = verb.api(self.world)
        answer = client.post(f"/webhooks/api/{where}", body, format="json")
        assert answer.status_code in (200, 201, 202, 403, 409), answer.content
        if answer.status_code in (403, 409):
            return "refused" if answer.status_code == 403 else "left"
        return "done" if answer.json().get("changed", True) else "left"

    def through_shell(self, verb: Verb) -> str:
        ran = shell.run(*verb.shell(self.world), "--by", "ann")
        assert ran.code in (0, 1), ran
        return "done" if ran.code == 0 else "left"

    def through_console(self, verb: Verb) -> str:
        client = Client()
        client.force_login(self.user)
        where, fields = verb.console(self.world)
        answer = client.post(where, fields, follow=True)
        if answer.status_code == 403:
            return "refused"
        said = [(each.level_tag, str(each)) for each in answer.context["messages"]]
        if not said:  # a secret is shown at once
            assert "The new signing secret" in answer.content.decode()
            return "done"
        return "done" if said[0][0] == "success" else f"left: {said[0][1]}"


OF_BATCHES = ["redelivery pause", "redelivery resume", "redelivery cancel"]
SURFACES = ["code", "api", "shell", "console"]
GUARDED = ["api", "console"]
each_verb = pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)


@pytest.fixture
def world(receiver) -> World:
    endpoint = make_endpoint(receiver.url("/one"), "order.paid", name="one")
    event = publish("order.paid", {"number": 7, "status": "paid", "total": "9.00"})
    other = make_endpoint(receiver.url("/other"), "order.*", name="other")
    batch = batches.start(selection_of(reason="dns"))
    ConsoleAction.objects.all().delete()
    return World(event.deliveries.get(), endpoint, other, batch)


@pytest.mark.parametrize("surface", SURFACES)
@each_verb
def test_it_does_the_same_and_keeps_who_did_it_and_why(world, verb, surface):
    verb.ready(world)
    ConsoleAction.objects.all().delete()
    assert not verb.led_to(world)

    ended = getattr(Surface(world).as_(verb.rights), f"through_{surface}")(verb)

    assert ended == "done"
    assert verb.led_to(world)
    kept = ConsoleAction.objects.earliest("pk")
    assert (kept.verb, kept.by_name) == (verb.kept, "ann")
    own = {"probe": "", **dict.fromkeys(OF_BATCHES, f"#{world.batch.pk}")}
    assert kept.reason == own.get(verb.name, WHY)


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize(
    "verb", [each for each in VERBS if each.too_late], ids=lambda verb: verb.name
)
def test_where_its_state_does_not_allow_it_nothing_is_changed_and_that_is_said(
    world, verb, surface
):
    verb.ready(world)
    assert verb.too_late
    verb.too_late(world)
    ConsoleAction.objects.all().delete()
    before = everything()

    ended = getattr(Surface(world).as_(verb.rights), f"through_{surface}")(verb)

    assert ended.startswith("left") or surface == "code"
    if (surface, verb.name) != ("code", "erase"):  # who calls it has looked
        assert everything() == before
        assert not ConsoleAction.objects.exists()


@pytest.mark.parametrize("surface", GUARDED)
@each_verb
def test_who_may_only_look_is_refused(world, verb, surface):
    verb.ready(world)
    ConsoleAction.objects.all().delete()
    before = everything()

    assert getattr(Surface(world).as_(frozenset()), f"through_{surface}")(verb) == "refused"
    assert everything() == before
    assert not ConsoleAction.objects.exists()


def test_every_act_of_the_api_that_changes_something_is_in_the_table(world):
    posted = {verb.api(world)[0] for verb in VERBS}
    named = set()
    for where in posted:
        parts = where.strip("/").split("/")
        acts = parts[-1] if len(parts) > 1 else "create"
        named.add(f"{parts[0]}.{acts.replace('-', '_')}")
    changing = {act for act in RIGHTS if act.partition(".")[2] not in ("list", "retrieve")}

    assert changing == named | set(NOT_HERE)


def everything() -> dict[str, list[dict[str, Any]]]:
    return dict(_everything())


def _everything() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for model in (Delivery, Endpoint, Event, RedeliveryBatch, Acknowledgement, Secret):
        yield model.__name__, list(model._default_manager.order_by("pk").values())
