"""The page of failure groups: its numbers lead to what they count, and people see to the groups."""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from tests.conftest import make_endpoint
from tests.owing import owe
from tests.test_console_overview import locked
from webhook_delivery import grouping
from webhook_delivery.acknowledging import acknowledge
from webhook_delivery.grouping import Failure
from webhook_delivery.models import Acknowledgement, ConsoleAction, Delivery, Endpoint

pytestmark = [pytest.mark.django_db(transaction=True)]

URL = "/admin/webhook_delivery/failuregroup/"
HOSTILE = '<script>alert(1)</script>"\u202e\x07'
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ACTS = ["acknowledge", "snooze", "reopen"]
RIGHTS = ("view_delivery", "view_endpoint", "redeliver_delivery")


def url(name: str) -> str:
    return reverse(f"admin:webhook_delivery_failuregroup_{name}")


def staff(*codenames: str, **options) -> Client:
    user = User.objects.create_user(f"user{User.objects.count()}", password="x", is_staff=True)
    rights = Permission.objects.filter(content_type__app_label="webhook_delivery")
    user.user_permissions.set(rights.filter(codename__in=codenames))
    client = Client(**options)
    client.force_login(user)
    return client


@pytest.fixture
def root(db) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("ada", password="x"))
    return client


def dead(count: int, endpoint: Endpoint, reason="http_5xx", status=503, ago=timedelta(0)) -> None:
    owe(count, endpoint)
    rows = Delivery.objects.pending().filter(endpoint=endpoint)
    at = timezone.now() - ago - timedelta(seconds=5)
    rows.update(state="dead", due_at=None, reason=reason, last_status=status, ended_at=at)


@pytest.fixture
def failure(db) -> Failure:
    endpoint = make_endpoint(name="acme")
    dead(3, endpoint)
    return Failure(endpoint.pk, "http_5xx", 503)


def page(client: Client, **query) -> str:
    response = client.get(URL, query)
    assert response.status_code == 200
    return response.content.decode()


def words(html: str) -> str:
    own = html[html.index('id="content-main"') :]
    return " ".join(re.sub(r"<[^>]*>", " ", own).split())


def rows(html: str) -> list[list[str]]:
    """The cells of each line, as text."""
    own = html[html.index('id="content-main"') :]
    lines = re.findall(r"<tr>(.*?)</tr>", own, re.DOTALL)
    cells = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", line, re.DOTALL) for line in lines]
    return [[" ".join(re.sub(r"<[^>]*>", " ", c).split()) for c in each] for each in cells]


def figures(html: str) -> list[tuple[int, str]]:
    """Each number, and where it leads."""
    cell = r'<td class="webhook-number"><a href="([^"]*)">([\d,]+)</a></td>'
    return [
        (int(number.replace(",", "")), link.replace("&amp;", "&"))
        for link, number in re.findall(cell, html)
    ]


def say(client: Client, name: str, failure: Failure, **fields) -> list[str]:
    response = client.post(url(name), failure._asdict() | fields, follow=True)
    assert response.status_code == 200
    return [str(message) for message in response.context["messages"]]


def later(span=HOUR) -> str:
    return timezone.localtime(timezone.now() + span).strftime("%Y-%m-%dT%H:%M")


def seen_to(failure: Failure) -> grouping.SeenTo | None:
    return grouping.the(failure, using="default").seen_to


# What is seen


def test_a_group_is_told_in_words_with_its_numbers(root):
    acme = make_endpoint(name="acme")
    dead(2, acme)
    dead(3, acme, ago=2 * HOUR)
    dead(4, acme, ago=2 * DAY)
    dead(5, acme, ago=20 * DAY)
    dead(1, acme, reason="timeout", status=None)
    dead(1, acme, reason="too_large", status=200, ago=2 * DAY)

    told = [line[:5] for line in rows(page(root))[1:]]

    assert told == [
        ["acme: HTTP 503", "2", "5", "9", "14"],
        ["acme: Timed out", "1", "1", "1", "1"],
        ["acme: Answer too large, HTTP 200", "0", "0", "1", "1"],
    ]


@pytest.mark.parametrize("by", ["failure", "reason", "endpoint", "event_type"])
def test_every_number_leads_to_the_dead_letters_that_it_counts(root, by):
    acme, globex = make_endpoint(name="acme"), make_endpoint(name="123")
    for ago in (timedelta(0), 2 * HOUR, 2 * DAY, 20 * DAY):
        dead(2, acme, ago=ago)
        dead(1, acme, status=500, ago=ago)
    dead(3, globex, reason="timeout", status=None)
    dead(2, globex, reason="timeout", status=408)

    found = figures(page(root, by=by))

    assert len(found) >= 4
    for number, link in found:
        assert (link, root.get(link).context["cl"].result_count) == (link, number)


