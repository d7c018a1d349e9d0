"""How rows of the user's own models are named."""

import pytest

from tests.library.models import Author
from webhook_delivery import InvalidEvent, publish
from webhook_delivery.references import reference_of


def test_a_row_is_named_by_its_model_and_key(db):
    author = Author.objects.create(name="Ann")

    assert reference_of(author) == f"library.author:{author.pk}"


def test_a_row_that_was_never_saved_has_no_name(db):
    with pytest.raises(ValueError, match="never saved"):
        reference_of(Author(name="Ann"))


def test_what_an_event_is_about_may_be_the_object_itself(db):
    author = Author.objects.create(name="Ann")

    assert publish("author.praised", source=author).source == f"library.author:{author.pk}"


def test_what_an_event_is_about_must_be_saved_before(db):
    with pytest.raises(InvalidEvent, match="never saved"):
        publish("author.praised", source=Author(name="Ann"))
