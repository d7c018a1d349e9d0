"""Says whether deliveries flow: each fault found, in words, with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC

from django.db import DatabaseError, InterfaceError, router
from django.utils.translation import gettext as _

from webhook_delivery import retention, symptoms
from webhook_delivery.conf import settings
from webhook_delivery.models import Delivery, Endpoint, Lane
from webhook_delivery.models.lane import warned
from webhook_delivery.pulse import OVERSTAYED_DAYS, Pulse, feel
from webhook_delivery.resealing import unopenable
from webhook_delivery.scheduling import schedules
from webhook_delivery.symptoms import Illness

LOOKED_AT, NAMED = 1000, 5
"""Of how many endpoints it is asked whether their secrets can be opened; and how many are named."""
STAND_INS = 2
"""After a standstill the first drain stands in for the sweep; a second one should not have to."""


def examine(*, using: str | None = None) -> list[Illness]:
    """Look for what keeps deliveries from flowing; an empty list means that they flow."""
    using = using or router.db_for_write(Delivery)
    try:
        pulse = feel(using=using)
        silent = [*_silence(pulse)]
        flow = silent or [*_unanswered(pulse)] or [*_late(pulse), *symptoms.stuck(using)]
        net = [*_off(), *_poisoned()] or ([] if silent else [*_unswept(pulse)])
        rows = [*symptoms.of_rows(using), *_overstayed(pulse)]
        return [*flow, *net, *_shut(using), *rows]
    except (DatabaseError, InterfaceError) as error:
        return [_database(error)]


def remarks(*, using: str | None = None) -> list[str]:
    """Say what is no illness of ours, and should be known: endpoints that have failed for long."""
    using = using or router.db_for_write(Delivery)
    on = Lane.objects.using(using).filter(endpoint__state=Endpoint.State.ON)
    ill = on.filter(warned()).order_by("failing_since", "pk")
    try:
        return [_remark(lane) for lane in ill.select_related("endpoint")[:NAMED]]
    except (DatabaseError, InterfaceError):
        return []


def _remark(lane: Lane) -> str:
    assert lane.failing_since is not None
    since = f"{lane.failing_since.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    facts = {"number": lane.pk, "name": lane.endpoint, "since": since}
    return _("Endpoint %(number)s (%(name)s) has failed since %(since)s.") % facts


def glance(*, using: str) -> list[Illness]:
    """Look only whether anything runs, in time, and retention with it; in one statement."""
    pulse = feel(using=using)
    flow = [*_silence(pulse)] or [*_unanswered(pulse)] or [*_late(pulse)]
    return flow or [*_overstayed(pulse)]


def _database(error: Exception) -> Illness:
    return Illness(
        "database",
        _("The database does not answer: %s.") % str(error).strip(),
        _("Run `manage.py migrate` if it is new; else see whether it is up."),
    )


def _silence(pulse: Pulse) -> Iterator[Illness]:
    never, seconds = _("Nothing has ever drained."), pulse.drained
    if pulse.silent:
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


def _overstayed(pulse: Pulse) -> Iterator[Illness]:
    for state in pulse.overstayed:
        facts = {"state": Delivery.State(state).label, "setting": retention.SETTING[state]}
        yield Illness(
            "retention",
            _("Some that are %(state)s are kept %(days)s days longer than %(setting)s says.")
            % {**facts, "days": OVERSTAYED_DAYS},
            _(
                "Run `manage.py webhooks prune`, and see what it says; a worker prunes each "
                "minute, for a while."
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
