"""Events in the console: what became of each, what they said, and sending one elsewhere."""

import re
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db.models import F
from django.test import Client

from tests.conftest import make_endpoint
from tests.owing import statements
from tests.test_admin import say, staff, url
from tests.test_catalogue import described
from tests.test_console_delivery import HOSTILE, SHOWN, text_of
from tests.test_surfaces import VERBS as EVERY_VERB
from webhook_delivery import endpoints, forwarding, lifecycle, publish
from webhook_delivery.admin.records import VERBS
from webhook_delivery.clock import Now
from webhook_delivery.models import ConsoleAction, Delivery, Endpoint, Event, SearchKey

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.nightly_on_servers]

NEW = {"endpoint": "new", "reason": "they asked for it"}


@pytest.fixture
def root(db) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("ada", password="x"))
    return client


@pytest.fixture
def event(endpoint) -> Event:
    return publish("order.paid", {"number": 7})


@pytest.fixture
def new(receiver, event) -> Endpoint:
    """An endpoint that was not there when the event happened."""
    return make_endpoint(receiver.url("/new"), "order.lost")


def reader(*codenames: str) -> Client:
    client = Client()
    client.force_login(staff("reader", "view_event", *codenames))
    return client


def page_of(client: Client, event: Event) -> str:
    response = client.get(url("event", "change", event.pk))
    assert response.status_code == 200
    return response.content.decode()


def listed(client: Client, **query) -> list:
    response = client.get(url("event"), query)
    assert response.status_code == 200
    return [event.pk for event in response.context["cl"].result_list]


# The list


def test_each_event_says_what_became_of_it(root, receiver, send_due):
    for path in "abcd":
        make_endpoint(receiver.url(f"/{path}"))
    receiver.replies(404, path="/d")
    event, lonely = publish("order.paid"), publish("order.paid", tenant="nobody")
    send_due()

    page = root.get(url("event")).content.decode()

    told = re.findall(r'<td class="field-fate">(.*?)</td>', page)
    link = f"{url('delivery')}?q={event.webhook_id}"
    assert told == ["none: nobody was subscribed", f'<a href="{link}">1 dead, 3 delivered</a>']
    assert lonely.deliveries.count() == 0
    assert root.get(link).context["cl"].result_count == 4


@pytest.mark.parametrize("count", [1, 50])
def test_the_list_costs_as_much_for_fifty_as_for_one(root, endpoint, count):
    for _ in range(count):
        publish("order.paid")

    # The session, the user, the count, the events, and what became of them.
    with statements() as said:
        assert len(listed(root)) == count
    assert len([sql for sql in said if sql.startswith("SELECT") and "FROM" in sql]) == 5

    assert not any('body"' in sql or "`body`" in sql for sql in said)


def test_events_are_narrowed_by_type_tenant_and_time(root):
    old, other, new = publish("a.b"), publish("a.c"), publish("a.b", tenant="acme")
    Event.objects.filter(pk=old.pk).update(created_at=F("created_at") - timedelta(days=2))

    assert listed(root, event_type="a.b") == [new.pk, old.pk]
    assert listed(root, tenant="acme") == [new.pk]
    assert listed(root, when="24h") == [new.pk, other.pk]
    assert listed(root, when="24h", event_type="a.b", tenant="acme") == [new.pk]
    assert listed(root, when="nonsense", tenant=" ") == [new.pk, other.pk, old.pk]


@pytest.mark.parametrize("term", ["a", "a.*", "evt_", "evt_" + "0" * 32, "%", "\u202e"])
def test_what_is_no_events_finds_none(root, event, term):
    assert listed(root, q=term) == []


def test_nobody_sees_another_tenants_event(settings, event):
    settings.WEBHOOK_DELIVERY = {
        **settings.WEBHOOK_DELIVERY,
        "CONSOLE_TENANTS": "tests.test_console_delivery.only_acme",
    }
    client = reader("redeliver_delivery", "view_payload")

    pages = ["change", "payload", "payload_text", "forward"]
    answers = [client.get(url("event", page, event.pk)).status_code for page in pages]
    answers.append(client.post(url("event", "forward_now", event.pk), NEW).status_code)

    assert listed(client) == []
    assert set(answers) <= {404, 302}
    assert answers[1:] == [404] * 4


