-- The log of transitions, its lanes and partitions, and the view of one row a message and recipient.
--
-- Why by hand: Django declares no partitions and no triggers. The log is partitioned by expiry, so that what is over is
-- dropped as a whole and no row is ever deleted: the trigger refuses that to everybody, the owner included.
-- The chain is one for each lane (conversation, user, device, state): whoever writes a lane holds its member's row anyway,
-- so no two marks wait for each other because of the chain. Each row says in which partition the row before it stands:
-- one that is missing is either in a partition that was dropped, or has been taken out.
-- Locks: none that matter, the tables are new; the index on accounts_device holds that table's writes while it is built.

CREATE FUNCTION receipts_hash(
    previous bytea, previous_expires_on date, conversation_id bigint, user_id bigint, device_id bigint, state smallint,
    n bigint, from_seq bigint, to_seq bigint, at timestamptz, expires_at timestamptz
) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN sha256(
    previous || date_send(coalesce(previous_expires_on, date '-infinity')) || int8send(conversation_id)
    || int8send(user_id) || int8send(device_id) || int2send(state) || int8send(n) || int8send(from_seq)
    || int8send(to_seq) || timestamptz_send(at) || timestamptz_send(expires_at));

CREATE TABLE receipts_lane (
    conversation_id bigint NOT NULL,
    user_id         bigint NOT NULL,
    device_id       bigint NOT NULL,
    n               bigint NOT NULL,
    from_seq        bigint NOT NULL,
    to_seq          bigint NOT NULL,
    at              timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    expires_on      date NOT NULL,
    previous_expires_on date,
    state           smallint NOT NULL,
    previous_hash   bytea NOT NULL,
    hash            bytea NOT NULL,
    CONSTRAINT lane_key PRIMARY KEY (conversation_id, user_id, device_id, state)
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);

CREATE TABLE receipts_log (
    conversation_id bigint NOT NULL,
    user_id         bigint NOT NULL,
    device_id       bigint NOT NULL,
    n               bigint NOT NULL,
    from_seq        bigint NOT NULL,
    to_seq          bigint NOT NULL,
    at              timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    expires_on      date NOT NULL,
    previous_expires_on date,
    state           smallint NOT NULL,
    previous_hash   bytea NOT NULL,
    hash            bytea NOT NULL,
    CONSTRAINT log_key PRIMARY KEY (conversation_id, user_id, device_id, state, to_seq, expires_on),
    CONSTRAINT log_state CHECK (state IN (2, 3)),
    CONSTRAINT log_range CHECK (from_seq <= to_seq)
) PARTITION BY RANGE (expires_on);

CREATE FUNCTION receipts_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: no %', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER log_append_only BEFORE UPDATE OR DELETE ON receipts_log FOR EACH ROW EXECUTE FUNCTION receipts_refuse();
CREATE TRIGGER log_no_truncate BEFORE TRUNCATE ON receipts_log EXECUTE FUNCTION receipts_refuse();
CREATE TRIGGER lane_stays BEFORE DELETE ON receipts_lane FOR EACH ROW EXECUTE FUNCTION receipts_refuse();
CREATE TRIGGER lane_no_truncate BEFORE TRUNCATE ON receipts_lane EXECUTE FUNCTION receipts_refuse();
CREATE TRIGGER inspection_append_only BEFORE UPDATE OR DELETE ON receipts_inspection
    FOR EACH ROW EXECUTE FUNCTION receipts_refuse();
CREATE TRIGGER inspection_no_truncate BEFORE TRUNCATE ON receipts_inspection EXECUTE FUNCTION receipts_refuse();

-- receipts_make_partition: sees to it that rows which expire on that day have a place. A week for what is near, a month
-- for what is far, as far as no neighbour reaches; true where it made one. Attaching locks out no reader and no writer.
CREATE FUNCTION receipts_make_partition(p_day date) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_width text := CASE WHEN p_day < current_date + 100 THEN 'week' ELSE 'month' END;
    v_from date;
    v_until date;
    v_name text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('receipts_partition'));
    IF EXISTS (SELECT FROM receipts_partition p
               WHERE p_day >= p.from_on AND p_day < p.until_on AND p.dropped_at IS NULL) THEN
        RETURN false;
    END IF;
    v_from := GREATEST(date_trunc(v_width, p_day::timestamp)::date,
                       (SELECT max(p.until_on) FROM receipts_partition p WHERE p.until_on <= p_day));
    v_until := LEAST((date_trunc(v_width, p_day::timestamp) + ('1 ' || v_width)::interval)::date,
                     (SELECT min(p.from_on) FROM receipts_partition p WHERE p.from_on > p_day));
    v_name := 'receipts_log_' || to_char(v_from, 'YYYYMMDD');
    EXECUTE format('CREATE TABLE %I (LIKE receipts_log INCLUDING ALL)', v_name);
    EXECUTE format('ALTER TABLE receipts_log ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', v_name, v_from, v_until);
    EXECUTE format('CREATE TRIGGER log_no_truncate BEFORE TRUNCATE ON %I EXECUTE FUNCTION receipts_refuse()', v_name);
    INSERT INTO receipts_partition (name, from_on, until_on) VALUES (v_name, v_from, v_until);
    RETURN true;
END $$;

-- A place for the first marks; from then on the clock makes them ahead (receipts/partitions.py).
SELECT receipts_make_partition(current_date + day) FROM generate_series(0, 90, 7) AS day;

-- What the log says of each message: the first time that a recipient had it delivered, or saw it, whatever the device.
-- Seen implies delivered.
CREATE VIEW receipts_per_message AS
SELECT m.id AS message_id, m.conversation_id, m.seq, r.user_id AS recipient_id, s.state,
       min(r.at) AS at, (array_agg(r.device_id ORDER BY r.at, r.state))[1] AS device_id, max(r.expires_at) AS expires_at
FROM receipts_log r
JOIN chat_message m ON m.conversation_id = r.conversation_id AND m.seq BETWEEN r.from_seq AND r.to_seq
CROSS JOIN LATERAL (
    SELECT 'delivered' AS state UNION ALL SELECT 'seen' WHERE r.state = 3) s
WHERE m.sender_id <> r.user_id AND NOT m.hidden
GROUP BY m.id, m.conversation_id, m.seq, r.user_id, s.state;

-- Who has a device that is stricter than its user: few, and asked for whenever marks are shown.
CREATE INDEX device_strict ON accounts_device (user_id) WHERE privacy_overrides <> '{}'::jsonb;
