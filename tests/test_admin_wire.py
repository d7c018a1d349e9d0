"""What an endpoint's form says about the wire: headers, certificates, formats."""

import json
import re

import pytest
import trustme
from django.contrib.auth.models import Permission
from django.forms import inlineformset_factory
from django.urls import reverse

from tests.conftest import make_endpoint
from webhook_delivery import keys
from webhook_delivery.admin.endpoints.wire import MASK, SubscriptionFormSet
from webhook_delivery.models import Endpoint, Subscription

pytestmark = [pytest.mark.django_db, pytest.mark.nightly_on_servers]

BARE = {
    "name": "acme",
    "url": "https://acme.example/hook",
    "format": "standard",
    "tls_minimum": "1.2",
}
INLINE = {"subscriptions-TOTAL_FORMS": 0, "subscriptions-INITIAL_FORMS": 0}


def submit(client, endpoint: Endpoint | None = None, **fields) -> str:
    """Post the form, and return the page if it was refused."""
    name = "add" if endpoint is None else "change"
    args = [] if endpoint is None else [endpoint.pk]
    url = reverse(f"admin:webhook_delivery_endpoint_{name}", args=args)
    page = client.post(url, {**BARE, **INLINE, **fields})
    return "" if page.status_code == 302 else page.content.decode()


def headers_of(endpoint: Endpoint) -> dict[str, str]:
    endpoint.refresh_from_db()
    sealed = bytes(endpoint.sealed_headers)
    return json.loads(keys.unseal(sealed, owner=endpoint.pk)) if sealed else {}


def test_headers_are_sealed_when_an_endpoint_is_made(admin_client):
    submit(admin_client, headers="Authorization: Bearer t0ken\r\n\r\nX-Url: https://a.example/\r\n")

    endpoint = Endpoint.objects.get()
    assert headers_of(endpoint) == {"Authorization": "Bearer t0ken", "X-Url": "https://a.example/"}
    assert b"t0ken" not in bytes(endpoint.sealed_headers)


def test_their_values_are_not_shown_and_kept_as_they_are(admin_client):
    endpoint = make_endpoint().set_headers({"Authorization": "Bearer t0ken", "X-Old": "1"})
    page = admin_client.get(reverse("admin:webhook_delivery_endpoint_change", args=[endpoint.pk]))
    shown = page.content.decode()

    assert f"Authorization: {MASK}" in shown
    assert "t0ken" not in shown
    submit(admin_client, endpoint, headers=f"Authorization: {MASK}\nX-New: 2")
    assert headers_of(endpoint) == {"Authorization": "Bearer t0ken", "X-New": "2"}


def test_an_edit_of_something_else_leaves_them(admin_client):
    endpoint = make_endpoint().set_headers({"Authorization": "Bearer t0ken"})
    before = bytes(endpoint.sealed_headers)

    submit(admin_client, endpoint, name="other", headers=f"Authorization: {MASK}")

    endpoint.refresh_from_db()
    assert (endpoint.name, bytes(endpoint.sealed_headers)) == ("other", before)


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ("Authorization", "a colon"),
        ("Host: internal", "Host"),
        ("webhook-signature: v1,x", "webhook-signature"),
        ("X-A: 1\nX-A: 2", "twice"),
        ("X-A: 1\nx-a: 2", "twice"),
        ("X-A: ü", "printable ASCII"),
        ("X-New: " + MASK, "printable ASCII"),
    ],
)
def test_those_that_cannot_be_sent_are_refused_with_the_reason(admin_client, headers, said):
    assert said in submit(admin_client, headers=headers)
    assert not Endpoint.objects.exists()


def test_headers_that_cannot_be_opened_can_be_written_anew(admin_client):
    endpoint = make_endpoint()
    Endpoint.objects.update(sealed_headers=keys.seal("{}", owner="another"))

    assert submit(admin_client, endpoint, headers="X-New: 2") == ""
    assert headers_of(endpoint) == {"X-New": "2"}


def test_a_client_certificate_is_kept_replaced_and_removed(admin_client):
    endpoint = make_endpoint()
    pem = trustme.CA().issue_cert("us@a.example").private_key_and_cert_chain_pem.bytes().decode()

    def kept() -> bytes:
        endpoint.refresh_from_db()
        return bytes(endpoint.sealed_client_certificate)

    assert "private key" in submit(admin_client, endpoint, client_certificate="nonsense")
    assert submit(admin_client, endpoint, client_certificate=pem) == ""
    assert keys.unseal(kept(), owner=endpoint.pk).split() == pem.split()
    page = admin_client.get(reverse("admin:webhook_delivery_endpoint_change", args=[endpoint.pk]))
    assert "PRIVATE" not in page.content.decode()
    before = kept()
    assert submit(admin_client, endpoint) == ""
    assert kept() == before
    assert submit(admin_client, endpoint, client_certificate="-") == ""
    assert kept() == b""


def test_all_headers_are_removed_at_once_also_those_that_cannot_be_opened(admin_client):
    endpoint = make_endpoint()
    Endpoint.objects.update(sealed_headers=keys.seal("{}", owner="another"))

    assert submit(admin_client, endpoint, headers="-") == ""
    assert headers_of(endpoint) == {}