def test_redeliver_asks_about_just_that_group(root, failure):
    dead(9, make_endpoint())

    [_other, link] = re.findall(r'<a href="([^"]*)">Redeliver…</a>', page(root))

    html = root.get(link.replace("&amp;", "&")).content.decode()
    assert "Send 3 deliveries" in html


def test_without_dead_letters_the_page_says_what_will_be_there(root):
    assert "No dead letters. Deliveries that use up all their retries will appear here." in words(
        page(root)
    )


def test_what_somebody_saw_to_is_listed_below_what_is_open(root, failure):
    dead(1, make_endpoint(name="globex"))
    acknowledge(failure, by="grace", note="they know", using="default")

    html = page(root)

    assert [line[0] for line in rows(html) if line[0] != "What failed"] == [
        "globex: HTTP 503",
        "acme: HTTP 503",
    ]
    text = words(html)
    assert text.index("Open") < text.index("globex") < text.index("Seen to") < text.index("acme")
    assert "Acknowledged by grace they know" in text


def test_if_all_are_seen_to_the_page_says_so(root, failure):
    acknowledge(failure, using="default")

    assert "Somebody has seen to all of them." in words(page(root))


def test_of_too_many_only_the_last_week_is_grouped_and_the_page_says_so(root, failure, monkeypatch):
    dead(2, make_endpoint(name="long ago"), ago=8 * DAY)
    monkeypatch.setattr(grouping, "GROUPS_LIVE_LIMIT", 4)

    html = page(root)

    assert "More than 4 are dead, so only those of the last 7 days are grouped." in words(html)
    assert "long ago" not in html
    number, link = figures(html)[-1]
    assert (number, root.get(link).context["cl"].result_count) == (3, 3)
    assert "died=7d" in link


def test_of_more_groups_than_are_shown_the_page_says_so(root, failure, monkeypatch):
    monkeypatch.setattr("webhook_delivery.admin.groups.screen.SHOWN", 1)
    dead(1, make_endpoint(name="globex"))

    html = page(root)

    assert "Only the 1 largest are shown." in words(html)
    assert "globex" not in html


@pytest.mark.parametrize("by", ["", "x", "endpoint__url", "'"])
def test_what_cannot_be_grouped_by_is_grouped_as_usual(root, failure, by):
    assert "acme: HTTP 503" in page(root, by=by)


def test_one_group_has_a_page_that_says_what_to_do_about_it(root, failure):
    html = root.get(url("ask"), failure._asdict()).content.decode()

    assert "<h1>acme: HTTP 503</h1>" in html
    assert "The receiver failed" in words(html)
    assert html.count(' class="webhook-form"') == 2
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"endpoint": "x", "reason": "dns", "status": 0},
        {"endpoint": 1, "reason": "nonsense", "status": 0},
        {"endpoint": 10**30, "reason": "dns", "status": 0},
        {"endpoint": 10**9, "reason": "dns", "status": 0},
        {"endpoint": "1\0", "reason": "dns", "status": 0},
        {"endpoint": 1, "reason": "dns", "status": 70_000},
    ],
)
def test_what_is_no_group_is_not_found(root, failure, query):
    assert root.get(url("ask"), query).status_code == 404
    for name in ACTS:
        assert root.post(url(name), query | {"until": later()}).status_code == 404


# What is done


def test_a_group_is_acknowledged(root, failure):
    assert say(root, "acknowledge", failure, note="they know") == ["Acknowledged: acme: HTTP 503."]

    assert (seen_to(failure).by, seen_to(failure).note) == ("ada", "they know")
    [kept] = ConsoleAction.objects.all()
    assert (kept.verb, kept.by_name, kept.reason) == ("acknowledge", "ada", "they know")
    [entry] = LogEntry.objects.all()
    assert entry.get_edited_object().pk == failure.endpoint
    assert entry.change_message == "Acknowledged: acme: HTTP 503. Reason: they know"


