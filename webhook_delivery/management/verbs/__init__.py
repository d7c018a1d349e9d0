"""The verbs of `manage.py webhooks`, each a class; a new one is written beside them and listed."""

from webhook_delivery.management.verbs.acting import Discard, Restore, RetryNow
from webhook_delivery.management.verbs.describing import Catalogue, Config
from webhook_delivery.management.verbs.failures import Acknowledge, Groups, Reopen
from webhook_delivery.management.verbs.forwarding import Forward
from webhook_delivery.management.verbs.keeping import Erase, Prune
from webhook_delivery.management.verbs.keys import RotateKeys, RotateSecret
from webhook_delivery.management.verbs.log import Export, Verify
from webhook_delivery.management.verbs.looking import Health, List, Retries, Show
from webhook_delivery.management.verbs.people import CreateGroups
from webhook_delivery.management.verbs.receivers import Endpoints
from webhook_delivery.management.verbs.redeliveries import Redeliveries, Redelivery
from webhook_delivery.management.verbs.redelivering import Recover, Redeliver
from webhook_delivery.management.verbs.sending import Drain, SendTest
from webhook_delivery.management.verbs.switching import Pause, Resume, SwitchOff
from webhook_delivery.management.verbs.tailing import Tail
from webhook_delivery.management.verbs.verb import Verb

VERBS: list[type[Verb]] = [
    Drain,
    Redeliver,
    Recover,
    RetryNow,
    Redelivery,
    Forward,
    SendTest,
    List,
    Show,
    Tail,
    Retries,
    Endpoints,
    Groups,
    Redeliveries,
    Health,
    Config,
    Catalogue,
    Discard,
    Restore,
    Acknowledge,
    Reopen,
    Pause,
    Resume,
    SwitchOff,
    RotateSecret,
    Verify,
    Export,
    Prune,
    Erase,
    RotateKeys,
    CreateGroups,
]
"""In the order in which the help lists them, group by group."""

__all__ = ["VERBS", "Verb"]