@pytest.fixture
def editor(client, django_user_model):
    """Somebody who may change endpoints and see no secret."""
    user = django_user_model.objects.create_user("editor", is_staff=True)
    rights = Permission.objects.filter(codename__in=["view_endpoint", "change_endpoint"])
    user.user_permissions.set(rights)
    client.force_login(user)
    return client


@pytest.mark.parametrize(
    "elsewhere",
    [{"url": "https://mine.example/hook"}, {"ca_bundle": trustme.CA().cert_pem.bytes().decode()}],
    ids=["url", "authority"],
)
def test_what_is_sealed_is_not_sent_elsewhere_by_who_may_not_see_it(editor, elsewhere):
    """Else it would arrive at a server of his own."""
    pem = trustme.CA().issue_cert("us@a.example").private_key_and_cert_chain_pem.bytes().decode()
    endpoint = make_endpoint(BARE["url"]).set_headers({"Authorization": "Bearer t0ken"})
    endpoint.set_client_certificate(pem)
    kept = {"headers": f"Authorization: {MASK}"}

    assert submit(editor, endpoint, **kept, name="renamed", url=BARE["url"] + "/other") == ""
    page = submit(editor, endpoint, **kept, **elsewhere)
    assert "enter the values anew" in page
    assert "or remove it" in page
    endpoint.refresh_from_db()
    assert endpoint.url.startswith("https://acme.example/")
    anew = {"headers": "Authorization: Bearer mine", "client_certificate": "-"}
    assert submit(editor, endpoint, **anew, **elsewhere) == ""
    assert headers_of(endpoint) == {"Authorization": "Bearer mine"}


@pytest.mark.parametrize("typed", ["Bearer t0ken", "Bearer guess"])
def test_a_value_that_is_typed_anew_is_sent_elsewhere_whatever_was_kept(editor, typed):
    """To refuse just the one that was kept would confirm who guesses it."""
    sealed = {"Authorization": "Bearer t0ken", "X-Team": "blue"}
    endpoint = make_endpoint(BARE["url"]).set_headers(sealed)
    moved = {"url": "https://mine.example/hook"}

    some = submit(editor, endpoint, headers=f"Authorization: {typed}\nX-Team: {MASK}", **moved)
    assert "enter the values anew" in some
    assert submit(editor, endpoint, headers=f"Authorization: {typed}", **moved) == ""
    assert headers_of(endpoint) == {"Authorization": typed}


def test_headers_that_cannot_be_opened_are_not_led_elsewhere_unseen(editor):
    """With the key put back they would be sent there."""
    endpoint, moved = make_endpoint(BARE["url"]), {"url": "https://mine.example/hook"}
    Endpoint.objects.update(sealed_headers=keys.seal("{}", owner="another"))

    assert "enter the values anew" in submit(editor, endpoint, headers="", **moved)
    assert submit(editor, endpoint, headers="-", **moved) == ""
    assert headers_of(endpoint) == {}


def test_who_may_see_it_may_send_it_elsewhere(admin_client):
    endpoint = make_endpoint(BARE["url"]).set_headers({"Authorization": "Bearer t0ken"})
    kept = {"headers": f"Authorization: {MASK}", "url": "https://new.example/"}

    assert submit(admin_client, endpoint, **kept) == ""
    assert headers_of(endpoint) == {"Authorization": "Bearer t0ken"}


def test_a_url_that_is_none_can_be_mended_by_who_may_see_no_secret(editor):
    endpoint = make_endpoint("https://[x/")

    assert submit(editor, endpoint, name="mended") == ""
    endpoint.refresh_from_db()
    assert (endpoint.name, endpoint.url) == ("mended", BARE["url"])


@pytest.mark.parametrize("url", ["https://[x/", "https://us:PASSWORD@a.example/", "https://a:x/"])
def test_a_url_that_came_in_another_way_breaks_no_page_and_shows_no_password(admin_client, url):
    make_endpoint(url)
    page = admin_client.get(reverse("admin:webhook_delivery_endpoint_changelist"))

    assert page.status_code == 200
    assert "PASSWORD" not in page.content.decode()


def test_the_rest_of_the_wire_is_plain(admin_client):
    authority = trustme.CA().cert_pem.bytes().decode()

    submit(admin_client, format="structured", ca_bundle=authority, tls_minimum="1.3")

    endpoint = Endpoint.objects.get()
    assert (endpoint.format, endpoint.tls_minimum) == ("structured", "1.3")
    assert endpoint.ca_bundle.split() == authority.split()


def test_names_in_other_scripts_are_kept_in_punycode(admin_client):
    submit(admin_client, url="https://bücher.example/straße")

    assert Endpoint.objects.get().url == "https://xn--bcher-kva.example/stra%C3%9Fe"


# Whose it is


def only_acme(user) -> list[str]:
    return ["acme"]


@pytest.fixture
def scoped(settings):
    wanted = {"CONSOLE_TENANTS": "tests.test_admin_wire.only_acme"}
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, **wanted}


