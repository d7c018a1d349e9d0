"""The same for `TestCase` classes of Django."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar
from unittest import TestResult

from webhook_delivery.testing.webhooks import Webhooks

if TYPE_CHECKING:
    from django.test import TransactionTestCase

    from webhook_delivery.models import Delivery, Endpoint
    from webhook_delivery.testing.published import Published

    Base = TransactionTestCase
else:
    Base = object


class WebhooksMixin(Base):
    """
    `class OrderTests(WebhooksMixin, TestCase)`: gives each test `self.webhooks`.

    It is there before `setUp`, which need not call `super()`.

    validate_webhooks: whether what is published must fit the catalogue.
    """

    webhooks: Webhooks
    validate_webhooks: ClassVar[bool] = True

    def run(self, result: TestResult | None = None) -> TestResult | None:
        with self._caught():
            return super().run(result)

    def debug(self) -> None:
        with self._caught():
            super().debug()

    @contextmanager
    def _caught(self) -> Iterator[None]:
        """Only as a cleanup, what does not fit is a failure of this test, and not of the run."""
        with Webhooks(validate=self.validate_webhooks) as self.webhooks:
            self.addCleanup(self.webhooks.assert_fit)
            yield

    def assert_webhook_sent(
        self,
        event_type: str,
        *,
        times: int | None = None,
        tenant: str | None = None,
        to: Endpoint | None = None,
        **lookups: Any,
    ) -> Published:
        """Fail unless such an event was published; as `Webhooks.assert_sent`."""
        return self.webhooks.assert_sent(event_type, times=times, tenant=tenant, to=to, **lookups)

    def assert_webhook_not_sent(
        self,
        event_type: str = "*",
        *,
        tenant: str | None = None,
        to: Endpoint | None = None,
        **lookups: Any,
    ) -> None:
        """Fail if such an event was published; as `Webhooks.assert_not_sent`."""
        self.webhooks.assert_not_sent(event_type, tenant=tenant, to=to, **lookups)

    def drain_webhooks(self) -> list[Delivery]:
        """Send what is due, through memory; as `Webhooks.drain`."""
        return self.webhooks.drain()
