"""The verbs of `manage.py webhooks`, each a class; a new one is written beside them and listed."""

from webhook_delivery.management.verbs.describing import Catalogue
from webhook_delivery.management.verbs.keeping import Erase, Prune
from webhook_delivery.management.verbs.keys import RotateKeys
from webhook_delivery.management.verbs.log import Export, Verify
from webhook_delivery.management.verbs.looking import Health, List, Show
from webhook_delivery.management.verbs.people import CreateGroups
from webhook_delivery.management.verbs.sending import Drain, Redeliver, SendTest
from webhook_delivery.management.verbs.verb import Verb

VERBS: list[type[Verb]] = [
    Drain,
    List,
    Show,
    Redeliver,
    Health,
    SendTest,
    Verify,
    Export,
    Prune,
    Erase,
    RotateKeys,
    CreateGroups,
    Catalogue,
]
"""In the order in which the help lists them."""

__all__ = ["VERBS", "Verb"]