@pytest.mark.parametrize("tenant", ["globex", ""])
def test_who_sees_some_tenants_makes_endpoints_for_those_only(admin_client, scoped, tenant):
    """It would be sent everything that is published for the other one."""
    assert "That is not one of yours." in submit(admin_client, tenant=tenant)
    assert not Endpoint.objects.exists()
    submit(admin_client, tenant="acme")
    assert Endpoint.objects.get().tenant == "acme"


@pytest.mark.parametrize("tenant", ["globex", ""])
def test_who_sees_some_tenants_gives_no_endpoint_to_another(admin_client, scoped, tenant):
    endpoint = make_endpoint(BARE["url"], tenant="acme")

    assert "That is not one of yours." in submit(admin_client, endpoint, tenant=tenant)
    endpoint.refresh_from_db()
    assert endpoint.tenant == "acme"
    assert submit(admin_client, endpoint, tenant="acme", name="renamed") == ""


# What it is subscribed to


def subscriptions(*rows, initial: int = 0) -> dict:
    """The part of the form; each row is a pattern, its number if it has one, and what is ticked."""
    fields = {"subscriptions-TOTAL_FORMS": len(rows), "subscriptions-INITIAL_FORMS": initial}
    for number, (pattern, pk, *ticked) in enumerate(rows):
        fields |= {f"subscriptions-{number}-pattern": pattern, f"subscriptions-{number}-id": pk}
        fields |= {f"subscriptions-{number}-{each}": "on" for each in ticked}
    return fields


def patterns_of(endpoint: Endpoint) -> list[str]:
    return sorted(endpoint.subscriptions.values_list("pattern", flat=True))


def test_a_stale_form_that_adds_a_pattern_again_is_told_so(admin_client):
    endpoint = make_endpoint("https://acme.example/hook", "order.*")

    page = submit(admin_client, endpoint, name="new", **subscriptions(["order.*", ""]))

    assert "subscribed to that already" in page
    endpoint.refresh_from_db()
    assert (endpoint.name, patterns_of(endpoint)) == ("hook", ["order.*"])


def test_a_pattern_that_is_there_twice_is_refused(admin_client):
    page = submit(admin_client, **subscriptions(["order.*", ""], ["order.*", ""]))

    assert "Please correct the duplicate data for pattern" in page
    assert not Endpoint.objects.exists()


def test_a_pattern_can_take_the_place_of_one_that_is_removed(admin_client):
    endpoint = make_endpoint("https://acme.example/hook", "order.*")
    kept = endpoint.subscriptions.get()
    rows = subscriptions(["order.*", kept.pk, "DELETE"], ["order.*", ""], initial=1)

    assert submit(admin_client, endpoint, **rows) == ""
    assert patterns_of(endpoint) == ["order.*"]
    assert endpoint.subscriptions.get().pk != kept.pk


def test_patterns_that_change_places_are_refused_and_stay(admin_client):
    endpoint = make_endpoint("https://acme.example/hook", "a.*", "b.*")
    a, b = endpoint.subscriptions.order_by("pattern")
    rows = subscriptions(["b.*", a.pk], ["a.*", b.pk], initial=2)

    assert "subscribed to that already" in submit(admin_client, endpoint, **rows)
    assert patterns_of(endpoint) == ["a.*", "b.*"]


def test_a_pattern_that_takes_the_name_of_one_that_goes_later_is_refused(admin_client):
    endpoint = make_endpoint("https://acme.example/hook", "a.*", "b.*")
    a, b = endpoint.subscriptions.order_by("pattern")
    rows = subscriptions(["b.*", a.pk], ["b.*", b.pk, "DELETE"], initial=2)

    assert "subscribed to that already" in submit(admin_client, endpoint, **rows)
    assert patterns_of(endpoint) == ["a.*", "b.*"]


def test_who_subscribes_it_at_the_same_time_has_done_what_was_wanted(admin_client):
    endpoint = make_endpoint("https://acme.example/hook", "a.*")
    formset = inlineformset_factory(
        Endpoint, Subscription, formset=SubscriptionFormSet, fields=["pattern"]
    )(subscriptions(["b.*", ""]), instance=endpoint)
    assert formset.is_valid()
    endpoint.subscribe("b.*")

    formset.save()

    assert patterns_of(endpoint) == ["a.*", "b.*"]


def test_known_types_are_offered_where_subscriptions_are_written(admin_client):
    shown = admin_client.get(reverse("admin:webhook_delivery_endpoint_add")).content.decode()
    [offered] = re.findall(r'<datalist id="webhook-event-types">(.*?)</datalist>', shown, re.DOTALL)

    values = re.findall(r'value="(.*?)"', offered)
    assert values == sorted(values)
    assert {"*", "order.*", "order.shipped", "product.*", "webhook.test"} <= set(values)
    assert 'value="order.shipped" label="An order has left the house."' in offered
    assert re.search(r'<input[^>]+name="subscriptions-0-pattern"[^>]+list="webhook-event-', shown)
