-- The message table, and the one function that stores messages.
--
-- Why by hand: Django cannot declare a partitioned table. Sixteen hash partitions by conversation keep each index small
-- and let the data be spread over hosts later; every unique key contains conversation_id for the same reason.
-- Locks: none that matter, the tables are new.

CREATE TABLE chat_message (
    conversation_id bigint NOT NULL,
    seq             bigint NOT NULL,
    id              bigint NOT NULL DEFAULT new_id(),
    rev             bigint NOT NULL,
    sender_id       bigint NOT NULL,
    client_id       uuid NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    edited_at       timestamptz,
    updated_at      timestamptz,
    reply_to        bigint,
    root            bigint,
    last_seen_seq   bigint,
    version         integer NOT NULL DEFAULT 1,
    replies         integer NOT NULL DEFAULT 0,
    last_reply      bigint,
    deleted_by      bigint,
    changed         boolean NOT NULL DEFAULT false,
    hidden          boolean NOT NULL DEFAULT false,
    everyone        boolean NOT NULL DEFAULT false,
    status          text NOT NULL DEFAULT 'active',
    content_type    text NOT NULL,
    priority        text NOT NULL DEFAULT 'normal',
    content         text NOT NULL,
    data            jsonb,
    mentions        bigint[],
    attachments     bigint[],
    reactions       jsonb,
    traceparent     text,
    CONSTRAINT message_key PRIMARY KEY (conversation_id, seq),
    CONSTRAINT message_once UNIQUE (conversation_id, sender_id, client_id),
    CONSTRAINT message_status CHECK (status IN ('active', 'edited', 'deleted')),
    CONSTRAINT message_priority CHECK (priority IN ('normal', 'urgent'))
) PARTITION BY HASH (conversation_id);

DO $$
BEGIN
    FOR part IN 0..15 LOOP
        EXECUTE format(
            'CREATE TABLE chat_message_%s PARTITION OF chat_message FOR VALUES WITH (MODULUS 16, REMAINDER %s)',
            lpad(part::text, 2, '0'), part);
    END LOOP;
END $$;

-- By id: protocol frames name a message by its id alone. Sixteen small probes.
CREATE INDEX message_id ON chat_message (id);
-- By rev: sync asks for old messages that changed; new ones are found by seq and need no second index.
CREATE INDEX message_rev ON chat_message (conversation_id, rev) WHERE changed;
-- What nobody has to read is subtracted from the unread count.
CREATE INDEX message_uncounted ON chat_message (conversation_id, seq)
    WHERE hidden OR status = 'deleted' OR content_type = 'system';
-- The mention count: @all and @here have no row for each member.
CREATE INDEX message_everyone ON chat_message (conversation_id, seq) WHERE everyone;
-- The messages of a thread, in order.
CREATE INDEX message_root ON chat_message (conversation_id, root, seq) WHERE root IS NOT NULL;

-- Rows that change with every message: room on the page makes those updates heap-only, without index writes.
ALTER TABLE chat_conversation SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE chat_member SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE chat_outbox SET (autovacuum_vacuum_scale_factor = 0.02);
