"""What the shop sells, to whom: customers, products, orders."""

from django.db import models

from webhook_delivery import TellsWebhooks, WebhookQuerySet
from webhook_delivery.models import Endpoint


class Customer(TellsWebhooks, models.Model):
    """Who buys here, and may be told about their own orders."""

    name = models.CharField(max_length=100)
    email = models.EmailField()
    tenant = models.SlugField(unique=True)
    api_token = models.CharField(max_length=40, blank=True)
    endpoint = models.ForeignKey(Endpoint, models.SET_NULL, null=True, blank=True)

    objects = WebhookQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


class Category(models.Model):
    name = models.CharField(max_length=50)

    class Meta:
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.name


class Product(TellsWebhooks, models.Model):
    sku = models.CharField(max_length=20, unique=True)
    name = models.CharField(max_length=100)
    price = models.DecimalField(max_digits=10, decimal_places=2)
    cost = models.DecimalField(max_digits=10, decimal_places=2, default=0)
    categories = models.ManyToManyField(Category, blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = WebhookQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


class Order(TellsWebhooks, models.Model):
    class Status(models.TextChoices):
        NEW = "new"
        PAID = "paid"
        SHIPPED = "shipped"

    number = models.PositiveIntegerField(unique=True)
    status = models.CharField(max_length=10, choices=Status, default=Status.NEW)
    total = models.DecimalField(max_digits=10, decimal_places=2)
    customer = models.ForeignKey(Customer, models.PROTECT, null=True, blank=True)
    placed_at = models.DateTimeField(auto_now_add=True)

    objects = WebhookQuerySet.as_manager()

    def __str__(self) -> str:
        return f"order {self.number}"
