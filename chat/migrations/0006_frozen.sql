-- What somebody who is blocked may know of the blocker's marks in their direct chat is what they knew when the block was made
-- (F205): it is kept on the blocker's row while the block stands. By trigger, because accounts makes the block and knows no chat.
-- Locks: the trigger takes the blocker's one member row, after the rows of the two people.

CREATE FUNCTION chat_freeze_marks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE chat_member m SET frozen_delivered_seq = m.delivered_seq, frozen_read_seq = m.read_seq
        FROM chat_conversation c
        WHERE c.direct_key = LEAST(NEW.blocker_id, NEW.blocked_id) || ':' || GREATEST(NEW.blocker_id, NEW.blocked_id)
          AND m.conversation_id = c.id AND m.user_id = NEW.blocker_id AND m.left_seq IS NULL;
        RETURN NEW;
    END IF;
    UPDATE chat_member m SET frozen_delivered_seq = NULL, frozen_read_seq = NULL
    FROM chat_conversation c
    WHERE c.direct_key = LEAST(OLD.blocker_id, OLD.blocked_id) || ':' || GREATEST(OLD.blocker_id, OLD.blocked_id)
      AND m.conversation_id = c.id AND m.user_id = OLD.blocker_id AND m.left_seq IS NULL;
    RETURN OLD;
END $$;

CREATE TRIGGER block_freezes_marks AFTER INSERT OR DELETE ON accounts_block
    FOR EACH ROW EXECUTE FUNCTION chat_freeze_marks();
