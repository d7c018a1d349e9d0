"""Derives what a payload of model fields looks like: a JSON Schema, and an example that fits it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import NOT_PROVIDED, Field

from webhook_delivery.shaping import normal

Schema = dict[str, Any]
"""A JSON Schema, draft 2020-12."""

AT = datetime.fromisoformat("2026-11-21T14:02:11.482+00:00")
"""When examples happen."""


class Form(NamedTuple):
    """What JSON makes of a field: what is true of all values, and one of them."""

    schema: Schema
    example: Any


def form_of(fields: Iterable[Field[Any, Any]]) -> Form:
    """Describe the object that has these fields, as `ModelWebhooks.payload` makes it."""
    forms = {field.name: _described(field) for field in fields}
    properties = {name: form.schema for name, form in forms.items()}
    schema = {"type": "object", "properties": properties, "required": list(forms)}
    return Form(schema, {name: form.example for name, form in forms.items()})


def written(value: Any) -> Any:
    """Return a value as it is in a body, read again."""
    return json.loads(json.dumps(value, cls=DjangoJSONEncoder))


def _described(field: Field[Any, Any]) -> Form:
    """With what its people say of it; a name that Django has made of the field's says nothing."""
    schema, example = _form(field)
    name = str(getattr(field, "verbose_name", ""))
    said = str(field.help_text) or (name if name != field.name.replace("_", " ") else "")
    return Form({**schema, "description": said} if said else schema, example)


def _form(field: Field[Any, Any]) -> Form:
    if isinstance(field, models.ManyToManyField):
        key = _form(field.related_model._meta.pk)
        return Form({"type": "array", "items": key.schema}, [key.example])
    if isinstance(field, models.ForeignKey):
        return _nullable(field, _form(field.target_field))
    if isinstance(field, models.GeneratedField):
        return _generated(field)
    form = _unbound(field)
    return _nullable(field, _chosen(field, form)) if form.schema else form


def _unbound(field: Field[Any, Any]) -> Form:
    """By its class; of one whose values are of somebody's own making, nothing is known."""
    if base := getattr(field, "base_field", None):  # an array of django.contrib.postgres
        item = _form(base)
        return Form({"type": "array", "items": item.schema}, [item.example])
    known = next(each for each in type(field).__mro__ if each.__module__.startswith("django."))
    makes = next((FORMS[each] for each in known.__mro__ if each in FORMS), None)
    return makes(field) if makes and not _is_own(type(field), known) else Form({}, None)


def _is_own(kind: type, known: type) -> bool:
    """Whether a subclass of one of Django's fields makes values of its own."""
    makers = ("to_python", "from_db_value", "contribute_to_class", "descriptor_class")
    return any(getattr(kind, name, None) != getattr(known, name, None) for name in makers)


def _generated(field: Any) -> Form:
    """The database computes it: of a decimal, with as many places as it likes."""
    form = _unbound(field.output_field)
    if isinstance(field.output_field, models.DecimalField):
        form = Form({"type": "string", "pattern": DECIMAL}, form.example)
    return Form(_or_null(form.schema), form.example) if form.schema else form


def _nullable(field: Field[Any, Any], form: Form) -> Form:
    empty = not field.null or isinstance(field, models.FileField) or not form.schema
    return form if empty else Form(_or_null(form.schema), form.example)


def _or_null(schema: Schema) -> Schema:
    given = schema["type"]
    wider = {**schema, "type": given if "null" in given else [given, "null"]}
    return wider | ({"enum": [*schema["enum"], None]} if "enum" in schema else {})


def _chosen(field: Field[Any, Any], form: Form) -> Form:
    """One of its choices, as they are written; those that a function makes may be others later."""
    if not field.choices or callable(getattr(field.choices, "func", None)):
        return _started(field, form)
    values = [written(normal(field, value)) for value, _ in field.flatchoices]
    example = values[0]
    if _may_be_empty(field) and form.schema["type"] == "string" and "" not in values:
        values.append("")
    return Form({"type": form.schema["type"], "enum": values}, example)


def _started(field: Field[Any, Any], form: Form) -> Form:
    """Its default is an example, unless that is computed, or says nothing."""
    default = getattr(field, "default", NOT_PROVIDED)
    if default is NOT_PROVIDED or callable(default) or default in (None, ""):
        return form
    return Form(form.schema, written(normal(field, default)))


def _may_be_empty(field: Field[Any, Any]) -> bool:
    return field.blank or getattr(field, "default", None) == ""