# The page


def test_the_page_shows_all_deliveries_with_their_states(root, receiver, send_due):
    names = [make_endpoint(receiver.url(f"/{path}")).name for path in "ab"]
    receiver.replies(404, path="/b")
    event = publish("order.paid")
    send_due()

    page = page_of(root, event)

    told = text_of(page.partition("<h2>Deliveries</h2>")[2].partition("</ul>")[0])
    assert told.split() == [names[0], "delivered", names[1], "dead"]
    for delivery in event.deliveries.all():
        assert url("delivery", "change", delivery.pk) in page


def test_the_page_says_what_its_type_means(root, db):
    known, unknown = publish("order.shipped", {"number": 7}), publish("order.lost")
    with described("order.lost", deprecated="Use <order.shipped>."):
        old = page_of(root, unknown)

    assert "An order has left the house." in page_of(root, known)
    assert "Use &lt;order.shipped&gt;." in old
    assert "Deprecated:" in old and "Deprecated:" not in page_of(root, unknown)


def test_that_nobody_was_subscribed_is_said(root, db):
    event = publish("order.paid")

    assert "No endpoint that was on heard this event type at the time" in page_of(root, event)


def test_of_very_many_deliveries_fifty_are_shown(root, receiver, django_assert_num_queries):
    for number in range(60):
        make_endpoint(receiver.url(f"/{number}"))
    event = publish("order.paid")
    page_of(root, event)  # reads the content type, once in a process

    # The session, the user, the event, its deliveries, its search keys, and its body.
    with django_assert_num_queries(6):
        page = page_of(root, event)

    assert page.partition("<h2>Deliveries</h2>")[2].count("<li>") == 50
    assert "There are more." in page


def test_what_the_user_may_not_see_is_not_there(event, new):
    page = page_of(reader(), event)

    assert "Hidden. You need the permission “Can see bodies, headers and answers”." in page
    assert "number" not in page
    assert "You may not look at deliveries." in page
    assert "Send to another endpoint" not in page


def test_what_it_is_found_by_is_out_of_the_body_and_shown_with_it(event):
    SearchKey.objects.create(event=event, key="customer", value="ada@customer.example")

    blind, seeing = reader(), Client()
    seeing.force_login(staff("seeing", "view_event", "view_payload"))

    assert "ada@customer.example" not in page_of(blind, event)
    assert "customer:ada@customer.example" in page_of(seeing, event)
    assert listed(blind, q="customer:ada@customer.example") == [event.pk]


def test_links_lead_only_where_the_user_may_go(event, send_due):
    send_due()
    client = reader()

    page, listed = page_of(client, event), client.get(url("event")).content.decode()

    assert '<td class="field-fate">1 delivered</td>' in listed
    assert url("delivery") not in page + listed


def test_a_site_without_deliveries_has_no_links_to_them(monkeypatch, root, event, send_due):
    send_due()
    deliveries = url("delivery")  # before the registry changes
    monkeypatch.delitem(admin.site._registry, Delivery)

    assert deliveries not in page_of(root, event) + root.get(url("event")).content.decode()


# Sending it elsewhere


def send_elsewhere(client: Client, event: Event, **fields) -> list[str]:
    return say(client, url("event", "forward_now", event.pk), {**NEW, **fields})


@pytest.mark.parametrize("called", ["number", "name"])
def test_an_event_is_sent_to_an_endpoint_that_was_never_owed_it(
    root, receiver, event, new, send_due, called
):
    send_due()

    said = send_elsewhere(root, event, endpoint=new.pk if called == "number" else new.name)
    send_due()

    made = new.deliveries.get()
    first, second = receiver.received
    assert said == ["It will be sent to new."]
    assert (made.event_id, made.state) == (event.pk, "delivered")
    assert (second.path, second.webhook_id, second.body) == ("/new", first.webhook_id, first.body)
    assert second.verified


