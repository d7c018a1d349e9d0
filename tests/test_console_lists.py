"""The lists of deliveries: what narrows them, what they offer, and what is then redelivered."""

import csv
import io
import random
import tracemalloc
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.conftest import make_due, make_endpoint
from tests.test_admin import act, ask_and_act, client_of, die, say, staff, url
from tests.test_batches import dead_letters, run
from tests.test_console_redeliveries import ask, place, text_of
from webhook_delivery import batches, endpoints, lifecycle
from webhook_delivery.admin.deliveries import export
from webhook_delivery.admin.paging import CappedPaginator
from webhook_delivery.admin.redeliveries.choosing import choice_of
from webhook_delivery.models import (
    ConsoleAction,
    Delivery,
    Endpoint,
    Event,
    SearchKey,
    Transition,
)
from webhook_delivery.selecting import selected, selection_of

NIGHTLY_ON_MARIADB = [pytest.mark.nightly] if connection.vendor == "mysql" else []

pytestmark = [pytest.mark.django_db(transaction=True), *NIGHTLY_ON_MARIADB]

SEEING = ["view_delivery", "view_redeliverybatch"]


@pytest.fixture
def root(db) -> Client:
    return client_of(User.objects.create_superuser("ada", password="x"))


def listed(client: Client, model: str = "delivery", **query) -> set[int]:
    response = client.get(url(model), query)
    assert response.status_code == 200
    return {row.pk for row in response.context["cl"].result_list}


def page_of(client: Client, model: str, **query) -> str:
    return client.get(url(model), query).content.decode()


# A redelivery means what the list shows


@pytest.fixture
def crowd(receiver, send_due) -> dict:
    """Forty of every kind: states, endpoints, reasons, types, ages; one batch; search keys."""
    hooks = [make_endpoint(receiver.url(f"/{n}"), name="hook") for n in (1, 2)]
    make_endpoint(receiver.url("/3"), name="acme")
    for event_type in ("order.paid", "order.lost", "invoice.paid", "orders"):
        dead_letters(3, event_type)
    rows = list(Delivery.objects.order_by("pk"))
    batch = batches.start(selection_of(ids=[row.pk for row in rows[:8]]))
    receiver.replies(*[404, 200] * 4)
    run(send_due)
    dice = random.Random(7)
    for row in rows[8:]:
        state = dice.choice(["dead", "dead", "delivered", "pending", "discarded", "held"])
        ended = state in ("dead", "delivered", "discarded")
        status, reason = dice.choice([(503, "http_5xx"), (None, "timeout"), (404, "http_4xx")])
        delivered = state == "delivered"
        age = timedelta(days=dice.choice([0, 0.5, 3, 20, 50]))
        Delivery.objects.filter(pk=row.pk).update(
            state=state,
            reason="" if delivered else reason,
            last_status=200 if delivered else status,
            created_at=timezone.now() - age,
            ended_at=timezone.now() - age / 2 if ended else None,
            due_at=timezone.now() + age if state == "pending" else None,
        )
    SearchKey.objects.create(event_id=rows[10].event_id, key="order_id", value="7")
    return {"hook": hooks[0].pk, "batch": batch.pk, "row": rows[-1]}


def choices(crowd: dict, model: str) -> dict[str, list]:
    """What each parameter may be; None: not there."""
    row = crowd["row"]
    states = [None, "dead", "discarded"] if model == "deadletter" else [
        None, "dead", "delivered", "dead,delivered", "dead,pending", "pending,held", "odd",
    ]  # fmt: skip
    return {
        "state": states,
        "endpoint": [None, None, "hook", "acme", " hook ", crowd["hook"], "nobody", "9" * 30],
        "reason": [None, None, "http_5xx", "http_4xx", "timeout", "nonsense"],
        "status": [None, None, "503", "404", "200", "0", "x"],
        "event_type": [None, None, "order.*", "order.paid", "*", "order", "ORDER.*", "a\0"],
        "when": [None, None, "1h", "24h", "7d", "30d"],
        "died": [None, None, "1h", "24h", "7d", "30d"] if model == "deadletter" else [None],
        "q": [None, None, None, row.event.webhook_id, row.pk, "order.lost", "order_id:7", "x"],
        "batch": [None, None, None, crowd["batch"], 10**6, "x"],
        "fate": [None, "delivered", "failed", "waiting", "left", "ahead", "odd"],
    }


