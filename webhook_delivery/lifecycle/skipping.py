"""Finds what is due first to each of many endpoints where MySQL must be led through its index."""

from __future__ import annotations

from django.db import connections
from django.db.models import Min

from webhook_delivery.models import Delivery, DeliveryQuerySet

BY_OWN_INDEX = """
SELECT endpoint, (
  SELECT id FROM {table} FORCE INDEX (webhook_delivery_lane_idx)
  WHERE endpoint_id = endpoint AND state = %s AND due_at = earliest LIMIT 1
) FROM ({earliest}) firsts
"""


def firsts(rows: DeliveryQuerySet) -> dict[int, int]:
    """
    For each endpoint that some of these pending rows are owed to, the one that is due first.

    A subquery that puts an endpoint's rows in order may read the whole table, once for each of
    them. The least of each MySQL finds by skipping from endpoint to endpoint. Of what is due at the
    same moment, which may be very much, one is read.
    """
    earliest = rows.order_by().values("endpoint").annotate(earliest=Min("due_at"))
    sql, values = earliest.query.get_compiler(rows.db).as_sql()
    table = Delivery._meta.db_table
    with connections[rows.db].cursor() as cursor:
        asked = BY_OWN_INDEX.format(table=table, earliest=sql)
        cursor.execute(asked, [Delivery.State.PENDING, *values])
        return dict(cursor.fetchall())
