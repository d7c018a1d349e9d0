-- Turns the three big tables into partitioned ones, on PostgreSQL 14 or newer. docs/retention.md says what
-- is gained and lost. psql --set=ON_ERROR_STOP=1 --set=step=1000000 --file=partitioning.sql
-- Stop the workers first. What is there becomes the first partition of each table; nothing is copied.
BEGIN;
SET LOCAL lock_timeout = '10s';
-- Who publishes or acts waits until the end: of what came meanwhile, neither key nor number would be known.
LOCK TABLE webhook_delivery_event, webhook_delivery_delivery, webhook_delivery_attempt IN ACCESS EXCLUSIVE MODE;

-- What the partitions cannot promise together is promised by a table of its own: one event for one key.
CREATE TABLE webhook_delivery_key (
  tenant varchar(100) NOT NULL, idempotency_key varchar(200) NOT NULL, event_id uuid NOT NULL,
  PRIMARY KEY (tenant, idempotency_key));
INSERT INTO webhook_delivery_key SELECT tenant, idempotency_key, id FROM webhook_delivery_event
  WHERE idempotency_key IS NOT NULL;

-- Foreign keys between the three go: who deletes a partition must not be asked row by row.
DO $$ DECLARE each record; BEGIN
  FOR each IN SELECT conrelid::regclass AS of, conname FROM pg_constraint WHERE contype = 'f' AND confrelid IN
      ('webhook_delivery_event'::regclass, 'webhook_delivery_delivery'::regclass) LOOP
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', each.of, each.conname);
  END LOOP;
END $$;

-- Where the first partitions end: above all that there is. Event ids begin with their milliseconds.
CREATE FUNCTION webhook_delivery_first_at(moment timestamptz) RETURNS uuid LANGUAGE sql STABLE AS $$
  SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid $$;
SELECT coalesce(max(id), 0) + 1 AS last FROM webhook_delivery_delivery \gset
SELECT date_trunc('day', now()) + interval '1 day' AS tomorrow \gset
SELECT webhook_delivery_first_at(:'tomorrow') AS midnight \gset

ALTER TABLE webhook_delivery_event RENAME TO webhook_delivery_event_old;
ALTER TABLE webhook_delivery_delivery RENAME TO webhook_delivery_delivery_old;
ALTER TABLE webhook_delivery_attempt RENAME TO webhook_delivery_attempt_old;

CREATE TABLE webhook_delivery_event (LIKE webhook_delivery_event_old INCLUDING DEFAULTS)
  PARTITION BY RANGE (id);
CREATE TABLE webhook_delivery_delivery (LIKE webhook_delivery_delivery_old INCLUDING DEFAULTS)
  PARTITION BY RANGE (id);
CREATE TABLE webhook_delivery_attempt (LIKE webhook_delivery_attempt_old INCLUDING DEFAULTS)
  PARTITION BY RANGE (delivery_id);

-- Numbers go on where they were.
CREATE SEQUENCE webhook_delivery_delivery_number OWNED BY webhook_delivery_delivery.id;
CREATE SEQUENCE webhook_delivery_attempt_number OWNED BY webhook_delivery_attempt.id;
SELECT setval('webhook_delivery_delivery_number', :last);
SELECT setval('webhook_delivery_attempt_number', (SELECT coalesce(max(id), 0) + 1 FROM webhook_delivery_attempt_old));
ALTER TABLE webhook_delivery_delivery_old ALTER id DROP IDENTITY;
ALTER TABLE webhook_delivery_attempt_old ALTER id DROP IDENTITY;
ALTER TABLE webhook_delivery_delivery ALTER id SET DEFAULT nextval('webhook_delivery_delivery_number');
ALTER TABLE webhook_delivery_attempt ALTER id SET DEFAULT nextval('webhook_delivery_attempt_number');

