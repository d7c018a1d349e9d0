"""Columns that are kept in one form, or not at all: addresses, owners, conditions."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from webhook_delivery.conditions import CHOICES, LARGEST, LONGEST, MOST, OPERATORS, Flaw, flaw_of
from webhook_delivery.hostnames import normal
from webhook_delivery.references import LONGEST as LONGEST_REFERENCE
from webhook_delivery.references import reference_of


class AddressField(models.CharField):  # type: ignore[type-arg] # it takes none at run time
    """A URL, in the one form in which it is checked, shown and sent."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        return normal(text) if isinstance(text, str) else text

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        kept = self.to_python(super().pre_save(model_instance, add))
        setattr(model_instance, self.attname, kept)
        return kept


class OwnerField(models.CharField):  # type: ignore[type-arg] # it takes none at run time
    """
    A row of any model in any database, as `shop.customer:7`: it takes the row, and keeps that.

    Raises ValueError for a row that was never saved.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"max_length": LONGEST_REFERENCE, "blank": True, **kwargs})

    def to_python(self, value: Any) -> Any:
        return reference_of(value) if isinstance(value, models.Model) else super().to_python(value)

    def get_prep_value(self, value: Any) -> Any:
        return super().get_prep_value(self.to_python(value))

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        kept = self.to_python(super().pre_save(model_instance, add))
        setattr(model_instance, self.attname, kept)
        return kept

    def deconstruct(self) -> Any:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", args, kwargs


_FLAWS = {
    Flaw.NOT_A_MAPPING: _('Use paths and what they must hold: {"data.status": "paid"}.'),
    Flaw.TOO_MANY: _("Use at most %(most)s conditions."),
    Flaw.TOO_LARGE: _("Use at most %(largest)s characters of conditions."),
    Flaw.PATH: _("%(where)s is no path: use words joined by dots, such as data.order.id."),
    Flaw.OPERATOR: _("%(where)s: use a value, or some of these operators: %(operators)s."),
    Flaw.VALUE: _(
        "%(where)s: use a text of at most %(longest)s characters, a number, true, false or null; "
        "with “in” a list of 1 to %(choices)s of them, with “exists” true or false, with “prefix” "
        "a text, and a text or a number to compare with."
    ),
}


def validate_conditions(conditions: Any) -> None:
    """Raise ValidationError for conditions, by path, that could not be asked of a body."""
    if found := flaw_of(conditions):
        flaw, where = found
        limits = {"most": MOST, "largest": LARGEST, "longest": LONGEST, "choices": CHOICES}
        told = {"where": where, "operators": ", ".join(OPERATORS)}
        raise ValidationError(_FLAWS[flaw], params={**limits, **told})


class ConditionsField(models.JSONField):
    """Conditions on a body; others are not even saved, for publishing goes by them."""

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if not hasattr(value, "resolve_expression"):
            validate_conditions(value)
        return super().get_db_prep_save(value, connection)

    def deconstruct(self) -> Any:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs
