"""Whose an endpoint is: a reference to any row, and the foreign keys of the user's own models."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection, models
from django.db.models import ProtectedError

from tests.conftest import make_endpoint
from tests.owners.models import Contract, Customer, Integration, Loyal, Widget
from tests.test_admin import client_of, url
from webhook_delivery.models import Endpoint, Subscription
from webhook_delivery.references import LONGEST, reference_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> Customer:
    return Customer.objects.create(slug="acme")


def named(**fields) -> Endpoint:
    return Endpoint.objects.create(name="receiver", url="https://x.example/", **fields)


def test_the_owner_is_kept_as_a_reference(acme):
    endpoint = named(owner=acme)

    assert endpoint.owner == "owners.customer:acme"
    endpoint.refresh_from_db()
    assert endpoint.owner == "owners.customer:acme"


def test_what_a_row_owns_is_found_by_the_row_or_by_its_reference(acme):
    mine = named(owner=acme)
    named(owner=Customer.objects.create(slug="globex"))
    named()

    for owner in (acme, "owners.customer:acme", Loyal.objects.get(pk="acme")):
        assert Endpoint.objects.owned_by(owner).get() == mine
        assert Endpoint.objects.filter(owner=owner).get() == mine
        assert Endpoint.objects.filter(owner__in=[owner]).get() == mine
    assert Subscription.objects.filter(endpoint__owner=acme).count() == 0


def test_the_owner_can_be_changed_one_by_one_or_by_its_reference(acme):
    globex = Customer.objects.create(slug="globex")
    [first, second] = Endpoint.objects.bulk_create(
        [Endpoint(name=n, url="https://x.example/", owner=acme) for n in "ab"]
    )
    assert [first.owner, second.owner] == ["owners.customer:acme"] * 2
    first, second = Endpoint.objects.order_by("pk")

    Endpoint.objects.filter(pk=first.pk).update(owner=reference_of(globex))
    second.owner = globex
    second.save()

    assert second.owner == "owners.customer:globex"
    assert Endpoint.objects.owned_by(globex).count() == 2
    assert not Endpoint.objects.owned_by(acme).exists()


def test_keys_that_differ_in_case_or_blanks_are_different_owners():
    for slug in ("acme", "ACME", "acme "):
        named(owner=f"owners.customer:{slug}")

    assert Endpoint.objects.owned_by("owners.customer:acme").count() == 1


def test_a_row_that_was_never_saved_owns_nothing():
    with pytest.raises(ValueError, match="never saved"):
        named(owner=User(username="ann"))
    with pytest.raises(ValueError, match="never saved"):
        Endpoint.objects.owned_by(User(username="ann"))


def test_an_endpoint_may_have_no_owner_and_a_long_one_is_cut_as_references_are():
    assert named().owner == ""

    long = Customer(slug="x" * 300)
    assert len(named(owner=long).owner) == LONGEST
    assert Endpoint.objects.owned_by(long).count() == 1


def test_the_owner_is_shown_and_edited_in_the_admin(acme):
    endpoint = named(owner=acme)
    client = client_of(User.objects.create_superuser("ada", password="x"))

    page = client.get(url("endpoint", "change", endpoint.pk)).content.decode()

    assert 'value="owners.customer:acme"' in page


# ── foreign keys of the user's own


def test_what_belongs_to_an_endpoint_goes_with_it(acme):
    endpoint = make_endpoint()
    Integration.objects.create(endpoint=endpoint)
    Widget.objects.create(endpoint=endpoint)
    assert endpoint.integrations.count() == 1
    assert Endpoint.objects.filter(integrations__isnull=False).get() == endpoint

    endpoint.delete()

    assert not Integration.objects.exists()
    assert Widget.objects.get().endpoint is None


def test_who_needs_an_endpoint_keeps_it():
    endpoint = make_endpoint()
    Contract.objects.create(endpoint=endpoint)

    with pytest.raises(ProtectedError):
        endpoint.delete()

    assert Endpoint.objects.exists()


def test_the_console_says_what_keeps_an_endpoint():
    endpoint = make_endpoint()
    contract = Contract.objects.create(endpoint=endpoint)
    client = client_of(User.objects.create_superuser("ada", password="x"))

    page = client.get(url("endpoint", "delete", endpoint.pk)).content.decode()

    assert str(contract) in page.replace("&#x27;", "'")
    assert Endpoint.objects.exists()


def test_the_column_is_an_ordinary_one_to_migrations():
    field = Endpoint._meta.get_field("owner")

    assert isinstance(field, models.CharField)
    assert field.deconstruct()[1] == "django.db.models.CharField"
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, Endpoint._meta.db_table)
    assert any(each["columns"] == ["owner"] and each["index"] for each in found.values())
