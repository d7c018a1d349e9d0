"""A site of async views that publish; an ASGI server runs it: `uvicorn tests.asgi:application`."""

import os

from asgiref.sync import sync_to_async
from django.core.asgi import get_asgi_application
from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.urls import path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
application = get_asgi_application()

from example_project.shop.models import Order  # noqa: E402 - models need Django to be ready
from webhook_delivery import NewEvent, apublish, apublish_many, publish  # noqa: E402


async def told(request: HttpRequest) -> JsonResponse:
    """Publish one event, and say which."""
    event = await apublish("order.told", {"number": 7}, idempotency_key=request.GET.get("key"))
    return JsonResponse({"id": event.webhook_id})


async def told_many(request: HttpRequest) -> JsonResponse:
    events = [NewEvent("order.told", {"number": number}) for number in range(20)]
    return JsonResponse({"written": await apublish_many(events)})


@sync_to_async
@transaction.atomic
def place(number: int, fails: bool) -> None:
    Order.objects.create(number=number, total=1)
    publish("order.placed", {"number": number})
    if fails:
        raise RuntimeError("after both were written")


async def placed(request: HttpRequest) -> JsonResponse:
    """Save an order and publish an event together, or neither."""
    try:
        await place(7, "fail" in request.GET)
    except RuntimeError as error:
        return JsonResponse({"error": str(error)}, status=500)
    return JsonResponse({})


urlpatterns = [
    path("told", told),
    path("told-many", told_many),
    path("placed", placed),
]
