"""Models that tests register as they need them."""

import uuid

from django.conf import settings
from django.db import models

from tests.library import predecessors as predecessors
from webhook_delivery import WebhookQuerySet


class Author(models.Model):
    name = models.CharField(max_length=50)


class Book(models.Model):
    title = models.CharField(max_length=50)
    author = models.ForeignKey(Author, models.CASCADE, null=True)
    price = models.DecimalField(max_digits=6, decimal_places=2, default=0)


class Tag(models.Model):
    name = models.CharField(max_length=50)


class Ticket(models.Model):
    """Has a bit of everything."""

    title = models.CharField(max_length=50, default="")
    status = models.CharField(max_length=10, default="new")
    votes = models.IntegerField(default=0)
    note = models.CharField(max_length=50, default="")
    api_token = models.CharField(max_length=50, default="t0k3n")
    scan = models.BinaryField(default=bytes)
    closed_at = models.DateTimeField(null=True)
    tags = models.ManyToManyField(Tag, related_name="tickets")
    after = models.ManyToManyField("self")

    objects = WebhookQuerySet.as_manager()


class UrgentTicket(Ticket):
    class Meta:
        proxy = True


class Place(models.Model):
    name = models.CharField(max_length=50)
    objects = WebhookQuerySet.as_manager()


class Restaurant(Place):
    stars = models.IntegerField(default=0)


class Parcel(models.Model):
    """Knows its key before it is saved."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    weight = models.IntegerField(default=1)
    objects = WebhookQuerySet.as_manager()


class Volume(models.Model):
    """A book that belongs to a user."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, db_constraint=False)
    title = models.CharField(max_length=50)
    pages = models.PositiveIntegerField(default=0)
    objects = WebhookQuerySet.as_manager()


class Article(models.Model):
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, db_constraint=False)
    title = models.CharField(max_length=50)
    state = models.CharField(max_length=10, default="PENDING")
    tags = models.ManyToManyField(Tag)
    objects = WebhookQuerySet.as_manager()


class Product(models.Model):
    name = models.CharField(max_length=50)
    price = models.PositiveIntegerField(default=0)
    objects = WebhookQuerySet.as_manager()


class Customer(models.Model):
    name = models.CharField(max_length=50)
    email = models.EmailField()
    objects = WebhookQuerySet.as_manager()


class Everything(models.Model):
    """A field of every class that has a form in JSON."""

    class Level(models.IntegerChoices):
        LOW = 1
        HIGH = 9

    agreed = models.BooleanField(null=True)
    amount = models.DecimalField(max_digits=8, decimal_places=2)
    amount_owed = models.DecimalField(max_digits=3, decimal_places=3, null=True, blank=True)
    atoms = models.DecimalField(max_digits=12, decimal_places=9)
    away = models.DurationField(help_text="How long | it took.")
    big = models.BigIntegerField()
    born = models.DateField()
    code = models.SlugField(blank=True)
    colour = models.CharField(max_length=5, choices=[("red", "Red"), ("blue", "Blue")], blank=True)
    contact = models.EmailField()
    contact_too = models.EmailField("second contact", null=True, blank=True)
    counted = models.PositiveIntegerField(default=3)
    document = models.FileField(null=True, blank=True)
    home = models.URLField(blank=True)
    host = models.GenericIPAddressField()
    host_4 = models.GenericIPAddressField(protocol="IPv4", null=True, blank=True)
    level = models.IntegerField(choices=Level, null=True, blank=True)
    likely = models.FloatField()
    moment = models.DateTimeField()
    notes = models.JSONField(default=dict)
    parcel = models.ForeignKey(Parcel, models.CASCADE, null=True, blank=True)
    price = models.DecimalField(max_digits=3, decimal_places=1, choices=[(1, "one"), (2.5, "two")])
    rate = models.GeneratedField(
        expression=models.F("amount") * 2,
        output_field=models.DecimalField(max_digits=9, decimal_places=2),
        db_persist=True,
    )
    ring = models.TimeField()
    small = models.PositiveSmallIntegerField()
    tags = models.ManyToManyField(Tag, related_name="everything")
    text = models.TextField(max_length=100)
    token = models.UUIDField(default=uuid.uuid4)

    objects = WebhookQuerySet.as_manager()


class Measure(models.Model):
    """One column is the database's own."""

    width = models.IntegerField()
    area = models.GeneratedField(
        expression=models.F("width") * models.F("width"),
        output_field=models.IntegerField(),
        db_persist=True,
    )
    objects = WebhookQuerySet.as_manager()
