"""What may be set in `settings.WEBHOOK_DELIVERY`: each name, its type, its default and its unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings as django_settings

MINUTE, HOUR = 60, 3600


class Settings:
    """Typed defaults, looked up live, so that `override_settings` just works."""

    RETRY_SCHEDULE: Sequence[float] = (
        5,
        5 * MINUTE,
        30 * MINUTE,
        2 * HOUR,
        5 * HOUR,
        10 * HOUR,
        14 * HOUR,
        20 * HOUR,
        24 * HOUR,
    )
    """Seconds to wait before each retry; ten attempts over 75 h 35 min, as the Standard Webhooks
    specification 1.0.0 suggests. An endpoint's own schedule, or its event type's, comes first."""

    RETRY_SCHEDULES: Mapping[str, Sequence[float]] = {}
    """Schedules by event type or pattern, `{"order.*": [1, 10, 60]}`; the most exact one wins."""

    RETRY_JITTER: float = 0.2
    """Each wait is lengthened at random by up to this share; never shortened."""

    RETRY_AFTER_CAP_SECONDS: float = 24 * HOUR
    """The longest wait a receiver may ask for with `Retry-After`."""

    RETRY_CLIENT_ERRORS: bool = False
    """Whether 3xx and 4xx answers are retried like 5xx ones, instead of being dead at once."""

    TIMEOUT_SECONDS: float = 15
    """How long one attempt may take in all; an endpoint may set its own."""

    MAX_TIMEOUT_SECONDS: float = 30
    """The longest timeout an endpoint may set; a claim lasts this long and the margin."""

    LEASE_MARGIN_SECONDS: float = 15
    """How long a claim outlives the longest attempt, to record what was found."""

    CONCURRENCY: int = 32
    """Requests that one drain keeps in flight, besides those that wait for slow receivers."""

    MAX_THREADS: int = 256
    """Requests that one drain has in flight at most, those that wait for slow receivers too."""

    MAX_IN_FLIGHT: int = 256
    """Requests to one endpoint at once, from all drains; an endpoint may set its own."""

    BREAKER_FAILURES: int = 10
    """After so many failures in a row, an endpoint is sent nothing for a while, then one probe."""

    BREAKER_SECONDS: float = 5
    """How long that while is, the first time; each failed probe doubles it."""

    BREAKER_MAX_SECONDS: float = 5 * MINUTE
    """The longest that while can become, and the longest pause a busy receiver is granted."""

    WARN_AFTER_SECONDS: float = 24 * HOUR
    """How long an endpoint may fail until `endpoint_warned` is sent; 0: it never is."""

    DISABLE_AFTER_SECONDS: float = 5 * 24 * HOUR
    """How long an endpoint may fail until it is switched off; 0: for ever."""

    OPERATIONAL_TENANT: str | None = None
    """The tenant whose endpoints hear of `endpoint.disabled`, `delivery.dead` and the like; one of
    its own, for nothing is told of its own endpoints. None: nobody is told."""

    CONTACT_SECONDS: float = HOUR
    """How long after one mail to an endpoint's contact no other of its kind is written."""

    HELD_AT_MOST_SECONDS: float = 30 * 24 * HOUR
    """How old what was held may be when its endpoint is on again; what is older is dead, as
    `lapsed`, and can be redelivered; 0: for ever."""

    DRAIN_SECONDS: float = 20
    """How long one drain task runs before it hands over, so that other tasks get their turn."""

    INLINE: bool = False
    """Whether the first attempt is made in the publishing process, right after its commit."""

    MAX_PAYLOAD_BYTES: int = 256 * 1024
    """Larger bodies are refused at publish."""

    VALIDATE_EVENTS: str | None = None
    """What is refused at publish: `"schema"`, data that does not fit the schema of its type in the
    catalogue; `"catalogue"`, types that are not in the catalogue, too; None: neither."""

    ALLOW_HTTP: bool = False
    """Whether endpoints may use plain `http://`. For development."""

    ALLOWED_NETWORKS: Sequence[str] = ()
    """Private networks that endpoints may live in, as CIDRs: `["10.1.0.0/16"]`."""

    ALLOWED_PORTS: Sequence[int] = (80, 443)
    """Ports that endpoints may use; an empty sequence allows every port."""

    EGRESS_PROXY: str | None = None
    """An HTTP proxy that all requests go through, `http://proxy.internal:4750`; it resolves the
    names then, and has to refuse private addresses itself. The environment is never asked."""

    HEADER_PREFIX: str = "webhook-"
    """What the names of the signature's headers begin with; another is not Standard Webhooks."""

    CLOUDEVENTS_SOURCE: str = "/webhooks"
    """The `source` of what is sent as CloudEvents: a URI that says where the events come from.
    It is read at each attempt: change it while retries wait, and they send other bytes."""

    SECRET_KEYS: Sequence[str] = ()
    """Fernet keys that seal secrets at rest, newest first. Derived from `SECRET_KEY` if empty."""

    CLUSTER: str | None = None
    """The django-q2 cluster that drains; the default cluster if none is named."""

    SCHEDULES: bool = True
    """Whether the recurring django-q2 schedules are created after `migrate`."""

    HEALTH_SILENCE_SECONDS: float = 180
    """How long nothing may have drained before `webhooks health` fails."""

    CONSOLE_TIMEOUT_SECONDS: float = 3
    """How long one query may take of a list in the console or the API, or for the metrics;
    PostgreSQL stops it then."""

    CONSOLE_TENANTS: str | None = None
    """The dotted path of a function that is given a user, and returns the tenants of which the
    console and the API show that user something; None: of all."""

    CONFIRM_TYPED_ABOVE: int = 1000
    """Above so many, who redelivers types the number, so that nobody sends thousands by a slip."""

    SEARCH_KEYS: Mapping[str, str] = {}
    """By what events can be searched: a name, and where in the body its value is, as in
    `{"order_id": "data.order.id"}`. It is stored with each event, by one statement more."""

    HEALTH_LATE_SECONDS: float = 120
    """How late the oldest due delivery may be before `webhooks health` fails."""

    METRICS_TOKEN: str | None = None
    """The bearer token with which Prometheus may scrape; None: only staff who may view deliveries
    see the metrics."""

    METRICS_ENDPOINTS: int = 0
    """Of how many endpoints, the busiest, metrics tell by name; 0: of none."""

    PROPAGATE_TRACE: bool = False
    """Whether receivers are sent the trace that an event was published in, as `traceparent`."""

    RETAIN_DELIVERED_DAYS: float | None = 30
    """After so many days a delivered delivery is deleted with its log, and an event that nothing is
    owed of any more; None: never."""

    RETAIN_DEAD_DAYS: float | None = 90
    """After so many days a dead or discarded delivery is deleted with its log; None: never."""

    RETAIN_BODIES_DAYS: float | None = None
    """After so many days an event's body is emptied, once all its deliveries have ended: none of
    them can be redelivered then. None: it goes with the event."""

    RETAIN_KEYS_DAYS: float | None = 90
    """For so many days an idempotency key is kept at least, though its event be gone; None: for
    ever."""

    RETAIN_AUDIT_DAYS: float | None = 365
    """After so many days it is forgotten what people did, and what they were told: console actions,
    redeliveries of many of which no delivery is left, and mails; None: never."""

    RETAIN_STATS_DAYS: float | None = 90
    """After so many days the hourly figures of endpoints are deleted; None: never."""

    def __getattribute__(self, name: str) -> Any:
        default = object.__getattribute__(self, name)
        if not name.isupper():
            return default
        return getattr(django_settings, "WEBHOOK_DELIVERY", {}).get(name, default)


settings = Settings()

KNOWN = frozenset(name for name in vars(Settings) if name.isupper())
SECRET = frozenset({"EGRESS_PROXY", "METRICS_TOKEN", "SECRET_KEYS"})
"""Those that hold a key, or may hold a password: their values are shown to nobody."""
