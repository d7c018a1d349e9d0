"""Secrets at rest."""

import pytest
from cryptography.fernet import Fernet

from tests.conftest import SECRET, make_endpoint
from webhook_delivery import keys
from webhook_delivery.models import Secret


def test_a_sealed_secret_opens_for_its_owner_only():
    sealed = keys.seal(SECRET, owner=1)

    assert keys.unseal(sealed, owner=1) == SECRET
    assert SECRET.encode() not in sealed
    with pytest.raises(keys.SecretUnavailable):
        keys.unseal(sealed, owner=2)


def test_a_wrong_key_opens_nothing(settings):
    settings.WEBHOOK_DELIVERY = {"SECRET_KEYS": [Fernet.generate_key().decode()]}
    sealed = keys.seal(SECRET, owner=1)
    settings.WEBHOOK_DELIVERY = {"SECRET_KEYS": [Fernet.generate_key().decode()]}

    with pytest.raises(keys.SecretUnavailable):
        keys.unseal(sealed, owner=1)


def test_an_older_key_still_opens(settings):
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.WEBHOOK_DELIVERY = {"SECRET_KEYS": [old]}
    sealed = keys.seal(SECRET, owner=1)
    settings.WEBHOOK_DELIVERY = {"SECRET_KEYS": [new, old]}

    assert keys.unseal(sealed, owner=1) == SECRET


@pytest.mark.django_db
def test_the_database_holds_no_secret_in_clear():
    secret = Secret.objects.get(endpoint=make_endpoint())

    assert SECRET.encode() not in bytes(secret.sealed)
    assert secret.reveal() == SECRET
    assert SECRET not in f"{secret} {secret!r}"
