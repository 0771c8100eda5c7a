"""Durable changes but new messages: each takes the conversation's row lock, a rev, and tells the members when it commits.

Every rule that changes a message (edits, deletes, reactions, votes) goes `target` → its own judgement → `write`; every
rule that changes a conversation or its members goes `locked` → its own judgement → `advance`. All in one transaction.
"""

from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from uuid import uuid4

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from chat import events
from chat.access import ADMINS, Membership, member_of
from chat.drafts import Draft
from chat.frames import wire_json
from chat.messages import feed
from chat.messages.ingest import store_within
from chat.models import Conversation, Message
from chat.refusals import NotAMember
from chat.visibility import VISIBLE
from gateway import limits, publish
from gateway.errors import NotFound

# Index: message_id.
WHERE = "SELECT conversation_id FROM chat_message WHERE id = %(id)s"
# As the user may see it. Indexes: message_key through message_id.
TARGET = f"""
SELECT m.seq, m.rev, m.sender_id, m.version, m.status, m.content_type, m.content, m.data, m.mentions, m.everyone,
       m.attachments, m.reactions, m.created_at, m.edited_at, m.hidden
FROM chat_message m JOIN chat_conversation c ON c.id = m.conversation_id
WHERE m.conversation_id = %(conversation)s AND m.id = %(id)s AND {VISIBLE}
"""  # noqa: S608
# Indexes: member_once, block_unique.
UNWANTED = """
SELECT EXISTS (SELECT FROM chat_member o JOIN accounts_block b ON b.blocker_id = o.user_id AND b.blocked_id = %(user)s
               WHERE o.conversation_id = %(conversation)s AND o.user_id <> %(user)s AND o.left_seq IS NULL)
"""


class Target(NamedTuple):
    """A message that is about to change, with its conversation locked, and who wants it."""

    membership: Membership
    id: int
    seq: int
    rev: int
    sender_id: int
    version: int
    status: str
    content_type: str
    content: str
    data: Any
    mentions: list[int] | None
    everyone: bool
    attachments: list[int] | None
    reactions: Any
    created_at: datetime
    edited_at: datetime | None
    hidden: bool

    @property
    def conversation_id(self) -> int:
        return self.membership.conversation_id

    @property
    def user_id(self) -> int:
        return self.membership.user_id

    @property
    def deleted(self) -> bool:
        return self.status == Message.Status.DELETED

    @property
    def own(self) -> bool:
        return self.sender_id == self.membership.user_id

    @property
    def is_admin(self) -> bool:
        return self.membership.role in ADMINS

    def past(self, seconds: float) -> bool:
        """Say whether a window of so many seconds after the sending is over."""
        return timezone.now() - self.created_at > timedelta(seconds=seconds)


def charge(user_id: int) -> None:
    """Charge a change of a message to its user's rate: before any lock is taken. Raises RateLimited."""
    per_minute = settings.LIMITS.changes_per_minute
    limits.check_now(f"{user_id}:changes", per_minute / 60, per_minute)


def target(user_id: int, message_id: int) -> Target:
    """Lock a message's conversation and return the message as it then is. Raises NotFound, NotAMember.

    One whose message the user may not see is NotFound; a former member's is NotAMember.
    """
    with connection.cursor() as cursor:
        cursor.execute(WHERE, {"id": message_id})
        row = cursor.fetchone()
        if row is None:
            raise NotFound
        locked(row[0])
        cursor.execute(TARGET, {"conversation": row[0], "id": message_id, "viewer": user_id})
        found = cursor.fetchone()
    if found is None:
        raise NotFound
    values = dict(zip(Target._fields[2:], found, strict=True))
    values |= {"data": wire_json(values["data"]), "reactions": wire_json(values["reactions"])}
    return Target(member_of(user_id, row[0]), message_id, **values)


