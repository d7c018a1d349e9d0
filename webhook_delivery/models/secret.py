"""The secrets that receivers share with us, sealed at rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from webhook_delivery import keys
from webhook_delivery.clock import Now
from webhook_delivery.models.endpoint import MYPY, Endpoint
from webhook_delivery.models.home import home_of
from webhook_delivery.signing import key_of


class SecretQuerySet(models.QuerySet["Secret"]):
    def live(self) -> Self:
        """Secrets that sign now, the newest first."""
        return self.filter(Q(valid_until=None) | Q(valid_until__gt=Now())).order_by("-pk")


class Secret(models.Model):
    """A signing secret of an endpoint, sealed at rest; several live ones overlap in a rotation."""

    if TYPE_CHECKING and not MYPY:
        id: int
        endpoint_id: int
        objects: ClassVar[SecretQuerySet]

    endpoint = models.ForeignKey(Endpoint, models.CASCADE, related_name="secrets")
    sealed = models.BinaryField(_("sealed secret"))
    valid_until = models.DateTimeField(_("valid until"), null=True, blank=True)
    """Until when it signs; NULL: until it is replaced."""
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    objects = SecretQuerySet.as_manager()

    class Meta:
        verbose_name = _("secret")
        verbose_name_plural = _("secrets")
        permissions = [
            ("reveal_secret", _("Can see signing secrets")),
            ("rotate_secret", _("Can rotate signing secrets")),
        ]

    def __str__(self) -> str:
        return f"secret {self.pk}"

    @classmethod
    @sensitive_variables()
    def keep(cls, endpoint: Endpoint, secret: str, *, using: str | None = None) -> Secret:
        """
        Seal a `whsec_` or `whsk_` secret for the endpoint and store it.

        using: as of `Endpoint.set_headers`.

        Raises `signing.InvalidSecret` for one that could not sign.
        """
        key_of(secret)
        sealed = keys.seal(secret, owner=endpoint.pk)
        rows = cls.objects.using(using or home_of(endpoint))
        return rows.create(endpoint_id=endpoint.pk, sealed=sealed)

    def reveal(self) -> str:
        """Return the text, `whsec_` or `whsk_`, or raise `keys.SecretUnavailable`."""
        return keys.unseal(bytes(self.sealed), owner=self.endpoint_id)