def _text(field: Field[Any, Any], example: str = "", **rules: Any) -> Form:
    """A string; what it must look like, if it is not empty."""
    schema: Schema = {"type": "string"}
    if field.max_length:
        schema["maxLength"] = field.max_length
    if rules and _may_be_empty(field):
        rules = {"anyOf": [rules, {"const": ""}]}
    return Form(schema | rules, (example or field.name)[: field.max_length])


def _plain(schema: Schema, example: Any) -> Callable[[Field[Any, Any]], Form]:
    """A form that is the same for all fields of a class; what is computed is written as JSON."""
    return lambda field: Form(dict(schema), written(example))


def _slug(field: Any) -> Form:
    letters = {} if field.allow_unicode else {"pattern": "^[-a-zA-Z0-9_]+$"}
    return _text(field, field.name.replace("_", "-"), **letters)


def _email(field: Any) -> Form:
    return _text(field, "ann@example.com", format="email")


def _url(field: Any) -> Form:
    """Django takes what is no URI by the letter, like names in other scripts."""
    return _text(field, "https://example.com/", pattern=r"^[A-Za-z][A-Za-z0-9+.-]*://\S+$")


def _address(field: Any) -> Form:
    formats = {"ipv4": ["ipv4"], "ipv6": ["ipv6"]}.get(field.protocol.lower(), ["ipv4", "ipv6"])
    allowed: list[Schema] = [{"format": each} for each in formats]
    allowed += [{"const": ""}] if _may_be_empty(field) else []
    example = "2001:db8::1" if formats == ["ipv6"] else "192.0.2.1"
    rules = allowed[0] if len(allowed) == 1 else {"anyOf": allowed}
    return Form({"type": "string", **rules}, example)


def _decimal(field: Any) -> Form:
    """A string, as Django's encoder writes it: with all its places, small ones as `1E-7`."""
    if field.max_digits is None or field.decimal_places is None:
        return Form({"type": "string", "pattern": DECIMAL}, "1")
    whole, places = field.max_digits - field.decimal_places, field.decimal_places
    small = "|-?[0-9](\\.[0-9]+)?E-[0-9]+" if places > 6 else ""
    after = f"\\.[0-9]{{{places}}}" if places else ""
    plain = f"-?[0-9]{{1,{max(whole, 1)}}}{after}"
    example = str(Decimal(1 if whole else 0).quantize(Decimal(1).scaleb(-places)))
    return Form(
        {"type": "string", "pattern": f"^({plain}{small})$" if small else f"^{plain}$"}, example
    )


def _json(field: Any) -> Form:
    return Form({}, field.default() if field.default in (dict, list) else None)


def _file(field: Any) -> Form:
    """Its name: a text, and an empty one where there is no file."""
    return Form({"type": "string"}, f"{field.name}.pdf")


INTEGER: Schema = {"type": "integer"}
DECIMAL = "^-?[0-9]+(\\.[0-9]+)?(E[+-][0-9]+)?$"
MOMENT: Schema = {"type": "string", "format": "date-time"}
DAY: Schema = {"type": "string", "format": "date"}
TIME: Schema = {"type": "string", "pattern": "^[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{3})?$"}
"""`time` of JSON Schema has an offset from UTC; Django's has none."""
SPAN: Schema = {
    "type": "string",
    "pattern": "^-?P[0-9]+DT[0-9]{2}H[0-9]{2}M[0-9]{2}(\\.[0-9]{6})?S$",
}
"""`duration` of JSON Schema has neither a sign nor parts of a second."""

FORMS: dict[type, Callable[[Field[Any, Any]], Form]] = {
    models.BooleanField: _plain({"type": "boolean"}, True),
    models.CharField: _text,
    models.DateField: _plain(DAY, date(2026, 11, 21)),
    models.DateTimeField: _plain(MOMENT, AT),
    models.DecimalField: _decimal,
    models.DurationField: _plain(SPAN, timedelta(hours=1)),
    models.EmailField: _email,
    models.FileField: _file,
    models.FloatField: _plain({"type": "number"}, 1.5),
    models.GenericIPAddressField: _address,
    models.IntegerField: _plain(INTEGER, 1),
    models.JSONField: _json,
    models.PositiveBigIntegerField: _plain({**INTEGER, "minimum": 0}, 1),
    models.PositiveIntegerField: _plain({**INTEGER, "minimum": 0}, 1),
    models.PositiveSmallIntegerField: _plain({**INTEGER, "minimum": 0}, 1),
    models.SlugField: _slug,
    models.TextField: _text,
    models.TimeField: _plain(TIME, time(14, 2, 11)),
    models.URLField: _url,
    models.UUIDField: _plain(
        {"type": "string", "format": "uuid"}, "0199b2c6-0f7a-7c1e-9d57-5a3c1f0e8b24"
    ),
}
"""By the classes of Django; a subclass has the form of the first that it inherits."""