def standing(user_id: int, message_id: int) -> Target:
    """`target` of a message that has not been deleted. Raises NotFound, NotAMember."""
    found = target(user_id, message_id)
    if found.deleted:
        raise NotFound("this message has been deleted")
    return found


def unwanted(found: Target) -> bool:
    """Say whether the other side of a direct chat blocks who acts, and would see it: then it is dropped in silence (F205).

    Else an old message would still carry new words past the block. What the block hides may be changed: nobody sees it.
    """
    if found.membership.kind != Conversation.Kind.DIRECT or found.hidden:
        return False
    with connection.cursor() as cursor:
        cursor.execute(UNWANTED, {"user": found.user_id, "conversation": found.conversation_id})
        return bool(cursor.fetchone()[0])


def write(changed: Target, *, reacted: bool = False, **values: Any) -> int:
    """Write a changed message's columns, and return the rev that this made; `reacted` if only its reactions changed."""
    return _write(changed.conversation_id, changed.seq, reacted=reacted, **values)


def refresh(conversation_id: int, message_id: int) -> None:
    """Give a message of a locked conversation a rev of its own, because what it lists has changed: its files.

    This is nobody's act. A message that is gone or deleted has nothing to tell.
    """
    found = Message.objects.filter(conversation_id=conversation_id, id=message_id).exclude(status="deleted").first()
    if found is not None:
        _write(conversation_id, found.seq)


def _write(conversation_id: int, seq: int, *, reacted: bool = False, **values: Any) -> int:
    conversation, now = Conversation.objects.get(id=conversation_id), timezone.now()
    conversation.rev, conversation.changed_at = conversation.rev + 1, now
    conversation.save(update_fields=["rev", "changed_at"])
    Message.objects.filter(conversation_id=conversation_id, seq=seq).update(
        rev=conversation.rev, changed=True, updated_at=now, **values
    )
    event = feed.changed_now(conversation_id, seq, reacted=reacted)
    transaction.on_commit(partial(publish.to_conversation, event))
    return conversation.rev


def locked(conversation_id: int) -> Conversation:
    """Lock a conversation's row until the transaction ends. Raises NotAMember for what does not exist."""
    found = Conversation.objects.select_for_update(no_key=True).filter(id=conversation_id).first()
    if found is None:
        raise NotAMember
    return found


def advance(conversation: Conversation, *, members: int = 0, roster: bool = False, **values: Any) -> None:
    """Write a locked conversation's change under a new rev and tell its members.

    `members` joined (or left, below 0); `roster` where who is in it or their roles changed at all: then the membership
    version moves too.
    """
    for name, value in values.items():
        setattr(conversation, name, value)
    conversation.rev += 1
    conversation.settings_rev, conversation.changed_at = conversation.rev, timezone.now()
    conversation.members_version += int(roster or members != 0)
    conversation.member_count += members
    names = ["rev", "settings_rev", "changed_at", "members_version", "member_count", "next_n", *values]
    conversation.save(update_fields=names)
    event = events.chat_event(conversation.id, version=conversation.members_version, rev=conversation.rev)
    transaction.on_commit(partial(publish.to_conversation, event))


def say(conversation: Conversation, actor_id: int, event: str, text: str, **data: Any) -> None:
    """Store a system message of a locked conversation (F31): `text` for people, `event` and `data` for programs.

    The actor must be a member at this moment. The conversation's counters are read again after it.
    """
    store_within(
        Draft(
            conversation_id=conversation.id,
            sender_id=actor_id,
            client_id=uuid4(),
            content_type="system",
            content=text,
            data={"event": event, **data},
            reply_to=None,
            mentions=(),
            priority="normal",
            last_seen_seq=None,
            traceparent=None,
        )
    )
    conversation.refresh_from_db(fields=["last_seq", "rev", "last_message_at"])


def small(conversation: Conversation) -> bool:
    """Return whether comings and goings are told by a system message: in large chats they would drown what is said."""
    return conversation.member_count < settings.LIMITS.fanout_threshold
