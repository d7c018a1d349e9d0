"""Says whether deliveries flow: each fault found, in words, with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, timedelta
from typing import Any

from django.db import DatabaseError, InterfaceError, router
from django.db.models import Q
from django.utils.translation import gettext as _

from webhook_delivery.claims import lease_seconds
from webhook_delivery.clock import Now
from webhook_delivery.conf import settings
from webhook_delivery.models import Delivery, DeliveryQuerySet, Endpoint, Lane
from webhook_delivery.pulse import Pulse, feel
from webhook_delivery.resealing import unopenable
from webhook_delivery.scheduling import schedules

LONGEST_WAIT_SECONDS = 604_800
"""What a retry schedule may have at most."""
LOOKED_AT, NAMED = 1000, 5
"""Of how many endpoints it is asked whether their secrets can be opened, and of how many deliveries
whether they are too late; and how many are named."""
COUNTED = 100
"""Of rows that are wrong, no more are counted."""
SLACK_SECONDS = 60
"""How far a moment may lie beyond the longest wait before a clock is blamed."""
STAND_INS = 2
"""After a standstill the first drain stands in for the sweep; a second one should not have to."""


@dataclass(frozen=True, slots=True)
class Illness:
    """One thing that is wrong: a short code, what was seen, and the remedy."""

    code: str
    seen: str
    remedy: str
    restart: bool = False
    """Whether the remedy is to restart the worker: what a watchdog may do by itself."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def examine(*, using: str | None = None) -> list[Illness]:
    """Look for what keeps deliveries from flowing; an empty list means that they flow."""
    using = using or router.db_for_write(Delivery)
    try:
        pulse = feel(using=using)
        silent = [*_silence(pulse)]
        flow = silent or [*_unanswered(pulse)] or [*_late(pulse), *_stuck(using)]
        net = [*_off(), *_poisoned()] or ([] if silent else [*_unswept(pulse)])
        return [*flow, *net, *_shut(using), *_far_off(using), *_unreachable(using)]
    except (DatabaseError, InterfaceError) as error:
        return [_database(error)]


def remarks(*, using: str | None = None) -> list[str]:
    """Say what is no illness of ours, and should be known: endpoints that have failed for long."""
    using = using or router.db_for_write(Delivery)
    on = Lane.objects.using(using).filter(endpoint__state=Endpoint.State.ON)
    warned = on.filter(warned_at__isnull=False).order_by("failing_since", "pk")
    try:
        return [_remark(lane) for lane in warned.select_related("endpoint")[:NAMED]]
    except (DatabaseError, InterfaceError):
        return []


def _remark(lane: Lane) -> str:
    assert lane.failing_since is not None
    since = f"{lane.failing_since.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    facts = {"number": lane.pk, "name": lane.endpoint, "since": since}
    return _("Endpoint %(number)s (%(name)s) has failed since %(since)s.") % facts


def glance(*, using: str) -> list[Illness]:
    """Look only whether anything runs, and in time; in one statement."""
    pulse = feel(using=using)
    return [*_silence(pulse)] or [*_unanswered(pulse)] or [*_late(pulse)]


def _database(error: Exception) -> Illness:
    return Illness(
        "database",
        _("The database does not answer: %s.") % str(error).strip(),
        _("Run `manage.py migrate` if it is new; else see whether it is up."),
    )


def _silence(pulse: Pulse) -> Iterator[Illness]:
    never, seconds = _("Nothing has ever drained."), pulse.drained
    if seconds is None or seconds > settings.HEALTH_SILENCE_SECONDS:
        yield Illness(
            "silence",
            never if seconds is None else _("Nothing has drained for %d seconds.") % seconds,
            _(
                "Start a worker: `%s`, or `manage.py webhooks drain --loop`. "
                "If one runs, it is frozen: restart it."
            )
            % _cluster(),
            restart=True,
        )


def _unanswered(pulse: Pulse) -> Iterator[Illness]:
    if pulse.ringing is not None and pulse.ringing > settings.HEALTH_LATE_SECONDS:
        yield Illness(
            "unanswered",
            _("The doorbell has rung for %d seconds: queued tasks are not taken.") % pulse.ringing,
            _("Restart the cluster, or start `%s`; see whether django-q2's broker is up.")
            % _cluster(),
            restart=True,
        )


def _cluster() -> str:
    """The command that starts the cluster which takes our tasks."""
    named = f"Q_CLUSTER_NAME={settings.CLUSTER} " if settings.CLUSTER else ""
    return f"{named}manage.py qcluster"


def _late(pulse: Pulse) -> Iterator[Illness]:
    if pulse.late is not None and pulse.late > settings.HEALTH_LATE_SECONDS:
        yield Illness(
            "late",
            _("The oldest due delivery is %d seconds late.") % pulse.late,
            _("Start more workers, or look for an endpoint that answers slowly."),
        )


