-- How far others may know that somebody has read, where one of their devices says nothing of what it reads: as far as their
-- other devices have said. The roster asks for those few alone; for all others it is the member's own mark.
-- Locks: none.

CREATE FUNCTION shown_read_seq(p_conversation bigint, p_user bigint) RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT COALESCE(max(l.to_seq), 0) FROM receipts_lane l
    WHERE l.conversation_id = p_conversation AND l.user_id = p_user AND l.state = 3
      AND NOT EXISTS (SELECT FROM accounts_device d
                      WHERE d.id = l.device_id AND d.privacy_overrides->'send_read_receipts' = 'false')
$$;

-- The id of a message by its seq; NULL for none. A function of its own, and none that is put into the query that calls it:
-- a statement that may ask, and mostly does not, need not open sixteen partitions each time.
CREATE FUNCTION message_id_at(p_conversation bigint, p_seq bigint) RETURNS bigint LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (SELECT m.id FROM chat_message m WHERE m.conversation_id = p_conversation AND m.seq = p_seq);
END $$;
