"""Models that tests register as they need them."""

from django.db import models


class Author(models.Model):
    name = models.CharField(max_length=50)


class Book(models.Model):
    title = models.CharField(max_length=50)
    author = models.ForeignKey(Author, models.CASCADE, null=True)
    price = models.DecimalField(max_digits=6, decimal_places=2, default=0)
