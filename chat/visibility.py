"""Which messages a user may see: the one condition, for every statement that reads messages, and its counterpart for frames.

`VISIBLE` is asked by statements that read for one viewer. A live frame goes to all members at once, so `skipped` lists the
members that such a frame leaves out. The storing function (`chat_ingest`) judges new messages by the same rules.
"""


def visible(message: str) -> str:
    """Return the SQL condition under which `%(viewer)s` may see the row of the message alias; `c` is its conversation.

    Hidden from a viewer are: messages that they deleted for themself (F27); in a direct chat, messages that a block hides
    from them; in groups, messages of people whom they block (F205, F209); and messages outside their membership (K40,
    K44). An edit counts as a message of its time: members who left before it do not see the new words, nor the later
    votes of a poll.
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


def skipped(message: str) -> str:
    """Return the SQL expression for the user ids that a frame of the message leaves out; `c` is its conversation.

    These are, in groups, the members who block its sender; the members who deleted it for themself (F27); and, in a direct
    chat, everybody but the sender of a message that a block hides, also after the block has ended (F205). Indexes:
    block_by_blocked, hiding_of_message, member_once.
    """
    return f"""ARRAY(
        SELECT b.blocker_id FROM accounts_block b WHERE c.kind <> 'direct' AND b.blocked_id = {message}.sender_id
        UNION ALL
        SELECT x.user_id FROM chat_hiding x
        WHERE x.conversation_id = {message}.conversation_id AND x.seq = {message}.seq
        UNION ALL
        SELECT o.user_id FROM chat_member o
        WHERE {message}.hidden AND o.conversation_id = {message}.conversation_id AND o.left_seq IS NULL
          AND o.user_id <> {message}.sender_id)"""  # noqa: S608