-- A check that was validated spares the attaching another look at each row.
ALTER TABLE webhook_delivery_event_old ADD CHECK (id < :'midnight'::uuid);
ALTER TABLE webhook_delivery_delivery_old ADD CHECK (id <= :last);
ALTER TABLE webhook_delivery_attempt_old ADD CHECK (delivery_id <= :last);
ALTER TABLE webhook_delivery_event ATTACH PARTITION webhook_delivery_event_old
  FOR VALUES FROM (MINVALUE) TO (:'midnight');
ALTER TABLE webhook_delivery_delivery ATTACH PARTITION webhook_delivery_delivery_old
  FOR VALUES FROM (MINVALUE) TO (:last + 1);
ALTER TABLE webhook_delivery_attempt ATTACH PARTITION webhook_delivery_attempt_old
  FOR VALUES FROM (MINVALUE) TO (:last + 1);

-- The same indexes above; those that the old tables have are taken over, not built again.
ALTER TABLE webhook_delivery_event ADD PRIMARY KEY (id);
ALTER TABLE webhook_delivery_delivery ADD PRIMARY KEY (id);
CREATE INDEX ON webhook_delivery_event (event_type, created_at);
CREATE INDEX ON webhook_delivery_event (source);
CREATE INDEX ON webhook_delivery_delivery (state, due_at);
CREATE INDEX ON webhook_delivery_delivery (endpoint_id, state, due_at);
CREATE INDEX ON webhook_delivery_delivery (created_at);
CREATE INDEX ON webhook_delivery_delivery (event_type varchar_pattern_ops, state, ended_at, endpoint_id);
CREATE INDEX ON webhook_delivery_delivery (state, endpoint_id, sequence, id) WHERE sequence IS NOT NULL;
CREATE INDEX ON webhook_delivery_delivery (state, ended_at, id)
  WHERE state = 'delivered' OR state = 'dead' OR state = 'discarded';
CREATE INDEX ON webhook_delivery_delivery (endpoint_id, reason, last_status, ended_at) WHERE state = 'dead';
CREATE INDEX ON webhook_delivery_delivery (reason, id) WHERE reason > '';
ALTER TABLE webhook_delivery_attempt ADD UNIQUE (delivery_id, number);
CREATE INDEX ON webhook_delivery_attempt (id);

-- “One delivery of an event to an endpoint” holds within a partition; across them, by the code alone.
CREATE FUNCTION webhook_delivery_next(name text, low text, high text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
  EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
    'webhook_delivery_' || name || '_' || replace(low, '-', ''), 'webhook_delivery_' || name, low, high);
  IF name = 'delivery' THEN
    EXECUTE format('CREATE UNIQUE INDEX ON %I (event_id, endpoint_id)', 'webhook_delivery_delivery_' || low);
  END IF;
END $$;
SELECT webhook_delivery_next(name, (:last + 1 + n * :step)::text, (:last + 1 + (n + 1) * :step)::text)
  FROM generate_series(0, 3) n, unnest(ARRAY['delivery', 'attempt']) name;
SELECT webhook_delivery_next('event', webhook_delivery_first_at(:'tomorrow'::timestamptz + n * interval '1 day')::text,
    webhook_delivery_first_at(:'tomorrow'::timestamptz + (n + 1) * interval '1 day')::text)
  FROM generate_series(0, 13) n;

-- A key that was used is passed over, as ON CONFLICT DO NOTHING does: our code then looks who used it.
CREATE FUNCTION webhook_delivery_take_key() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO webhook_delivery_key VALUES (NEW.tenant, NEW.idempotency_key, NEW.id) ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN RETURN NULL; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER take_key BEFORE INSERT ON webhook_delivery_event FOR EACH ROW
  WHEN (NEW.idempotency_key IS NOT NULL) EXECUTE FUNCTION webhook_delivery_take_key();
CREATE INDEX ON webhook_delivery_event (tenant, idempotency_key);
COMMIT;
