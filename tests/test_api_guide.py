"""docs/api.md is true: its curl lines work, its tables are those of the code; and what it needs."""

import json
import re
import shlex
import subprocess
import sys
from itertools import pairwise

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.test import APIClient

from example_project.settings import BASE_DIR
from tests.conftest import make_endpoint
from tests.test_api_rights import routes
from webhook_delivery import publish
from webhook_delivery.api.choosing import SelectionSerializer
from webhook_delivery.api.once import HEADER
from webhook_delivery.api.schema import described
from webhook_delivery.api.throttling import RATES
from webhook_delivery.models import Delivery, Endpoint

pytestmark = pytest.mark.everywhere_once

GUIDE = (BASE_DIR / "docs" / "api.md").read_text()
CURLS = re.findall(r"^\$ curl \$AUTH (.*)$", GUIDE, re.MULTILINE)


@pytest.fixture
def root(db):
    client = APIClient()
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def seven(db):
    """The endpoint and the delivery that the guide speaks of."""
    Endpoint.objects.create(pk=7, name="seven", url="https://example.com/").subscribe("*")
    event = publish("order.paid", {})
    gone = event.deliveries.get()
    dead = {"state": "dead", "due_at": None, "reason": "timeout", "ended_at": timezone.now()}
    Delivery.objects.create(pk=7, event=event, endpoint=make_endpoint(), **dead)
    gone.delete()


@pytest.mark.parametrize("line", CURLS)
def test_what_the_guide_types_works(line, root, seven):
    words = shlex.split(line)
    options = dict(pairwise(words))
    address = next(word for word in words if word.startswith("$API"))
    headers = dict(word.split(": ") for word in words if ": " in word and word[0] != "{")
    key = {"HTTP_IDEMPOTENCY_KEY": headers[HEADER]} if HEADER in headers else {}

    answer = root.generic(
        options.get("-X", "GET"),
        address.replace("$API", "/webhooks/api"),
        options.get("-d", ""),
        headers.get("Content-Type", ""),
        **key,
    )

    assert answer.status_code in (200, 201), answer.content


def test_every_address_is_in_the_table_and_every_filter_is_named():
    table = GUIDE.partition("## What there is")[2].partition("\n## ")[0]
    for route, _acts in routes():
        resource, _, act = (
            route.strip("^$").replace("(?P<pk>[^/]+)/", "7/").rstrip("/").partition("/7/")
        )
        assert f"{resource.partition('/')[0]}/" in table, route
        assert not act or f"/{act}/`" in table, route
    for name in SelectionSerializer().fields:
        assert f"`{name}`" in GUIDE
    for scope, rate in RATES.items():
        assert f"`{scope}` ({rate})" in GUIDE


def test_the_description_is_openapi_3_1_with_words_for_everything(root):
    document = json.loads(root.get("/webhooks/api/schema/").content)

    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": "/webhooks/api"}]
    operations = [each for path in document["paths"].values() for each in path.values()]
    assert all(each["operationId"] and each["summary"] for each in operations)
    problems = [each["responses"]["403"]["content"] for each in operations]
    assert {kind for each in problems for kind in each} == {"application/problem+json"}
    posts = [path["post"] for path in document["paths"].values() if "post" in path]
    assert sum("examples" in json.dumps(each.get("requestBody")) for each in posts) >= 15
    assert sum("links" in json.dumps(each["responses"]) for each in operations) >= 8


def test_the_projects_own_description_is_left_alone(db):
    from drf_spectacular.settings import spectacular_settings

    described.cache_clear()
    before = spectacular_settings.TITLE, spectacular_settings.OAS_VERSION
    described("/elsewhere/", "en")

    assert before == (spectacular_settings.TITLE, spectacular_settings.OAS_VERSION)


@pytest.mark.parametrize("missing", ["rest_framework", "django_filters", "drf_spectacular"])
def test_the_app_works_without_the_extra_and_its_api_says_what_it_needs(missing):
    code = f"""
import sys
sys.modules[{missing!r}] = None
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=[
    "django.contrib.auth", "django.contrib.contenttypes", "django_q", "webhook_delivery",
], SECRET_KEY="x", DATABASES={{}}, Q_CLUSTER={{"orm": "default"}})
django.setup()
import webhook_delivery.publishing, webhook_delivery.redelivery
try:
    import webhook_delivery.api.urls
except Exception as error:
    print(type(error).__name__, error)
"""
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=BASE_DIR
    )

    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("ImproperlyConfigured The API needs")
    assert "django-webhook-delivery[api]" in told.stdout