def test_who_sent_it_where_and_why_is_kept_once(root, event, new):
    send_elsewhere(root, event)

    kept, log = ConsoleAction.objects.get(), LogEntry.objects.get()
    assert (kept.verb, kept.by_name, kept.reason) == ("forward", "ada", "they asked for it")
    assert kept.deliveries == [new.deliveries.get().pk]
    assert event.webhook_id in kept.about
    assert (log.object_id, log.change_message) == (
        str(event.pk),
        "It will be sent to new. Reason: they asked for it",
    )


def test_it_is_asked_first_and_only_a_post_does_it(root, event, new):
    asked = root.get(url("event", "forward", event.pk))
    got = root.get(url("event", "forward_now", event.pk))
    posted = root.post(url("event", "forward", event.pk), NEW)

    page = asked.content.decode()
    assert (asked.status_code, got.status_code, posted.status_code) == (200, 405, 405)
    assert f'action="{url("event", "forward_now", event.pk)}"' in page
    assert 'for="webhook_endpoint"' in page
    assert url("event", "forward", event.pk) in page_of(root, event)
    assert not new.deliveries.exists()


def test_only_who_may_redeliver_sends_elsewhere_and_with_a_token(event, new):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.create_superuser("root", password="x"))
    where = url("event", "forward_now", event.pk)

    answers = [strict.post(where, NEW), reader().post(where, NEW), Client().post(where, NEW)]

    assert [answer.status_code for answer in answers] == [403, 403, 302]
    assert reader_of("redeliver_delivery").post(where, NEW).status_code == 403
    assert not new.deliveries.exists()


def reader_of(*codenames: str) -> Client:
    """Who may do it, but not see the event."""
    client = Client()
    client.force_login(staff("blind", *codenames))
    return client


def test_what_is_owed_already_is_not_owed_twice(root, event, new):
    send_elsewhere(root, event)

    said = send_elsewhere(root, event)

    assert said == ["It is owed to new already; redeliver that delivery instead."]
    assert (new.deliveries.count(), ConsoleAction.objects.count()) == (1, 1)
    assert LogEntry.objects.count() == 1


def test_two_who_send_at_once_send_once(root, event, new, monkeypatch):
    """The other one's delivery is written between our look and our insert."""
    looked = forwarding._obstacle

    def too_late(*args):
        said = looked(*args)
        owed = lifecycle.Owed(event.pk, event.event_type, new.pk, new.state, Now())
        lifecycle.owe([owed], using="default")
        return said

    monkeypatch.setattr(forwarding, "_obstacle", too_late)

    said = send_elsewhere(root, event)

    assert said == ["It is owed to new already; redeliver that delivery instead."]
    assert (new.deliveries.count(), ConsoleAction.objects.count()) == (1, 0)


def test_an_endpoint_that_is_off_is_sent_nothing_one_that_is_paused_later(root, event, new):
    Endpoint.objects.filter(pk=new.pk).update(state="off")
    refused = send_elsewhere(root, event)
    Endpoint.objects.filter(pk=new.pk).update(state="on")
    endpoints.pause(new.pk, using="default")
    send_elsewhere(root, event)

    assert refused == ["new is off; switch it on to send to it."]
    assert new.deliveries.get().state == "held"


def test_an_ordered_endpoint_gets_it_in_its_sequence(root, event, new):
    Endpoint.objects.filter(pk=new.pk).update(ordered=True, format="structured")

    send_elsewhere(root, event)

    made = new.deliveries.get()
    assert (made.sequence, made.format) == (0, "structured")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nobody", "There is no such endpoint"),
        ("9" * 30, "There is no such endpoint"),
        ("acme", "There is no such endpoint"),
        ("twin", "Several are called so"),
        ("", "This field is required"),
        ("x" * 201, "at most 200 characters"),
        ("a\0b", "Null characters are not allowed"),
    ],
)
def test_who_names_no_endpoint_is_asked_again(root, event, name, said):
    make_endpoint(name="acme", tenant="other")
    for _ in range(2):
        make_endpoint(name="twin")
    before = Delivery.objects.count()

    page = root.post(url("event", "forward_now", event.pk), {**NEW, "endpoint": name})

    assert said in page.content.decode()
    assert Delivery.objects.count() == before