def _stuck(using: str) -> Iterator[Illness]:
    if count := _count(Delivery.objects.using(using).stuck()):
        yield Illness(
            "stuck",
            _("%s claims have outlived their lease: their workers were lost.") % count,
            _(
                "The next drain takes them over; start a worker if none runs. What stays: "
                "`manage.py webhooks verify --repair`."
            ),
        )


def _off() -> Iterator[Illness]:
    for name in schedules.missing():
        yield Illness(
            "schedule",
            _("The schedule “%s” is missing or switched off.") % name,
            _("Run `manage.py migrate`, or switch it on among django-q2's scheduled tasks."),
        )


def _poisoned() -> Iterator[Illness]:
    if names := schedules.poisoned():
        yield Illness(
            "poisoned",
            _("django-q2 cannot read the schedule “%s”, and stops every other with it.")
            % "”, “".join(names),
            _(
                "Correct its arguments (or install croniter, if it is of type cron), or delete it, "
                "among django-q2's scheduled tasks."
            ),
        )


def _unswept(pulse: Pulse) -> Iterator[Illness]:
    late = (pulse.swept or 0) > settings.HEALTH_SILENCE_SECONDS
    if settings.SCHEDULES and (late or pulse.stand_ins >= STAND_INS):
        yield Illness(
            "unswept",
            _("django-q2's scheduler does not run the sweep; drains do its work meanwhile."),
            _(
                "Restart the cluster. If that does not help: Q_CLUSTER['scheduler'] must be on in "
                "it, and the schedule's cluster must be its name."
            ),
        )


def _shut(using: str) -> Iterator[Illness]:
    """Looked for among those that something could not be sent to: for all, it would take long."""
    ill = Lane.objects.using(using).filter(openings__gt=0).order_by("-openings")
    ids = list(ill.values_list("pk", flat=True)[:LOOKED_AT])
    shut = unopenable(Endpoint.objects.using(using).on().filter(pk__in=ids)) if ids else []
    if shut:
        named = ", ".join(f"{each.pk} ({each})" for each in shut[:NAMED])
        yield Illness(
            "secret",
            _("Secrets cannot be opened, so what is owed is deferred, to endpoint %s.")
            % (f"{named} …" if shut[NAMED:] else named),
            _(
                "Put the key that sealed them back into SECRET_KEYS, or a former SECRET_KEY into "
                "SECRET_KEY_FALLBACKS, and restart the workers. If SECRET_KEYS was empty until "
                "now, run `manage.py webhooks rotate-keys`. If the key is lost, rotate their "
                "signing secrets in the admin."
            ),
        )


def _far_off(using: str) -> Iterator[Illness]:
    """A database whose clock was wrong for a while has written moments that will not come."""
    longest = max(LONGEST_WAIT_SECONDS, settings.RETRY_AFTER_CAP_SECONDS)
    deliveries = Delivery.objects.using(using)
    if count := _too_late(_beyond(deliveries.pending(), longest * (1 + settings.RETRY_JITTER))):
        yield Illness(
            "far_off",
            _("%s deliveries are due later than any wait allows: was a clock wrong?") % count,
            _("Run `manage.py webhooks verify --repair`: then they are due as their log says."),
        )
    if count := _count(_beyond(deliveries.sending(), lease_seconds())):
        yield Illness(
            "far_off",
            _("%s claims end later than any lease: was a clock set back?") % count,
            _(
                "If their workers are lost, they are taken over when that moment has come; if that "
                "is more than a day away, run `manage.py webhooks verify --repair`."
            ),
        )


def _beyond(rows: DeliveryQuerySet, seconds: float) -> DeliveryQuerySet:
    return rows.filter(due_at__gt=Now() + timedelta(seconds=seconds + SLACK_SECONDS))


def _too_late(rows: DeliveryQuerySet) -> str:
    """Of those that are due last, those that were not published for so late."""
    last = rows.order_by("-due_at").values_list("due_at", "event__deliver_at")[:LOOKED_AT]
    return _said(len([due for due, wished in last if not (due and wished and wished >= due)]))


def _unreachable(using: str) -> Iterator[Illness]:
    undated = Q(state="sending", due_at=None) | Q(state="pending", due_at=None, sequence=None)
    unclaimed = Q(state="sending", claim=None)
    if count := _count(Delivery.objects.using(using).filter(undated | unclaimed)):
        yield Illness(
            "unreachable",
            _("%s deliveries wait for no moment or no worker, and would wait for ever.") % count,
            _("Run `manage.py webhooks verify --repair`."),
        )


def _count(rows: DeliveryQuerySet) -> str:
    """How many, in words; empty if none, and never counting millions."""
    return _said(len(rows.order_by().values_list("pk")[: COUNTED + 1]))


def _said(counted: int) -> str:
    return (str(counted) if counted <= COUNTED else _("Over %d") % COUNTED) if counted else ""
