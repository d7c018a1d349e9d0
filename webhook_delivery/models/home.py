"""Where a row is changed, wherever it was read."""

from __future__ import annotations

from django.db import router
from django.db.models import Model


def home_of(row: Model) -> str:
    """
    The database to change a row in: the one that it is in, unless a router reads from replicas.

    Not simply where the router writes: rows of a database that was named stay there, for another
    of their number may lie where the router writes.
    """
    model = type(row)
    writes = router.db_for_write(model, instance=row)
    reads = router.db_for_read(model, instance=row)
    return writes if reads != writes else row._state.db or writes