def test_another_tenants_endpoint_is_refused_by_the_verb_itself(event):
    other = make_endpoint(tenant="other")

    done = forwarding.forward(event, other.pk)

    assert done == forwarding.Forwarded(None, "There is no such endpoint of this event's tenant.")
    assert forwarding.forward(event, 0).delivery is None
    assert not ConsoleAction.objects.exists()


# Strangers


def test_whatever_strangers_wrote_is_inert(root, event, new):
    Event.objects.update(
        event_type=HOSTILE,
        tenant=HOSTILE,
        source=HOSTILE,
        key=HOSTILE,
        idempotency_key=HOSTILE,
        content_type="text/html<script>",
        body=HOSTILE.encode() + b"\x00\xff" * 100_000,
    )
    SearchKey.objects.create(event=event, key="x", value=HOSTILE)
    Endpoint.objects.update(name=HOSTILE, tenant=HOSTILE)

    pages = [
        page_of(root, event),
        root.get(url("event")).content.decode(),
        root.get(url("event", "forward", event.pk)).content.decode(),
        root.post(
            url("event", "forward_now", event.pk), {"endpoint": new.pk}, follow=True
        ).content.decode(),
    ]

    for page in pages:
        assert SHOWN in page
        assert "<script>alert" not in page
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", page)
        assert len(page) < 300_000


def test_who_sees_some_tenants_sees_only_the_acts_that_are_his(settings, db):
    """What others did names endpoints, and why it was done, of any tenant."""
    ann, ben = staff("ann", "view_consoleaction"), staff("ben")
    mine, other, shell = (
        ConsoleAction.record("pause", [], by=by, reason="r", about="1 (globex)", using="default")
        for by in (ann, ben, "shell: ann")
    )
    client = Client()
    client.force_login(ann)

    def seen() -> list[int]:
        return [each.pk for each in client.get(url("consoleaction")).context["cl"].result_list]

    def answers() -> list[int]:
        pages = [url("consoleaction", "change", each.pk) for each in (mine, other, shell)]
        return [client.get(page).status_code for page in pages]

    assert (seen(), answers()) == ([shell.pk, other.pk, mine.pk], [200, 200, 200])
    wanted = {"CONSOLE_TENANTS": "tests.test_console_delivery.only_acme"}
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, **wanted}
    assert (seen(), answers()) == ([mine.pk], [200, 302, 302])


def test_what_was_done_is_said_in_the_words_of_who_looks(root):
    for verb in ("retry_now", "of_a_later_version"):
        ConsoleAction.record(verb, [], by="ann", reason="", using="default")

    def told(language: str) -> list[str]:
        page = root.get(url("consoleaction"), headers={"accept-language": language})
        return re.findall(r'<td class="field-done">(.*?)</td>', page.content.decode())

    assert told("en") == ["of_a_later_version", "Retry now"]
    assert told("de") == ["of_a_later_version", "Jetzt wiederholen"]


def test_there_are_words_for_all_that_people_do():
    both = {"snooze", "reveal_secret", "test", "batch rate"}
    both |= {f"{what}_endpoint" for what in ("create", "change", "delete")}

    assert {verb.kept for verb in EVERY_VERB} | both == set(VERBS)


def test_what_people_wrote_about_their_acts_is_inert(root):
    action = ConsoleAction.objects.create(
        verb="redeliver", count=1, by_name=HOSTILE, reason=HOSTILE, about=HOSTILE
    )

    pages = [root.get(url("consoleaction")), root.get(url("consoleaction", "change", action.pk))]

    for page in (answer.content.decode() for answer in pages):
        assert page.count(SHOWN) == 3
        assert "<script>alert" not in page
        assert "\u202e" not in page
