"""The console's first page: what needs attention, what the numbers are, and where they lead."""

import re
from contextlib import contextmanager
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from tests.conftest import make_due, make_endpoint
from tests.owing import block, owe, statements
from webhook_delivery import batches, doorbell, endpoints, grouping, health, publish, rollups
from webhook_delivery.acknowledging import acknowledge
from webhook_delivery.clock import Now
from webhook_delivery.models import (
    Delivery,
    Doorbell,
    Endpoint,
    EndpointStat,
    Lane,
    RedeliveryBatch,
)
from webhook_delivery.recording import GONE
from webhook_delivery.testing.receiver import Reply

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.nightly_on_servers]

URL = "/admin/webhook_delivery/overview/"
HOSTILE = '<script>alert(1)</script>"\u202e\x07'


@pytest.fixture(autouse=True)
def drained():
    doorbell.answer(using="default")


@pytest.fixture
def root(db) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("ada", password="x"))
    return client


def staff(*codenames: str) -> Client:
    user = User.objects.create_user(f"user{User.objects.count()}", password="x", is_staff=True)
    rights = Permission.objects.filter(content_type__app_label="webhook_delivery")
    user.user_permissions.set(rights.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


def page(client: Client, **query) -> str:
    response = client.get(URL, query)
    assert response.status_code == 200
    return response.content.decode()


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def dead(count: int, endpoint: Endpoint, reason="http_5xx", status=503, ago=60.0) -> None:
    owe(count, endpoint)
    rows = Delivery.objects.pending().filter(endpoint=endpoint)
    at = timezone.now() - timedelta(seconds=ago)
    rows.update(state="dead", due_at=None, reason=reason, last_status=status, ended_at=at)


def tiles(client: Client, **query) -> dict[str, tuple[str, str]]:
    """By label: the number, and its link."""
    found = re.findall(
        r'<span class="webhook-quiet">([^<]*)</span>\s*'
        r'<a class="webhook-large" href="([^"]*)"[^>]*>([^<]*)</a>',
        page(client, **query),
    )
    return {label: (number, link.replace("&amp;", "&")) for label, link, number in found}


# What needs attention


def test_nothing_needs_attention(root):
    make_endpoint()

    text = words(page(root))

    assert "Nothing needs attention." in text
    assert "Needs attention" not in text


def test_an_empty_install_says_how_to_begin(root):
    html = page(root)

    assert "No endpoints yet. Add an endpoint, then send a test event." in words(html)
    assert f'href="{reverse("admin:webhook_delivery_endpoint_add")}"' in html
    assert f'href="{reverse("admin:webhook_delivery_endpoint_changelist")}"' in html


def test_who_may_add_no_endpoint_is_not_sent_to_do_it(db):
    html = page(staff("view_delivery"))

    assert reverse("admin:webhook_delivery_endpoint_add") not in html


def test_a_worker_that_is_silent_is_told_first(root):
    make_endpoint()
    Doorbell.objects.update(drained_at=Now() - timedelta(seconds=300))

    text = words(page(root))

    assert re.search(r"Nothing has drained for 30\d seconds\. Start a worker", text)
    assert text.index("Nothing has drained") < text.index("Due now")


def test_what_is_late_is_told(root):
    owe(1, make_endpoint(), ago=500)

    assert re.search(r"The oldest due delivery is 50\d seconds late", words(page(root)))


def test_what_only_waits_for_its_endpoint_is_not_late(root):
    busy, slow = make_endpoint(), make_endpoint(rate_per_second=1)
    owe(2, busy, slow, ago=500)
    Delivery.objects.filter(pk=Delivery.objects.filter(endpoint=busy).last().pk).update(
        state="sending", due_at=Now() + timedelta(seconds=30)
    )

    assert "late" not in words(page(root))


def test_a_glance_is_one_statement_and_says_what_an_examination_says_first():
    owe(1, make_endpoint(), ago=500)

    with statements() as said:
        [glimpsed] = health.glance(using="default")

    assert len(said) == 1
    assert glimpsed.code == health.examine()[0].code == "late"


def test_an_endpoint_that_wants_nothing_more_is_told_and_one_that_a_person_switched_off_is_not(
    root, receiver, send_due
):
    gone = make_endpoint(receiver.url(), name="initech")
    endpoints.switch_off(make_endpoint(name="globex").pk, using="default", reason=GONE)
    receiver.replies(Reply(410))
    publish("order.paid", {})
    send_due()
    gone.refresh_from_db()
    assert gone.state_reason == GONE

    html = page(root)

    assert "1 endpoint is switched off: its receiver wants nothing more. initech" in words(html)
    assert f'href="{reverse("admin:webhook_delivery_endpoint_change", args=[gone.pk])}"' in html
    assert "globex" not in html


def test_endpoints_whose_breakers_are_open_are_told_and_five_are_named(root):
    broken = [make_endpoint(name=f"broken-{n}") for n in range(7)]
    block(*broken)
    block(make_endpoint(name="probed"), seconds=-1)
    block(make_endpoint(name="asked-for-a-pause"), openings=0)
    block(make_endpoint(name="by-a-wrong-clock"), seconds=86_400)

    html = page(root)

    assert "7 endpoints failed again and again, and are sent nothing for a while." in words(html)
    assert len(set(re.findall(r">(broken-\d)<", html))) == 5
    assert "and more" in html
    assert "probed" not in html
    assert "asked-for-a-pause" not in html
    assert "by-a-wrong-clock" not in html


def test_who_has_failed_for_long_is_told_with_when_it_is_switched_off(root):
    slow, ill = make_endpoint(name="globex"), make_endpoint(name="initech")
    fails_for(slow, days=1.5, warned=0.5)
    fails_for(ill, days=6, warned=5)
    block(slow)
    off = make_endpoint(name="hooli")
    endpoints.mark_off(off.pk, reason="failing since 2026-11-16 10:00 UTC", using="default")

    text = words(page(root))

    switched = "1 endpoint is switched off, for it failed for days; what it was owed is held. hooli"
    assert switched in text
    assert (
        "2 endpoints have failed for long; if that goes on, they are switched off. "
        "initech (with the next failure) , globex (in 3 d 12 h)"
    ) in text
    assert "again and again" not in text


def test_many_with_one_trouble_hide_nobody_with_another_and_all_are_counted(root):
    warned = make_endpoint(name="initech")
    fails_for(warned, days=1.5, warned=0.5)
    block(*(make_endpoint(name=f"broken-{n}") for n in range(120)))

    text = words(page(root))

    assert "1 endpoint has failed for long; if that goes on, it is switched off. initech" in text
    assert "120 endpoints failed again and again, and are sent nothing for a while." in text
    assert text.count("broken-") == 5


def fails_for(endpoint: Endpoint, *, days: float, warned: float) -> None:
    """It was warned of so many days ago."""
    Lane.objects.update_or_create(endpoint=endpoint)
    Lane.objects.filter(pk=endpoint.pk).update(
        failing_since=Now() - timedelta(days=days),
        failed_at=Now(),
        failed_events=3,
        warned_at=Now() - timedelta(days=warned),
    )


def test_a_redelivery_that_paused_itself_is_told_with_its_page(root):
    dead(1, make_endpoint(), ago=7200)
    batch = batches.start({"state": "dead"}, using="default")
    RedeliveryBatch.objects.update(state="guarded", state_reason="5 of the first 5 failed.")

    html = page(root)

    assert f"Redelivery #{batch.pk} paused itself: 5 of the first 5 failed." in words(html)
    assert (
        f'href="{reverse("admin:webhook_delivery_redeliverybatch_change", args=[batch.pk])}"'
        in html
    )


def test_who_may_not_see_redeliveries_sees_none(db):
    dead(1, make_endpoint(), ago=7200)
    batches.start({"state": "dead"}, using="default")
    RedeliveryBatch.objects.update(state="guarded", state_reason="5 of the first 5 failed.")

    assert "Redelivery #" not in page(staff("view_delivery"))
    assert "Redelivery #" in page(staff("view_delivery", "view_redeliverybatch"))


def test_failures_that_go_on_are_told_until_somebody_has_seen_to_them(root):
    endpoint = make_endpoint(name="acme")
    dead(3, endpoint)

    assert "1 kind of failure has made dead letters within the last hour. acme: HTTP 503" in words(
        page(root)
    )

    acknowledge(grouping.Failure(endpoint.pk, "http_5xx", 503), using="default")

    text = words(page(root))
    assert "Nothing needs attention." in text
    assert "No dead letters that nobody has seen to." in text


def test_what_failed_long_ago_needs_no_attention(root):
    dead(1, make_endpoint(), ago=7200)

    assert "Nothing needs attention." in words(page(root))


# The numbers


def test_every_tile_is_a_number_and_a_link_to_what_it_counts(root):
    on, off = make_endpoint(name="on"), make_endpoint(name="off")
    dead(4, on, ago=60)
    dead(3, on, ago=7200)
    owe(2, on)
    waiting = owe(5, on, ago=-3600)
    Delivery.objects.filter(pk=waiting[-1].pk).update(due_at=None, sequence=7)
    endpoints.pause(off.pk, using="default")
    owe(6, off)
    endpoints.settle_strays(using="default")

    found = tiles(root)

    assert {label: number for label, (number, _) in found.items()} == {
        "Due now": "2",
        "Waiting for a retry": "5",
        "Dead letters": "7",
        "Held": "6",
        "Delivered (24 h)": "0",
    }
    for label in ("Due now", "Waiting for a retry", "Dead letters", "Held"):
        number, link = found[label]
        shown = root.get(link).context["cl"]
        assert (label, str(shown.result_count)) == (label, number)


def test_the_dead_of_the_last_hour_are_a_number_of_their_own(root):
    endpoint = make_endpoint()
    dead(4, endpoint, ago=60)
    dead(3, endpoint, ago=7200)

    [link] = re.findall(r'<a href="([^"]*)">\+4 in the last hour</a>', page(root))
    assert root.get(link).context["cl"].result_count == 4


def test_what_was_delivered_is_read_from_the_hours(root, receiver, send_due):
    make_endpoint(receiver.url())
    receiver.replies(Reply(503))
    for _ in range(3):
        publish("order.paid", {})
    send_due()
    make_due()
    send_due()
    for _ in range(2):
        rollups.add_up(using="default")
    Delivery.objects.all().update(state="pending")  # the page does not count deliveries

    html = page(root)

    assert tiles(root)["Delivered (24 h)"][0] == "3"
    assert "75.0 % of the attempts" in words(html)
    assert html.count('role="img"') == 2
    assert "Attempts: 3 delivered, 1 failed" in html


@pytest.mark.parametrize(("span", "delivered"), [("1h", 1), ("24h", 11), ("7d", 111), ("", 11)])
def test_the_span_can_be_chosen(root, span, delivered):
    endpoint = make_endpoint()
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    for number, hours in ((1, 0), (10, 20), (100, 6 * 24), (1000, 8 * 24)):
        EndpointStat.objects.create(
            endpoint=endpoint, hour=now - timedelta(hours=hours), delivered=number
        )

    [(number, _link)] = [
        found for label, found in tiles(root, span=span).items() if label.startswith("Delivered")
    ]
    assert number == str(delivered)


@pytest.mark.parametrize("span", ["30d", "x", "'; --", "1H"])
def test_a_span_that_is_none_is_a_day(root, span):
    assert "Delivered (24 h)" in tiles(root, span=span)


def test_the_slowest_endpoints_are_named(root):
    for name, bucket in (("quick", 0), ("slow", 12), ("slowest", 18)):
        durations = [0] * 19
        durations[bucket] = 10
        EndpointStat.objects.create(
            endpoint=make_endpoint(name=name),
            hour=timezone.now().replace(minute=0, second=0, microsecond=0),
            delivered=10,
            durations=durations,
        )

    text = words(page(root))

    assert "slowest &gt; 30 s slow ≤ 5 s quick ≤ 10 ms" in text


def test_the_ten_largest_groups_that_nobody_has_seen_to_are_shown(root):
    crowd = [make_endpoint(name=f"acme-{n:02}") for n in range(13)]
    for n, endpoint in enumerate(crowd):
        dead(20 - n, endpoint)
    acknowledge(grouping.Failure(crowd[0].pk, "http_5xx", 503), using="default")

    names = [line.endpoint for line in root.get(URL).context["lines"]]

    assert names == [f"acme-{n:02}" for n in range(1, 11)]


def test_recent_redeliveries_are_shown(root):
    dead(1, make_endpoint(), ago=7200)
    batch = batches.start({"state": "dead"}, using="default")

    assert f"#{batch.pk} running, 0 of 1 sent" in words(page(root))


# What it costs, and who sees it


def queries(client: Client) -> list[str]:
    """What the page asks of the database, besides who asks, and besides transactions."""
    page(client)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        page(client)
    own = re.compile("django_session|auth_|SAVEPOINT|^BEGIN|^COMMIT|set_config", re.IGNORECASE)
    return [each["sql"] for each in asked if not own.search(each["sql"])]


def fill(number: int) -> None:
    crowd = Endpoint.objects.bulk_create(
        [Endpoint(name=f"e{n}", url="https://receiver.example/") for n in range(number)]
    )
    crowd = Endpoint.objects.filter(name__in=[each.name for each in crowd])
    owe(2, *crowd)
    Delivery.objects.update(state="dead", reason="dns", ended_at=timezone.now())
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    EndpointStat.objects.all().delete()
    EndpointStat.objects.bulk_create(
        [EndpointStat(endpoint=each, hour=hour, delivered=5, durations=[0, 5]) for each in crowd]
    )
    block(*crowd)
    for _ in range(min(number, 20)):
        batches.start({"state": "dead"}, using="default")
    RedeliveryBatch.objects.update(state="guarded", state_reason="x")


def test_it_costs_eight_statements_however_much_there_is(root):
    fill(1)
    few = queries(root)
    fill(200)
    many = queries(root)

    assert len(few) <= 8, few
    assert len(many) == len(few), many


if connection.vendor == "postgresql":  # only it stops a query

    def test_what_takes_too_long_is_left_out_and_whether_anything_runs_is_told(root, settings):
        patience = {"CONSOLE_TIMEOUT_SECONDS": 0.1}
        settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, **patience}
        Doorbell.objects.update(drained_at=None)
        with locked(EndpointStat):
            text = words(page(root))

        assert "The numbers took too long to read, and are not shown." in text
        assert "Nothing has ever drained." in text
        assert "Due now" not in text