def drawn(dice: random.Random, options: dict[str, list]) -> dict:
    """One of many combinations; a few parameters at once."""
    names = set(dice.sample(sorted(options), dice.randint(0, 4)))
    query = {name: dice.choice(options[name]) for name in names}
    if "batch" not in query or query["batch"] is None:
        query.pop("fate", None)
    return {name: value for name, value in query.items() if value is not None}


@pytest.mark.parametrize("model", ["delivery", "deadletter"])
def test_a_redelivery_of_all_that_match_means_what_the_list_shows(root, crowd, model):
    dice, options, several = random.Random(11), choices(crowd, model), 0

    for query in [drawn(dice, options) for _ in range(150)]:
        shown = Delivery.objects.filter(pk__in=listed(root, model, **query))
        expected = set(shown.filter(state__in=Delivery.REDELIVERABLE).values_list("pk", flat=True))
        posted = {"action": "redeliver_selected", "index": 0, "select_across": 1}
        where = f"{url(model)}?{encoded(query)}"
        asked = root.post(where, {**posted, "_selected_action": [0]})["Location"]
        assert urlsplit(asked).path == urlsplit(place("confirm")).path

        parameters = QueryDict(urlsplit(asked).query)
        choice = choice_of(parameters, at=timezone.now(), tenants=None, using="default")
        meant = selected(choice.selection, using="default") if choice else Delivery.objects.none()

        assert (query, set(meant.values_list("pk", flat=True))) == (query, expected)
        several += bool(expected)
    assert several > 40, "too few of the combinations find anything"


def encoded(query: dict) -> str:
    given = QueryDict(mutable=True)
    given.update(query)
    return given.urlencode()


def test_what_the_question_counts_is_what_is_sent(root, crowd, send_due):
    query = {"event_type": "order.*", "when": "30d", "endpoint": "hook"}
    meant = listed(root, "deadletter", **query)

    page = ask(root, **query)
    token = page.context["form"].initial["token"]
    fields = {"token": token, "speed": "own", "attempts": "once", "canary": 0}
    root.post(place("start", **query), fields)
    run(send_due)

    sent = Transition.objects.filter(batch__reason="", batch__token__isnull=False)
    assert set(sent.values_list("delivery", flat=True)) == meant
    assert page.context["sent"] == str(len(meant)) != "0"


def test_a_link_with_the_lookups_of_django_is_understood(root, crowd):
    query = {"state__exact": "dead", "endpoint__id__exact": crowd["hook"]}
    choice = choice_of(QueryDict(encoded(query)), at=timezone.now(), tenants=None, using="default")

    meant = selected(choice.selection, using="default").values_list("pk", flat=True)
    assert set(meant) == listed(root, **query) != set()


# Filters


def test_several_states_are_shown_at_once(root, crowd):
    page = page_of(root, "delivery", state="dead,held")

    states = set(
        Delivery.objects.filter(pk__in=listed(root, state="dead,held")).values_list(
            "state", flat=True
        )
    )
    assert states == {"dead", "held"}
    assert 'href="?state=held"' in page, "a link takes one away"
    assert 'href="?state=dead%2Cheld%2Cpending"' in page, "and another adds one"


def test_filters_that_links_use_are_hidden_until_they_do(root, crowd):
    plain, linked = (
        page_of(root, "delivery"),
        page_of(root, "delivery", status="404", batch=crowd["batch"], fate="failed"),
    )

    assert "By last status" not in plain
    assert "By redelivery" not in plain
    assert "By last status" in linked
    assert f"#{crowd['batch']}: failed again" in linked


def test_dead_letters_stand_in_the_order_of_their_deaths(root, endpoint):
    first, second, third = dead_letters(3)
    hours = {first: 2, second: 3, third: 1}
    for pk, ago in hours.items():
        Delivery.objects.filter(pk=pk).update(ended_at=F("ended_at") - timedelta(hours=ago))

    rows = root.get(url("deadletter")).context["cl"].result_list

    assert [row.pk for row in rows] == [third, first, second]


