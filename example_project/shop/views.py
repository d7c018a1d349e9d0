"""The shop's pages: an order with what was told of it, shipping, and what suppliers tell us."""

from __future__ import annotations

import json
from decimal import Decimal

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST

from example_project.shop.models import Order, Product
from webhook_delivery import WebhookRequest, apublish, receives


def order(request: HttpRequest, number: int) -> HttpResponse:
    found = get_object_or_404(Order, number=number)
    return render(request, "shop/order.html", {"order": found})


@require_POST
async def call_back(request: HttpRequest, number: int) -> JsonResponse:
    """A customer asks to be called: from a coroutine, for it waits for nothing else."""
    asked = await Order.objects.aget(number=number)
    phone = json.loads(request.body)["phone"]
    told = await apublish("order.call_wanted", {"number": number, "phone": phone}, source=asked)
    return JsonResponse({"webhook_id": told.webhook_id}, status=202)


@receives("SUPPLIER_SECRETS")
def hear_supplier(request: WebhookRequest) -> HttpResponse:
    """A supplier, whose service is Django too, tells us new prices."""
    if request.webhook.event_type == "price.changed":
        data = request.webhook.data
        Product.objects.filter(sku=data["sku"]).update(price=Decimal(data["price"]))
    return HttpResponse(status=204)