@contextmanager
def locked(model):
    """Let every other reader of its table wait."""
    other = connection.copy()
    try:
        with transaction_of(other), other.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {model._meta.db_table} IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        other.close()


@contextmanager
def transaction_of(other):
    other.set_autocommit(False)
    try:
        yield
    finally:
        other.rollback()


def test_it_is_for_who_may_see_deliveries(db):
    assert Client().get(URL).status_code == 302
    assert staff("view_endpoint").get(URL).status_code == 403
    assert staff("view_delivery").get(URL).status_code == 200


def test_it_can_only_be_looked_at(root):
    assert root.post(URL).status_code == 405
    assert urlsplit(reverse("admin:webhook_delivery_overview_changelist")).path == URL
    for name in ("add", "change", "delete", "history"):
        with pytest.raises(NoReverseMatch):
            reverse(f"admin:webhook_delivery_overview_{name}", args=[] if name == "add" else [1])
    for rest in ("add/", "1/change/", "1/delete/", "1/history/"):
        assert root.get(URL + rest).status_code == 404


def test_it_is_among_the_pages_of_the_admin(root):
    html = root.get(reverse("admin:index")).content.decode()

    assert f'href="{URL}"' in html
    assert f'href="{reverse("admin:webhook_delivery_failuregroup_changelist")}"' in html