def test_a_search_key_finds_the_deliveries_of_its_events(root, crowd):
    event = SearchKey.objects.get().event_id

    assert listed(root, q="order_id:7") == set(
        Delivery.objects.filter(event=event).values_list("pk", flat=True)
    )
    assert listed(root, q="order_id:8") == set()


# What a row tells


def test_a_dead_letter_tells_how_often_and_how_long_it_was_tried(
    root, receiver, endpoint, send_due
):
    Endpoint.objects.update(retry_schedule=[1, 1])
    receiver.replies(503, 503, 503, 503, 503, 503)
    die(receiver, send_due, 503)
    for _ in range(2):
        make_due()
        send_due()
    once = text_of(root.get(url("deadletter")))
    for _ in range(2):
        lifecycle.redeliver(Delivery.objects.all(), once=True)
        send_due()
    Delivery.objects.update(created_at=F("ended_at") - timedelta(days=2, hours=4))
    again = text_of(root.get(url("deadletter")))

    assert "3 of 3 " in once
    assert "redelivered" not in once
    assert "1 of 1 · redelivered 2×" in again
    assert "2 d 4 h" in again


def test_each_row_leads_to_the_question_for_who_may(root, endpoint):
    one, _other = dead_letters(2)
    viewer = client_of(staff("viewer", *SEEING))
    where = f'href="{place("confirm", ids=one)}"'

    assert where in page_of(root, "deadletter")
    assert where not in page_of(viewer, "deadletter")
    assert ask(root, ids=one).context["title"] == "Redeliver 1 delivery"


@pytest.mark.parametrize("model", ["delivery", "deadletter"])
def test_lists_cost_the_same_for_one_row_as_for_two_hundred(root, endpoint, monkeypatch, model):
    monkeypatch.setattr("webhook_delivery.admin.base.ConsoleAdmin.list_per_page", 200)

    def cost() -> tuple[int, int]:
        with CaptureQueriesContext(connection) as asked:
            shown = len(root.get(url(model)).context["cl"].result_list)
        assert not any('"body"' in query["sql"] for query in asked.captured_queries)
        return len(asked), shown

    dead_letters(1)
    lifecycle.redeliver(Delivery.objects.all())
    Delivery.objects.update(state="dead", due_at=None, ended_at=timezone.now())
    few, one = cost()
    dead_letters(199)

    assert (one, cost()) == (1, (few, 200))
    assert few <= 6 + 3, "with what PostgreSQL is asked to be patient"


# Actions


def test_what_is_selected_is_asked_about(root, endpoint):
    one, two, _three = dead_letters(3)
    posted = {"action": "redeliver_selected", "_selected_action": [one, two], "index": 0}

    page = root.post(url("deadletter"), posted, follow=True)

    assert page.context["title"] == "Redeliver 2 deliveries"
    assert "2 that were selected" in text_of(page)
    assert Delivery.objects.dead().count() == 3


def test_retry_now_brings_what_waits_forward(root, receiver, endpoint, send_due):
    Endpoint.objects.update(retry_schedule=[7200, 7200])
    waiting, dead = die(receiver, send_due, 503), die(receiver, send_due, 404)
    rows = [waiting, dead]

    told = act(root, "retry_selected_now", *rows, model="delivery")

    waiting.refresh_from_db()
    dead.refresh_from_db()
    assert "The next attempt of 1 delivery is due now." in told[0]
    assert "1 was left" in told[0]
    assert waiting.due_at <= timezone.now()
    assert (waiting.state, waiting.attempts_forgiven, dead.state) == ("pending", 0, "dead")
    assert ConsoleAction.objects.get().verb == "retry_now"
    assert LogEntry.objects.count() == 1


@pytest.mark.parametrize("action", ["discard_selected", "restore_selected", "retry_selected_now"])
def test_what_is_not_offered_for_all_says_so_and_does_nothing(root, endpoint, action):
    dead_letters(2)
    state = "?state=discarded" if action == "restore_selected" else ""
    lifecycle.discard(Delivery.objects.all() if state else Delivery.objects.none())
    model = "delivery" if action == "retry_selected_now" else "deadletter"
    one = Delivery.objects.first()

    told = act(root, action, one, model=model, query=state, select_across=1)

    assert told[0].startswith("This is done to no more than 200 at once")
    assert not ConsoleAction.objects.exists()


