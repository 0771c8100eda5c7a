"""Polls: people vote, change their vote, and the poll is closed; its results stand in the message's data (F11).

A vote is a row; the counts are made anew of all rows under the conversation's lock, so that they are always true.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.utils import timezone

from chat.access import member_of
from chat.ids import MessageId
from chat.messages import changes, history
from chat.messages.changes import LockedMessage
from chat.models import Vote
from chat.refusals import ReadOnly
from gateway.errors import Forbidden, InvalidPayload, NotFound
from gateway.ids import ConversationId, UserId
from outbox.events import MessageChange

SHOWN = 50
# The first people of each option. Index: vote_once.
RESULTS = f"""
SELECT option, count(*), (array_agg(user_id ORDER BY id))[1:{SHOWN}]
FROM chat_vote WHERE conversation_id = %(conversation)s AND message_id = %(message)s
GROUP BY option
"""  # noqa: S608
# Index: vote_once.
WHO = """
SELECT v.id, v.option, v.user_id, u.display_name, v.created_at
FROM chat_vote v JOIN accounts_user u ON u.id = v.user_id
WHERE v.conversation_id = %(conversation)s AND v.message_id = %(message)s AND v.id > %(after)s
ORDER BY v.id LIMIT %(limit)s
"""


class Voted(NamedTuple):
    """A poll as its message now has it, and the message's rev."""

    rev: int
    data: dict[str, Any]


class Ballot(NamedTuple):
    """One person's choice of one option. `id` is the row's, by which pages go on."""

    id: int
    option: int
    user_id: UserId
    display_name: str
    created_at: datetime


class Ballots(NamedTuple):
    """A page of votes, the first one first, and what the viewer has chosen; `next` continues it."""

    mine: list[int]
    ballots: list[Ballot]
    next: int | None


def vote(user_id: UserId, message_id: MessageId, options: Sequence[int]) -> Voted:
    """Replace the user's choice by these options, by index from 0; no option withdraws the vote.

    The same choice again makes no rev. Raises NotFound, NotAMember, InvalidPayload, ReadOnly for a closed poll.
    """
    changes.charge(user_id)
    with transaction.atomic():
        message = _lock_poll(user_id, message_id)
        if _is_closed(message.data):
            raise ReadOnly("this poll is closed")
        wanted = set(options)
        _check_options(message.data, wanted, len(options))
        own = Vote.objects.filter(conversation_id=message.conversation_id, message_id=message.id, user_id=user_id)
        before = set(own.values_list("option", flat=True))
        if wanted == before or message.blocked_in_direct_chat:
            return Voted(message.rev, message.data)
        own.exclude(option__in=wanted).delete()
        Vote.objects.bulk_create(
            Vote(conversation_id=message.conversation_id, message_id=message.id, user_id=user_id, option=option)
            for option in sorted(wanted - before)
        )
        return _write_results(message)


def close(user_id: UserId, message_id: MessageId) -> Voted:
    """End a poll for good, by its author or an admin; a second time changes nothing. Raises NotFound, NotAMember, Forbidden."""
    changes.charge(user_id)
    with transaction.atomic():
        message = _lock_poll(user_id, message_id)
        if not (message.own or message.is_admin):
            raise Forbidden("only its author and the admins close a poll")
        if message.data["closed"]:
            return Voted(message.rev, message.data)
        return _write(message, "closed", {**message.data, "closed": True})


def _lock_poll(user_id: UserId, message_id: MessageId) -> LockedMessage:
    message = changes.lock_live_message(user_id, message_id)
    if message.content_type != "poll":
        raise NotFound("this is no poll")
    return message


def _is_closed(poll: dict[str, Any]) -> bool:
    ends = poll["closesAt"]
    return bool(poll["closed"]) or (ends is not None and datetime.fromisoformat(ends) <= timezone.now())


def _check_options(poll: dict[str, Any], wanted: set[int], count: int) -> None:
    if len(wanted) < count or not all(0 <= option < len(poll["options"]) for option in wanted):
        raise InvalidPayload(f"each once, from 0 to {len(poll['options']) - 1}", field="options")
    if count > 1 and not poll["multiple"]:
        raise InvalidPayload("this poll takes one answer", field="options")


def _write_results(message: LockedMessage) -> Voted:
    with connection.cursor() as cursor:
        cursor.execute(RESULTS, {"conversation": message.conversation_id, "message": message.id})
        results = {option: (count, users) for option, count, users in cursor.fetchall()}
    options = []
    for place, option in enumerate(message.data["options"]):
        count, users = results.get(place, (0, []))
        who = {} if message.data["anonymous"] else {"userIds": [str(user) for user in users]}
        options.append({"text": option["text"], "count": count, **who})
    return _write(message, "voted", {**message.data, "options": options})


def _write(message: LockedMessage, change: MessageChange, data: dict[str, Any]) -> Voted:
    return Voted(changes.write(message, message.changed(change), data=data), data)


def ballots(viewer: UserId, message_id: MessageId, *, after: int = 0, limit: int) -> Ballots:
    """Return the viewer's choice and, unless the poll is anonymous, all choices. Raises NotFound, NotAMember."""
    message = history.find(viewer, message_id)
    if message.content_type != "poll" or message.status == "deleted":
        raise NotFound("this is no poll")
    member_of(viewer, ConversationId(int(message.chat_id)))
    its = {"conversation_id": int(message.chat_id), "message_id": message_id}
    mine = list(Vote.objects.filter(**its, user_id=viewer).order_by("option").values_list("option", flat=True))
    if message.data["anonymous"]:
        return Ballots(mine, [], None)
    with connection.cursor() as cursor:
        values = {"conversation": int(message.chat_id), "message": message_id, "after": after, "limit": limit + 1}
        cursor.execute(WHO, values)
        rows = cursor.fetchall()
    kept = [Ballot(*row) for row in rows[:limit]]
    return Ballots(mine, kept, kept[-1].id if len(rows) > limit else None)