def test_a_tenant_sees_its_own_only(settings):
    tenants = {"CONSOLE_TENANTS": "tests.test_console_overview.only_acme"}
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, **tenants}
    mine, other = make_endpoint(name="mine", tenant="acme"), make_endpoint(name="other", tenant="b")
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    for number, endpoint in ((2, mine), (5, other)):
        dead(number, endpoint)
        endpoint.stats.create(hour=hour, delivered=number, durations=[number])
    block(mine, other)
    batches.start({"state": "dead"}, using="default")

    client = staff("view_delivery", "view_endpoint", "view_redeliverybatch")
    html = page(client)

    assert "mine" in html
    assert "other" not in html
    found = tiles(client)
    assert (found["Dead letters"][0], found["Delivered (24 h)"][0]) == ("2", "2")
    assert "running" not in html


def only_acme(user) -> list[str]:
    return ["acme"]


def test_what_strangers_wrote_is_inert(root):
    endpoint = make_endpoint(name=HOSTILE)
    dead(1, endpoint)
    block(endpoint)
    batches.start({"state": "dead"}, using="default")
    RedeliveryBatch.objects.update(state="guarded", state_reason=HOSTILE)
    endpoint.stats.create(
        hour=timezone.now().replace(minute=0, second=0, microsecond=0), delivered=1, durations=[1]
    )

    html = page(root)

    assert "<script>alert" not in html
    assert "\u202e" not in html
    assert "\x07" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_it_keeps_itself_up_to_date_and_announces_what_needs_attention(root):
    html = page(root)

    assert re.search(r'<div id="webhook-overview" data-webhook-refresh>', html)
    assert re.search(r'<div id="webhook-attention" aria-live="polite">', html)
    own = html[html.index('id="content-main"') :]
    assert not re.search(r"<(script|style)\b|\sstyle=|\son\w+=", own[: own.index("</main>")])


def test_large_numbers_are_grouped_and_drawings_are_not(root, settings):
    settings.USE_THOUSAND_SEPARATOR = True
    endpoint = make_endpoint()
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    endpoint.stats.create(hour=hour, delivered=81220, failed=4000, durations=[81220])

    html = page(root, span="7d")

    assert "81,220" in html
    assert not re.search(r'<(svg|rect|path)[^>]*"[^"a-zA-Z]*\d,\d\d\d', html)