def test_only_what_suits_the_state_is_offered(root, endpoint):
    dead_letters(1)

    def offered(**query) -> set[str]:
        form = root.get(url("deadletter"), query).context["action_form"]
        return {name for name, _label in form.fields["action"].choices if name}

    assert offered() == {"redeliver_selected", "discard_selected", "export_selected"}
    lifecycle.discard(Delivery.objects.all())
    discarded = offered(state="discarded")
    assert {"restore_selected", "export_selected"} <= discarded
    assert "discard_selected" not in discarded


def test_to_discard_is_asked_for_first_and_the_filter_survives(root, endpoint):
    one, two, three = dead_letters(3)
    query = "?reason=http_5xx"
    posted = {"action": "discard_selected", "_selected_action": [one, two], "index": 0}

    page = root.post(url("deadletter") + query, posted, follow=True)
    assert Delivery.objects.dead().count() == 3
    assert page.context["title"] == "Discard 2 dead letters"
    assert str(three) not in text_of(page)
    done = root.post(
        page.context["act_url"], {"_selected_action": page.context["ids"], "reason": "old"}
    )

    assert done["Location"] == url("deadletter") + query
    assert set(Delivery.objects.discarded().values_list("pk", flat=True)) == {one, two}
    log, kept = LogEntry.objects.get(), ConsoleAction.objects.get()
    assert log.change_message.endswith("Reason: old")
    assert (kept.verb, kept.reason, kept.count) == ("discard", "old", 2)


@pytest.mark.parametrize("name", ["discard", "restore"])
def test_to_hide_and_show_is_for_who_may_and_acts_only_by_a_post_with_a_token(endpoint, name):
    (one,) = dead_letters(1)
    if name == "restore":
        lifecycle.discard(Delivery.objects.all())
    before = Delivery.objects.get().state
    asking, acting = f"{url('deadletter', name)}?ids={one}", url("deadletter", f"{name}_now")
    posted = {"_selected_action": [one]}
    root = User.objects.create_superuser("root", password="x")

    for client in [
        client_of(staff("viewer", *SEEING)),
        client_of(staff("blind", "discard_delivery")),
        client_of(root, enforce_csrf_checks=True),
    ]:
        assert client.post(acting, posted).status_code == 403
        assert Delivery.objects.get().state == before
    may = client_of(staff("may", *SEEING, "discard_delivery"))
    assert "/login/" in Client().post(acting, posted)["Location"]
    assert may.get(acting).status_code == 405
    assert may.post(asking).status_code == 405
    assert may.get(asking).status_code == 200
    assert Delivery.objects.get().state == before
    assert may.post(acting, posted).status_code == 302
    assert Delivery.objects.get().state != before


def test_what_changed_meanwhile_is_not_discarded(root, endpoint):
    one, two = dead_letters(2)
    lifecycle.redeliver(Delivery.objects.filter(pk=one))

    told = say(root, url("deadletter", "discard_now"), {"_selected_action": [one]})
    page = root.get(f"{url('deadletter', 'discard')}?ids={one}")

    assert told == ["Nothing was discarded: only what is dead can be."]
    assert page.context["title"] == "Nothing to do"
    assert ask_and_act(root, "discard_selected", Delivery(pk=two))[0].startswith("1 dead letter")


def seen_by(user) -> list[str]:
    return [user.username]


def test_nobody_discards_restores_or_exports_what_they_do_not_see(settings, endpoint):
    settings.WEBHOOK_DELIVERY = {
        **settings.WEBHOOK_DELIVERY,
        "CONSOLE_TENANTS": "tests.test_console_lists.seen_by",
    }
    (one,) = dead_letters(1)
    client = client_of(staff("acme", *SEEING, "discard_delivery", "export_delivery"))

    say(client, url("deadletter", "discard_now"), {"_selected_action": [one]})

    assert Delivery.objects.get().state == "dead"
    assert table_of(client.get(url("deadletter", "export"))) == []
    Endpoint.objects.update(tenant="acme")
    assert len(table_of(client.get(url("deadletter", "export")))) == 1