def test_a_group_is_snoozed_until_a_moment(root, failure):
    when = later()
    [said] = say(root, "snooze", failure, until=when, note="")

    assert said.startswith(f"Snoozed until {when.replace('T', ' ')} UTC: acme: HTTP 503.")
    assert seen_to(failure).until.strftime("%Y-%m-%dT%H:%M") == when
    assert f"Snoozed until {when.replace('T', ' ')} UTC by ada" in words(page(root))
    assert ConsoleAction.objects.get().verb == "snooze"
    assert LogEntry.objects.count() == 1


@pytest.mark.parametrize("until", ["", "soon", "2020-01-01T00:00", "2999-01-01T00:00"])
def test_it_can_only_be_snoozed_until_a_moment_within_a_year(root, failure, until):
    response = root.post(url("snooze"), failure._asdict() | {"until": until, "note": "kept"})

    assert response.status_code == 200
    assert "errorlist" in response.content.decode()
    assert 'value="kept"' in response.content.decode()
    assert seen_to(failure) is None
    assert not ConsoleAction.objects.exists()


def test_a_note_that_is_too_long_is_refused(root, failure):
    response = root.post(url("acknowledge"), failure._asdict() | {"note": "x" * 201})

    assert "errorlist" in response.content.decode()
    assert seen_to(failure) is None


def test_a_group_is_reopened(root, failure):
    acknowledge(failure, using="default")

    assert say(root, "reopen", failure) == ["Reopened: acme: HTTP 503."]

    assert seen_to(failure) is None
    assert LogEntry.objects.count() == 1


@pytest.mark.parametrize(
    ("name", "before", "said"),
    [
        ("acknowledge", "acknowledged", "is empty now, or was acknowledged already."),
        ("acknowledge", "empty", "is empty now, or was acknowledged already."),
        ("snooze", "empty", "is empty now, or was snoozed just so."),
        ("reopen", "open", "was open already."),
    ],
)
def test_in_the_wrong_state_nothing_is_changed_and_the_page_says_so(
    root, failure, name, before, said
):
    if before == "acknowledged":
        acknowledge(failure, using="default")
        ConsoleAction.objects.all().delete()
    if before == "empty":
        Delivery.objects.update(state="discarded")

    [message] = say(root, name, failure, until=later())

    assert message == f"Nothing was changed: acme: HTTP 503 {said}"
    assert not ConsoleAction.objects.exists()
    assert not LogEntry.objects.exists()


def test_a_group_without_an_answer_can_be_seen_to(root):
    endpoint = make_endpoint(name="acme")
    dead(1, endpoint, reason="timeout", status=None)

    assert say(root, "acknowledge", Failure(endpoint.pk, "timeout", 0)) == [
        "Acknowledged: acme: Timed out."
    ]
    assert "Acknowledged by ada" in page(root)


def test_the_buttons_of_the_page_do_what_they_say(root, failure):
    for button, state in (("Acknowledge", "Acknowledged by ada"), ("Reopen", "Open")):
        form = r'<form method="post" action="([^"]*)">(.*?)</form>'
        [(action, fields)] = [
            (action, dict(re.findall(r'name="(\w+)" value="([^"]*)"', inner)))
            for action, inner in re.findall(form, page(root), re.DOTALL)
            if f">{button}</button>" in inner
        ]
        root.post(action, fields)
        assert rows(page(root))[-1][7].startswith(state)


# Who may


@pytest.mark.parametrize("name", ACTS)
def test_acting_takes_a_post_with_a_token_and_the_right(failure, name):
    acknowledged = name == "reopen" and acknowledge(failure, using="default")
    ConsoleAction.objects.all().delete()
    fields = failure._asdict() | {"until": later()}

    assert staff(*RIGHTS).get(url(name)).status_code == 405
    assert staff(*RIGHTS, enforce_csrf_checks=True).post(url(name), fields).status_code == 403
    assert staff("view_delivery").post(url(name), fields).status_code == 403
    assert staff("redeliver_delivery").post(url(name), fields).status_code == 403
    assert Client().post(url(name), fields).status_code == 302

    assert not ConsoleAction.objects.exists()
    assert Acknowledgement.objects.exists() == bool(acknowledged)
    assert staff(*RIGHTS).post(url(name), fields).status_code == 302
    assert ConsoleAction.objects.count() == LogEntry.objects.count() == 1


def test_who_may_only_look_sees_no_button(failure):
    html = page(staff("view_delivery"))

    assert "acme: HTTP 503" in html
    for button in ("Acknowledge", "Snooze", "Reopen", "Redeliver", "Actions"):
        assert button not in html
    asked = staff("view_delivery").get(url("ask"), failure._asdict()).content.decode()
    assert "<h2>Snooze" not in asked
    assert "<h2>Acknowledge" not in asked


