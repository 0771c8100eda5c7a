"""Who is a stranger to whom in a direct chat: not in the other's contacts, and never answered (U7). Strangers write less
(F284), and so does, everywhere, who writes to too many people within an hour (F241, `chat.reach`).
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from django.db import connection

from chat.messages import reach

Pair = tuple[int, int]  # user, conversation
Rows = Callable[[str, Sequence[Any]], Awaitable[list[tuple[Any, ...]]]]
KNOWN_SECONDS = 60.0
KEPT = 100_000

# Indexes: member_once, contact_unique, message_once.
STRANGERS = """
SELECT i.user_id, i.conversation_id,
       NOT EXISTS (
           SELECT FROM accounts_contact contact
           WHERE contact.user_id = other.user_id AND contact.contact_id = i.user_id)
       AND NOT EXISTS (
           SELECT FROM chat_message message
           WHERE message.conversation_id = c.id AND message.sender_id = other.user_id)
FROM unnest(%s::bigint[], %s::bigint[]) AS i (user_id, conversation_id)
JOIN chat_conversation c ON c.id = i.conversation_id AND c.kind = 'direct'
JOIN chat_member other ON other.conversation_id = c.id AND other.user_id <> i.user_id
"""

_known: dict[Pair, float] = {}


async def among(pairs: Sequence[Pair], rows: Rows) -> set[Pair]:
    """Return the pairs in which the user writes as a stranger. Acquaintance is remembered for a minute, strangeness never."""
    found: set[Pair] = set()
    if unknown := _unknown(pairs):
        users, conversations = zip(*unknown, strict=True)
        direct = await rows(STRANGERS, [list(users), list(conversations)])
        found = {(user, conversation) for user, conversation, strange in direct if strange}
        _remember(unknown - found)
        if above := await reach.count(reach.uncounted([(user, conversation) for user, conversation, _ in direct])):
            reach.flagged(await rows(reach.FLAG, reach.flags(above)))
    return found | {pair for pair in pairs if reach.is_slowed(pair[0])}


def among_now(user_id: int, conversation_id: int) -> bool:
    """`among` for one pair, from a thread."""
    with connection.cursor() as cursor:
        cursor.execute(STRANGERS, [[user_id], [conversation_id]])
        direct = cursor.fetchall()
        if above := reach.count_now(reach.uncounted([(user_id, conversation_id)] if direct else [])):
            cursor.execute(reach.FLAG, reach.flags(above))
            reach.flagged(cursor.fetchall())
    return any(strange for _, _, strange in direct) or reach.is_slowed(user_id)


def _unknown(pairs: Sequence[Pair]) -> set[Pair]:
    now = time.monotonic()
    return {pair for pair in pairs if _known.get(pair, 0.0) < now}


def _remember(pairs: set[Pair]) -> None:
    if len(_known) > KEPT:
        _known.clear()
    until = time.monotonic() + KNOWN_SECONDS
    _known.update(dict.fromkeys(pairs, until))
