"""Which messages a user may see: the one condition, for every statement that reads messages."""


def visible(message: str) -> str:
    """Return the condition under which `viewer` may see the row of that name.

    They see neither what they deleted for themself (F27), nor what a block hid from them in a direct chat, nor in groups
    what people wrote whom they block (F205, F209), nor what was said outside their membership (K40, K44), which an edit
    is too: what has got new words since they left is not theirs any more, nor is a poll that went on.
    """
    return f"""
    (NOT {message}.hidden OR {message}.sender_id = %(viewer)s)
    AND (c.kind = 'direct' OR NOT EXISTS (
        SELECT FROM accounts_block b WHERE b.blocker_id = %(viewer)s AND b.blocked_id = {message}.sender_id))
    AND NOT EXISTS (
        SELECT FROM chat_hiding x
        WHERE x.conversation_id = {message}.conversation_id AND x.user_id = %(viewer)s AND x.seq = {message}.seq)
    AND EXISTS (
        SELECT FROM chat_member i
        WHERE i.conversation_id = {message}.conversation_id AND i.user_id = %(viewer)s
          AND (c.shares_history OR {message}.seq > i.joined_seq)
          AND (i.left_seq IS NULL OR ({message}.seq <= i.left_seq
                                      AND ({message}.edited_at IS NULL OR {message}.edited_at <= i.left_at)
                                      AND ({message}.content_type <> 'poll' OR {message}.updated_at IS NULL
                                           OR {message}.updated_at <= i.left_at))))
"""  # noqa: S608


VISIBLE = visible("m")