def test_the_pages_are_for_who_may_see_deliveries(failure):
    for name, query in (("changelist", {}), ("ask", failure._asdict())):
        assert Client().get(url(name), query).status_code == 302
        assert staff("view_endpoint").get(url(name), query).status_code == 403
        assert staff("view_delivery").get(url(name), query).status_code == 200
        assert staff(*RIGHTS).post(url(name), query).status_code == 405


def test_there_are_no_pages_to_add_change_or_delete(root):
    for name in ("add", "change", "delete", "history"):
        with pytest.raises(NoReverseMatch):
            reverse(f"admin:webhook_delivery_failuregroup_{name}", args=[1])


def only_acme(user) -> list[str]:
    return ["acme"]


def test_a_tenant_sees_and_changes_its_own_only(settings):
    tenants = {"CONSOLE_TENANTS": "tests.test_console_groups.only_acme"}
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, **tenants}
    mine, other = make_endpoint(name="mine", tenant="acme"), make_endpoint(name="other", tenant="b")
    dead(1, mine)
    dead(2, other)
    client = staff(*RIGHTS)

    for by in ("failure", "endpoint", "reason"):
        assert "other" not in page(client, by=by).replace("another", "")
        assert figures(page(client, by=by))[-1][0] == 1
    theirs = Failure(other.pk, "http_5xx", 503)
    assert client.get(url("ask"), theirs._asdict()).status_code == 404
    for name in ACTS:
        answer = client.post(url(name), theirs._asdict() | {"until": later()})
        assert answer.status_code == 404
    assert not Acknowledgement.objects.exists()
    assert say(client, "acknowledge", Failure(mine.pk, "http_5xx", 503))[0].startswith("Ackn")


# What it costs, and what is harmless


def queries(client: Client, **query) -> list[str]:
    page(client, **query)
    with CaptureQueriesContext(connection) as asked:
        page(client, **query)
    own = re.compile("django_session|auth_|SAVEPOINT|^BEGIN|^COMMIT|set_config", re.IGNORECASE)
    return [each["sql"] for each in asked if not own.search(each["sql"])]


@pytest.mark.parametrize("by", ["failure", "reason", "endpoint", "event_type"])
def test_it_costs_the_same_statements_with_one_group_and_with_two_hundred(root, by):
    dead(1, make_endpoint())
    few = queries(root, by=by)
    crowd = Endpoint.objects.bulk_create(
        [Endpoint(name=str(n), url="https://receiver.example/") for n in range(200)]
    )
    owe(1, *Endpoint.objects.filter(name__in=[each.name for each in crowd]))
    Delivery.objects.pending().update(
        state="dead", reason="dns", last_status=None, ended_at=timezone.now()
    )
    for each in Endpoint.objects.order_by("pk")[:50]:
        acknowledge(Failure(each.pk, "dns"), using="default")

    many = queries(root, by=by)

    assert len(few) == len(many) <= 3, many


if connection.vendor == "postgresql":  # only it stops a query

    def test_what_takes_too_long_is_stopped_and_the_page_says_so(root, failure, settings):
        patience = {"CONSOLE_TIMEOUT_SECONDS": 0.1}
        settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, **patience}
        with locked(Acknowledgement):
            html = page(root)

        assert "The numbers took too long to read, and are not shown." in html
        assert "No dead letters" not in html
        assert "acme: HTTP 503" in page(root)


def test_what_strangers_wrote_is_inert(root):
    endpoint = make_endpoint(name=HOSTILE)
    dead(1, endpoint)
    failure = Failure(endpoint.pk, "http_5xx", 503)
    acknowledge(failure, by=HOSTILE, note=HOSTILE, using="default")

    for html in (page(root), root.get(url("ask"), failure._asdict()).content.decode()):
        assert "<script>alert" not in html
        assert "\u202e" not in html
        assert "\x07" not in html
        assert "&lt;script&gt;alert(1)" in html
        own = html[html.index('id="content-main"') :]
        assert not re.search(r"<(script|style)\b|\sstyle=|\son\w+=", own[: own.index("</main>")])


def test_large_numbers_are_grouped_and_links_are_not(root, settings):
    settings.USE_THOUSAND_SEPARATOR = True
    endpoint = make_endpoint(id=12345, name="acme")
    dead(1, endpoint)

    html = page(root)

    assert "endpoint=12345&" in html
    assert 'value="12345"' in html