# Tools, and lists with nothing to show


def test_the_tool_follows_the_filter_and_the_rights(endpoint):
    dead_letters(1)
    operator = client_of(staff("operator", *SEEING, "bulk_redeliver_delivery"))
    admin = client_of(staff("admin", *SEEING, "redeliver_unfiltered", "bulk_redeliver_delivery"))
    everything, narrowed = "Redeliver all dead letters…", "Redeliver everything matching this"

    assert everything in page_of(admin, "deadletter")
    assert everything not in page_of(operator, "deadletter")
    for client in (admin, operator):
        page = page_of(client, "deadletter", reason="http_5xx")
        assert narrowed in page
        assert f'href="{place("confirm", reason="http_5xx", state="dead")}"' in page.replace(
            "&amp;", "&"
        )
        assert narrowed not in page_of(client, "deadletter", state="discarded", reason="dns")
    viewer = client_of(staff("viewer", *SEEING))
    assert "Redeliver " not in page_of(viewer, "deadletter", reason="http_5xx")


def test_an_empty_list_says_why(root, endpoint):
    none, filtered = page_of(root, "deadletter"), page_of(root, "deadletter", reason="dns")

    assert "No dead letters. Deliveries that use up all their attempts will appear here." in none
    assert "No dead letters match these filters." in filtered
    assert "Clear all filters" in filtered
    assert "No deliveries." in page_of(root, "delivery")
    assert "No deliveries match" in page_of(root, "delivery", q="nothing")
    dead_letters(1)
    assert "No dead letters" not in page_of(root, "deadletter")


# As CSV


def table_of(response) -> list[dict[str, str]]:
    assert response.status_code == 200
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    text = b"".join(response.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_a_list_is_exported_as_it_is_narrowed_without_bodies(root, crowd):
    query = {"event_type": "order.*", "state": "dead,delivered"}

    rows = table_of(root.get(url("delivery", "export"), query))

    assert [int(row["delivery"]) for row in rows] == sorted(listed(root, **query), reverse=True)
    one = Delivery.objects.select_related("event", "endpoint").get(pk=rows[0]["delivery"])
    assert rows[0]["webhook_id"] == one.event.webhook_id
    assert rows[0]["endpoint_name"] == one.endpoint.name
    assert "body" not in rows[0]


def test_what_is_selected_is_exported(root, endpoint):
    one, two, _three = dead_letters(3)
    posted = {"action": "export_selected", "_selected_action": [one, two], "index": 0}

    rows = table_of(root.post(url("deadletter"), posted))

    assert [int(row["delivery"]) for row in rows] == [two, one]


@pytest.mark.parametrize("model", ["delivery", "deadletter"])
def test_to_export_is_for_who_may(endpoint, model):
    dead_letters(1)
    viewer = client_of(staff("viewer", *SEEING))
    blind = client_of(staff("blind", "export_delivery"))
    exporter = client_of(staff("exporter", *SEEING, "export_delivery"))
    posted = {"action": "export_selected", "_selected_action": [1], "index": 0}

    for client in (viewer, blind):
        assert client.get(url(model, "export")).status_code == 403
        assert client.post(url(model), posted).status_code == 403
    assert "Export CSV" not in page_of(viewer, model)
    assert "Export CSV" in page_of(exporter, model)
    assert exporter.post(url(model, "export")).status_code == 405
    assert exporter.get(url(model, "export"), {"odd__lookup": 1}).status_code == 302
    assert len(table_of(exporter.get(url(model, "export")))) == 1


@pytest.mark.parametrize(
    "name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1", '=HYPERLINK("x",1)']
)
def test_no_cell_is_a_formula(root, endpoint, name):
    dead_letters(1)
    Endpoint.objects.update(name=name)
    Delivery.objects.update(event_type=name)

    (row,) = table_of(root.get(url("delivery", "export")))

    assert row["endpoint_name"] == row["event_type"] == f"'{name}"


def test_cells_keep_what_is_harmless(root, endpoint):
    dead_letters(1)
    Endpoint.objects.update(name='a,"b"\n=c')

    (row,) = table_of(root.get(url("delivery", "export")))

    assert row["endpoint_name"] == 'a,"b"\n=c'


