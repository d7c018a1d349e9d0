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


def new_key() -> str:
    return Fernet.generate_key().decode()


def use(settings, *keys: object, **others) -> None:
    settings.WEBHOOK_DELIVERY = {**settings.WEBHOOK_DELIVERY, "SECRET_KEYS": list(keys), **others}


def test_a_former_secret_key_opens_what_it_sealed_but_seals_nothing(settings):
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "former", []
    former = keys.seal(SECRET, owner=1)

    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "present", ["other", "former"]
    present = keys.seal(SECRET, owner=1)
    assert keys.unseal(former, owner=1) == SECRET

    settings.SECRET_KEY_FALLBACKS = []
    assert keys.unseal(present, owner=1) == SECRET
    assert not keys.opens(former, owner=1)


def test_where_there_are_secret_keys_no_other_opens(settings):
    derived = keys.seal(SECRET, owner=1)

    use(settings, new_key())

    with pytest.raises(keys.SecretUnavailable):
        keys.unseal(derived, owner=1)


@pytest.mark.parametrize("wrong", ["short", "", 5, None, "ü" * 32], ids=str)
def test_a_key_that_is_none_opens_nothing_and_raises_nothing_else(settings, wrong):
    sealed = keys.seal(SECRET, owner=1)

    use(settings, wrong)

    with pytest.raises(keys.SecretUnavailable):
        keys.unseal(sealed, owner=1)
    assert not keys.opens(sealed, owner=1)


def test_without_any_key_nothing_opens(settings):
    sealed = keys.seal(SECRET, owner=1)

    settings.SECRET_KEY = ""

    with pytest.raises(keys.SecretUnavailable):
        keys.unseal(sealed, owner=1)


def test_what_the_newest_key_sealed_is_left_as_it_is(settings):
    use(settings, new_key(), new_key())
    sealed = keys.seal(SECRET, owner=1)

    assert keys.renew(sealed, owner=1) == sealed


@pytest.mark.parametrize("before", ["an older key", "a derived key", "a former SECRET_KEY's"])
def test_what_another_key_sealed_is_sealed_anew(settings, before):
    old, new = new_key(), new_key()
    use(settings, *[old] if before == "an older key" else [])
    settings.SECRET_KEY = "former"
    sealed = keys.seal(SECRET, owner=1)
    if before == "a former SECRET_KEY's":
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "present", ["former"]
    use(settings, new, old)

    renewed = keys.renew(sealed, owner=1)

    use(settings, new)
    assert keys.unseal(renewed, owner=1) == SECRET


def test_what_was_sealed_for_another_row_is_not_sealed_anew():
    with pytest.raises(keys.SecretUnavailable):
        keys.renew(keys.seal(SECRET, owner=1), owner=2)


def test_what_was_opened_does_not_show_itself_among_variables():
    opened = keys.unseal(keys.seal(SECRET, owner=1), owner=1)

    assert (str(opened), f"{opened}", opened.removeprefix("whsec_")) == (SECRET, SECRET, SECRET[6:])
    assert SECRET[6:] not in repr({"secrets": [opened]})
