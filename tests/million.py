"""A PostgreSQL that has delivered for months: a million deliveries, a tenth of them dead."""

from __future__ import annotations

from django.db import connection

ENDPOINTS = """
INSERT INTO webhook_delivery_endpoint (name, url, tenant, state, state_reason, off_by_itself,
  ordered, format, sealed_headers, ca_bundle, sealed_client_certificate, tls_minimum, created_at,
  updated_at)
SELECT 'customer-' || n, 'https://customer-' || n || '.example/hooks/in', '',
  CASE WHEN n %% 97 = 0 THEN 'off' WHEN n %% 89 = 0 THEN 'paused' ELSE 'on' END,
  CASE WHEN n %% 97 = 0 THEN '410 Gone' ELSE '' END, n %% 97 = 0,
  false, 'standard', '', '', '', '1.2', now(), now()
FROM generate_series(1, 2000) n
"""
EVENTS = """
INSERT INTO webhook_delivery_event (id, event_type, tenant, key, source, content_type, body,
  created_at)
SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0')
    || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5('b' || n), 1, 15))::uuid,
  (ARRAY['order.created', 'order.paid', 'order.shipped', 'invoice.paid', 'invoice.sent',
         'customer.updated', 'customer.created', 'stock.changed'])[1 + n %% 8],
  '', '', 'shop.order:' || n, 'application/json', convert_to(repeat('x', 200), 'UTF8'), moment
FROM (SELECT n, now() - interval '90 days' * (1 - n / %(rows)s::float) AS moment
      FROM generate_series(1, %(rows)s) n) numbered
"""
DELIVERIES = """
INSERT INTO webhook_delivery_delivery (event_id, event_type, endpoint_id, state, due_at, trigger,
  format, attempts_made, attempts_forgiven, last_status, reason, created_at, ended_at)
SELECT id, event_type, first + (random() ^ 3 * 1999)::int, state,
  CASE state WHEN 'pending' THEN now() + interval '1 hour' * random() - interval '1 minute' END,
  'schedule', 'standard', CASE state WHEN 'dead' THEN 10 WHEN 'held' THEN 0 ELSE 1 END, 0,
  CASE state WHEN 'delivered' THEN 200 WHEN 'held' THEN NULL ELSE status END,
  CASE WHEN state IN ('delivered', 'held') THEN '' WHEN status = 503 THEN 'http_5xx'
       WHEN status = 404 THEN 'http_4xx' ELSE 'timeout' END,
  created_at,
  CASE WHEN state IN ('delivered', 'dead') THEN created_at + interval '1 minute' END
FROM (
  SELECT id, event_type, created_at,
    CASE WHEN chance < 0.1 THEN 'dead' WHEN chance < 0.115 THEN 'pending'
         WHEN chance < 0.12 THEN 'held' ELSE 'delivered' END AS state,
    (ARRAY[503, 404, NULL])[1 + (chance * 1000)::int %% 3] AS status,
    (SELECT min(id) FROM webhook_delivery_endpoint) AS first
  FROM (SELECT *, random() AS chance FROM webhook_delivery_event ORDER BY id) e
) made
"""
ATTEMPTS = """
INSERT INTO webhook_delivery_attempt (delivery_id, number, trigger, started_at, duration_ms,
  status, fault, detail, excerpt, verdict)
SELECT id, attempts_made, 'schedule', created_at, 5 + (random() * 500)::int, last_status, reason,
  '', '', CASE state WHEN 'pending' THEN 'retry' ELSE state END
FROM webhook_delivery_delivery WHERE attempts_made > 0 ORDER BY id
"""
STATS = """
INSERT INTO webhook_delivery_endpointstat (endpoint_id, hour, delivered, failed, dead, durations,
  answers)
SELECT e.id, date_trunc('hour', now()) - interval '1 hour' * h, 20, 2, 1,
  '[1, 2, 3, 4, 5, 4, 3, 0, 0, 0, 0, 0, 0]', '{"200": 20, "503": 2}'
FROM webhook_delivery_endpoint e, generate_series(0, %(hours)s) h
"""
KEYS = """
INSERT INTO webhook_delivery_searchkey (event_id, key, value)
SELECT id, 'order_id', substr(source, 12) FROM webhook_delivery_event
"""


EMPTY = "TRUNCATE webhook_delivery_endpoint, webhook_delivery_event CASCADE"


def fill(rows: int, *, hours: int = 24 * 7) -> None:
    """Write so many deliveries, and what belongs to them; then let PostgreSQL look at them."""
    with connection.cursor() as cursor:
        for sql in (ENDPOINTS, EVENTS, DELIVERIES, ATTEMPTS, STATS, KEYS):
            cursor.execute(sql, {"rows": rows, "hours": hours})
        cursor.execute("VACUUM ANALYZE")


def empty() -> None:
    """Take it away at once: row by row, ten million take minutes."""
    with connection.cursor() as cursor:
        cursor.execute(EMPTY)