def test_an_export_is_read_in_pieces_and_ends(root, endpoint, monkeypatch):
    dead_letters(25)
    monkeypatch.setattr(export, "CHUNK", 10)

    with CaptureQueriesContext(connection) as asked:
        rows = table_of(root.get(url("deadletter", "export")))
    pieces = [query for query in asked.captured_queries if query["sql"].endswith("LIMIT 10")]
    monkeypatch.setattr(export, "MOST", 15)
    fewer = table_of(root.get(url("deadletter", "export")))

    assert len(rows) == len({row["delivery"] for row in rows}) == 25
    assert len(pieces) == 3
    assert [row["delivery"] for row in fewer] == [row["delivery"] for row in rows[:15]]


def test_an_export_holds_no_more_than_a_piece_in_memory(root, endpoint, monkeypatch):
    monkeypatch.setattr(export, "CHUNK", 50)
    fill(3000, endpoint)

    def peak(most: int) -> int:
        monkeypatch.setattr(export, "MOST", most)
        response = root.get(url("deadletter", "export"))
        tracemalloc.start()
        for _line in response.streaming_content:
            pass
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(100)
    assert peak(3000) < 2 * peak(300)


def fill(count: int, endpoint: Endpoint) -> None:
    """So many dead letters at once, without a log."""
    events = Event.objects.bulk_create(
        (Event(event_type="order.paid", body=b"{}") for _ in range(count)), batch_size=1000
    )
    now = timezone.now()
    Delivery.objects.bulk_create(
        (
            Delivery(
                event=event,
                event_type=event.event_type,
                endpoint=endpoint,
                state="dead",
                reason="dns",
                ended_at=now,
            )
            for event in events
        ),
        batch_size=1000,
    )


# Long lists


@pytest.mark.parametrize(("rows", "told"), [(4, "4 dead letters"), (5, "4+: the newest 4")])
def test_a_list_counts_so_far_and_no_farther(root, endpoint, monkeypatch, rows, told):
    monkeypatch.setattr(CappedPaginator, "cap", 4)
    monkeypatch.setattr("webhook_delivery.admin.base.ConsoleAdmin.list_per_page", 2)
    dead_letters(rows)

    page = page_of(root, "deadletter")

    assert told in page
    assert ("Select all 4+ that match" in page) == (rows > 4)
    assert ("Select all 4 dead letters" in page) == (rows == 4)
    assert root.get(url("deadletter"), {"p": 2}).status_code == 200


@pytest.mark.parametrize("cap", [4, 6], ids=["more than counted", "all counted"])
def test_a_page_is_of_the_same_rows_whether_all_were_counted_or_not(endpoint, monkeypatch, cap):
    monkeypatch.setattr(CappedPaginator, "cap", cap)
    dead_letters(6)
    rows = Delivery.objects.select_related("endpoint").order_by("-pk")

    with CaptureQueriesContext(connection) as asked:
        pages = [CappedPaginator(rows, 2).page(number) for number in (1, 2)]
        shown = [[*page] for page in pages]
    read = [each for each in asked if "COUNT" not in each["sql"]]

    assert shown == [[*rows[:2]], [*rows[2:4]]]
    assert {" + 0) DESC" in each["sql"] for each in read} == {cap == 6}
    assert [page.has_next() for page in pages] == [True, cap == 6]


def test_ten_thousand_and_one_are_ten_thousand_and_more(root, endpoint, settings):
    settings.USE_THOUSAND_SEPARATOR = True
    fill(10_001, endpoint)

    page = page_of(root, "deadletter")

    assert "10,000+: the newest 10,000 are shown." in page
    assert "Select all 10,000+ that match" in page
    Delivery.objects.filter(pk=Delivery.objects.latest("pk").pk).update(state="pending")
    exact = page_of(root, "deadletter")
    assert "10,000 dead letters" in exact
    assert "10,000+" not in exact


def test_endpoints_that_are_off_are_marked_in_the_list(root, endpoint):
    dead_letters(1)
    endpoints.switch_off(endpoint.pk, using="default")

    assert f"{endpoint.name} (off)" in page_of(root, "deadletter")
