-- chat_attachments: files as the message object lists them, in the message's order, without their links (protocol 2.3).
CREATE FUNCTION chat_attachments(p_ids bigint[]) RETURNS jsonb LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (
        SELECT jsonb_agg(jsonb_build_object(
            'id', a.id::text, 'name', a.name, 'size', a.size, 'mimeType', a.mime_type, 'status', a.status,
            'width', a.width, 'height', a.height, 'thumbnail', a.thumbnail_key <> '') ORDER BY file.place)
        FROM unnest(p_ids) WITH ORDINALITY AS file (id, place) JOIN chat_attachment a ON a.id = file.id);
END $$;

-- chat_live_excerpt: what a live frame quotes of a message. The frame is the same for all who get it, so it quotes nothing
-- where anybody blocks the author, or came after the message and may not read what was said before.
CREATE FUNCTION chat_live_excerpt(p_conversation bigint, p_seq bigint, p_sender bigint, p_content text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN CASE
        WHEN EXISTS (SELECT FROM accounts_block b WHERE b.blocked_id = p_sender)
          OR EXISTS (SELECT FROM chat_conversation c JOIN chat_member late ON late.conversation_id = c.id
                     WHERE c.id = p_conversation AND NOT c.shares_history
                       AND late.left_seq IS NULL AND late.joined_seq >= p_seq) THEN ''
        ELSE left(p_content, 100) END;
END $$;

-- chat_ingest: stores a batch of messages, all or none, in one round trip and one commit.
--
-- It first locks the conversations in id order (no deadlock between batches). Each statement after that takes its own
-- snapshot, so membership, blocks and duplicates are judged as they are once the lock is held; the lock is kept until the
-- commit, so that seq order is commit order. Every message gets an outcome:
--   stored, duplicate (with the first answer), or the protocol's error code.
-- The caller has made (conversation, sender, client id) unique within the batch.
-- Duplicates are looked for only when p_careful says so. The caller first tries without: a repetition then breaks
-- message_once and takes the whole batch back, and the second try is careful. A look into sixteen partitions costs more
-- than all the rest of a single message (0.2 of 0.4 ms), and repetitions are rare. Quoted messages likewise: only where
-- one is quoted.
-- Locks: FOR NO KEY UPDATE on the conversations of the batch.

CREATE FUNCTION chat_ingest(
    p_conversation bigint[], p_sender bigint[], p_client uuid[], p_content_type text[], p_content text[],
    p_data jsonb[], p_reply_to bigint[], p_mentions text[], p_priority text[], p_last_seen bigint[], p_trace text[],
    p_everyone boolean[], p_attachments text[], p_careful boolean
) RETURNS TABLE (
    outcome text, id bigint, seq bigint, rev bigint, created_at timestamptz, members_version bigint, hidden boolean,
    blockers bigint[], sender_name text, reply_sender text, reply_excerpt text, root bigint, attachments jsonb
) LANGUAGE plpgsql VOLATILE
-- Arrays have no statistics: without these the planner may hash whole tables for a batch of three.
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    v_held bigint[]; v_held_seq bigint[];
    v_old bigint[]; v_old_id bigint[]; v_old_seq bigint[]; v_old_rev bigint[]; v_old_at timestamptz[];
    v_old_hidden boolean[];
    v_quote bigint[]; v_quote_sender text[]; v_quote_excerpt text[]; v_quote_root bigint[];
BEGIN
    SELECT array_agg(held.id), array_agg(held.last_seq) INTO v_held, v_held_seq
    FROM (SELECT c.id, c.last_seq FROM chat_conversation c
          WHERE c.id = ANY (p_conversation) ORDER BY c.id FOR NO KEY UPDATE) held;

    IF p_careful THEN
        SELECT array_agg(i.place), array_agg(m.id), array_agg(m.seq), array_agg(m.rev), array_agg(m.created_at),
               array_agg(m.hidden)
        INTO v_old, v_old_id, v_old_seq, v_old_rev, v_old_at, v_old_hidden
        FROM unnest(p_conversation, p_sender, p_client) WITH ORDINALITY AS i (conversation_id, sender_id, client_id, place)
        JOIN chat_message m ON m.conversation_id = i.conversation_id AND m.sender_id = i.sender_id
                           AND m.client_id = i.client_id;
    END IF;
    IF cardinality(array_remove(p_reply_to, NULL)) > 0 THEN
        -- A quote may be of what its sender may read. The live frame shows none of what a block hides.
        SELECT array_agg(i.place), array_agg(author.display_name),
               array_agg(CASE WHEN NOT m.hidden
                         THEN chat_live_excerpt(m.conversation_id, m.seq, m.sender_id, m.content) END),
               array_agg(coalesce(m.root, m.id))
        INTO v_quote, v_quote_sender, v_quote_excerpt, v_quote_root
        FROM unnest(p_conversation, p_sender, p_reply_to) WITH ORDINALITY AS i (conversation_id, sender_id, reply_to, place)
        JOIN chat_message m ON m.conversation_id = i.conversation_id AND m.id = i.reply_to
                           AND (NOT m.hidden OR m.sender_id = i.sender_id)
        JOIN chat_conversation c ON c.id = i.conversation_id
        JOIN accounts_user author ON author.id = m.sender_id
        WHERE EXISTS (SELECT FROM chat_member own
                      WHERE own.conversation_id = i.conversation_id AND own.user_id = i.sender_id
                        AND (c.shares_history OR m.seq > own.joined_seq)
                        AND (own.left_seq IS NULL OR m.seq <= own.left_seq))
          AND (c.kind = 'direct' OR NOT EXISTS (
                SELECT FROM accounts_block b WHERE b.blocker_id = i.sender_id AND b.blocked_id = m.sender_id));
    END IF;

    IF cardinality(array_remove(p_attachments, NULL)) > 0 THEN
        -- A file goes into one message: whoever else takes it waits here, after the conversations, in id order too.
        PERFORM 1 FROM chat_attachment
        WHERE id IN (SELECT unnest(files::bigint[]) FROM unnest(p_attachments) files) ORDER BY id FOR UPDATE;
    END IF;

    RETURN QUERY
    WITH input AS (
        SELECT *
        FROM unnest(p_conversation, p_sender, p_client, p_content_type, p_content, p_data, p_reply_to, p_mentions,
                    p_priority, p_last_seen, p_trace, p_everyone, p_attachments) WITH ORDINALITY
             AS i (conversation_id, sender_id, client_id, content_type, content, data, reply_to, mentions,
                   priority, last_seen_seq, traceparent, everyone, attachments, place)
    ), judged AS MATERIALIZED (
        SELECT i.*, c.last_seq, c.rev AS last_rev, c.members_version, u.display_name, b.blockers, m.id AS member_id,
               old.id AS old_id, old.seq AS old_seq, old.rev AS old_rev, old.created_at AS old_created_at,
               old.hidden AS old_hidden, r.reply_sender, r.reply_excerpt, r.root,
               c.kind = 'direct' AND cardinality(b.blockers) > 0 AND EXISTS (
                   SELECT FROM chat_member other
                   WHERE other.conversation_id = i.conversation_id AND other.left_seq IS NULL
                     AND other.user_id = ANY (b.blockers)) AS hidden,
               CASE
                   WHEN old.id IS NOT NULL THEN 'duplicate'
                   WHEN m.role IS NULL THEN 'NOT_A_MEMBER'
                   WHEN c.kind = 'broadcast' AND m.role = 'member' AND i.content_type <> 'system' THEN 'READ_ONLY'
                   WHEN i.last_seen_seq > c.last_seq THEN 'CLOCK_AHEAD'
                   WHEN i.reply_to IS NOT NULL AND r.reply_sender IS NULL THEN 'NOT_FOUND'
                   -- F23: above 20 members only admins mention everybody.
                   WHEN i.everyone AND m.role = 'member' AND c.member_count > 20 THEN 'FORBIDDEN'
                   WHEN i.attachments IS NOT NULL AND cardinality(i.attachments::bigint[]) <> (
                       SELECT count(*) FROM chat_attachment a
                       WHERE a.id = ANY (i.attachments::bigint[]) AND a.uploader_id = i.sender_id
                         AND a.message_id IS NULL AND a.status IN ('ready', 'scanning')) THEN 'ATTACHMENT_REJECTED'
                   WHEN i.attachments IS NOT NULL AND EXISTS (
                       SELECT FROM input earlier
                       WHERE earlier.place < i.place AND earlier.sender_id = i.sender_id
                         AND earlier.attachments::bigint[] && i.attachments::bigint[])
                       THEN 'ATTACHMENT_REJECTED'
                   -- Whom only contacts may message: people on their list, and those whom they have answered (U7).
                   WHEN c.kind = 'direct' AND EXISTS (
                       SELECT FROM accounts_privacy p
                       WHERE p.user_id = split_part(c.direct_key, ':', CASE
                                 WHEN split_part(c.direct_key, ':', 1) = i.sender_id::text THEN 2 ELSE 1 END)::bigint
                         AND p.who_can_message = 'contacts'
                         AND NOT EXISTS (SELECT FROM accounts_contact contact
                                         WHERE contact.user_id = p.user_id AND contact.contact_id = i.sender_id)
                         AND NOT EXISTS (SELECT FROM chat_message answer
                                         WHERE answer.conversation_id = i.conversation_id
                                           AND answer.sender_id = p.user_id)) THEN 'FORBIDDEN'
                   ELSE 'stored'
               END AS outcome
        FROM input i
        LEFT JOIN chat_conversation c ON c.id = i.conversation_id
        LEFT JOIN accounts_user u ON u.id = i.sender_id
        LEFT JOIN LATERAL (
            SELECT member.id, member.role FROM chat_member member
            WHERE member.conversation_id = i.conversation_id AND member.user_id = i.sender_id
              AND member.left_seq IS NULL
            LIMIT 1) m ON true
        LEFT JOIN unnest(v_old, v_old_id, v_old_seq, v_old_rev, v_old_at, v_old_hidden)
             AS old (place, id, seq, rev, created_at, hidden) ON old.place = i.place
        LEFT JOIN unnest(v_quote, v_quote_sender, v_quote_excerpt, v_quote_root)
             AS r (place, reply_sender, reply_excerpt, root) ON r.place = i.place
        CROSS JOIN LATERAL (
            SELECT ARRAY(SELECT block.blocker_id FROM accounts_block block WHERE block.blocked_id = i.sender_id)
                   AS blockers) b
    ), numbered AS MATERIALIZED (
        SELECT j.place, new_id() AS id, clock_timestamp() AS created_at,
               row_number() OVER (PARTITION BY j.conversation_id ORDER BY j.place) AS step
        FROM judged j
        WHERE j.outcome = 'stored'
    ), placed AS MATERIALIZED (
        SELECT j.*, n.id, n.created_at, j.last_seq + n.step AS seq, j.last_rev + n.step AS rev
        FROM judged j JOIN numbered n ON n.place = j.place
    ), inserted AS (
        INSERT INTO chat_message (
            conversation_id, seq, id, rev, sender_id, client_id, created_at, reply_to, last_seen_seq, hidden,
            content_type, priority, content, data, mentions, traceparent, root, everyone, attachments)
        SELECT p.conversation_id, p.seq, p.id, p.rev, p.sender_id, p.client_id, p.created_at, p.reply_to,
               p.last_seen_seq, p.hidden, p.content_type, p.priority, p.content, p.data, p.mentions::bigint[],
               p.traceparent, p.root, coalesce(p.everyone, false), p.attachments::bigint[]
        FROM placed p
    ), touched AS MATERIALIZED (
        SELECT p.conversation_id, min(p.seq) AS from_seq, max(p.seq) AS to_seq, max(p.rev) AS rev,
               max(p.created_at) AS at
        FROM placed p GROUP BY p.conversation_id
    ), advanced AS (
        UPDATE chat_conversation c SET last_seq = t.to_seq, rev = t.rev, last_message_at = t.at
        FROM touched t WHERE c.id = t.conversation_id
    ), own AS (
        -- By the key: by conversation and user a plan that was made while the table was empty went through all of it.
        -- Sending is not reading: the marks move over own messages that follow on them, and over nobody else's.
        UPDATE chat_member m SET
            read_seq = CASE WHEN m.read_seq >= s.reach THEN s.seq ELSE m.read_seq END,
            delivered_seq = CASE WHEN m.delivered_seq >= s.reach THEN s.seq ELSE m.delivered_seq END,
            own_above = CASE WHEN m.read_seq >= s.reach THEN 0 ELSE m.own_above + s.count END,
            read_at = CASE WHEN m.read_seq >= s.reach THEN s.at ELSE m.read_at END, marked_unread = false
        FROM (SELECT p.member_id, max(p.seq) AS seq, max(p.created_at) AS at, count(*) AS count,
                     max(p.seq) - count(*) AS reach
              FROM placed p WHERE p.content_type <> 'system' GROUP BY p.member_id) s
        WHERE m.id = s.member_id
    ), followed AS (
        INSERT INTO chat_outbox (event, conversation_id, from_seq, to_seq, attempts)
        SELECT 'messages.stored', t.conversation_id, t.from_seq, t.to_seq, 0 FROM touched t
    )
    SELECT j.outcome, coalesce(p.id, j.old_id), coalesce(p.seq, j.old_seq), coalesce(p.rev, j.old_rev),
           coalesce(p.created_at, j.old_created_at), j.members_version, coalesce(j.old_hidden, j.hidden),
           -- What a block hid when it was stored is told to nobody else, also after the block's end.
           CASE WHEN j.old_hidden THEN ARRAY(
               SELECT other.user_id FROM chat_member other
               WHERE other.conversation_id = j.conversation_id AND other.left_seq IS NULL
                 AND other.user_id <> j.sender_id) ELSE j.blockers END,
           j.display_name::text, j.reply_sender::text, j.reply_excerpt,
           j.root, CASE WHEN j.attachments IS NOT NULL THEN chat_attachments(j.attachments::bigint[]) END
    FROM judged j LEFT JOIN placed p ON p.place = j.place
    ORDER BY j.place;

    -- What few messages have stands apart: in the statement above, even with nothing to do, it would cost every batch
    -- a third more. New are those of the input that have a row above what was the last one before.
    IF cardinality(array_remove(p_mentions, NULL)) > 0 OR cardinality(array_remove(p_attachments, NULL)) > 0
       OR v_quote IS NOT NULL THEN
        WITH fresh AS MATERIALIZED (
            SELECT m.conversation_id, m.seq, m.id, m.sender_id, m.mentions, m.attachments, m.root, m.hidden
            FROM unnest(p_conversation, p_sender, p_client) WITH ORDINALITY
                 AS i (conversation_id, sender_id, client_id, place)
            JOIN chat_message m ON m.conversation_id = i.conversation_id AND m.sender_id = i.sender_id
                               AND m.client_id = i.client_id
            JOIN unnest(v_held, v_held_seq) AS held (id, last_seq) ON held.id = m.conversation_id
                                                                  AND m.seq > held.last_seq
        ), mentioned AS (
            INSERT INTO chat_mention (conversation_id, user_id, seq, sender_id)
            SELECT f.conversation_id, present.user_id, f.seq, f.sender_id
            FROM fresh f CROSS JOIN LATERAL unnest(f.mentions) AS person (id)
            JOIN chat_member present ON present.conversation_id = f.conversation_id AND present.user_id = person.id
                                    AND present.left_seq IS NULL
            WHERE NOT f.hidden AND person.id <> f.sender_id -- who blocks the sender is left out where mentions are counted
        ), bound AS (
            UPDATE chat_attachment a SET conversation_id = f.conversation_id, message_id = f.id
            FROM fresh f WHERE f.attachments IS NOT NULL AND a.id = ANY (f.attachments)
        )
        UPDATE chat_message r SET replies = r.replies + t.count, last_reply = t.last
        FROM (SELECT f.conversation_id, f.root, count(*) AS count, max(f.seq) AS last FROM fresh f
              WHERE f.root IS NOT NULL AND NOT f.hidden GROUP BY 1, 2) t
        WHERE r.conversation_id = t.conversation_id AND r.id = t.root;
    END IF;
END $$;
