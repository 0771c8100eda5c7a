"""Durable changes but new messages: each locks the conversation's row, takes a rev, and is published when it commits.

Every rule that changes a message (edits, deletes, reactions, votes) goes `lock_message` → its own judgement → `write`;
every rule that changes a conversation or its members goes `lock_conversation` → its own judgement → `advance`. All in one
transaction, and both record the event in the outbox.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from uuid import uuid4

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Subquery
from django.utils import timezone
from msgspec.structs import replace

from chat import events
from chat.access import ADMINS, Membership
from chat.drafts import Draft
from chat.frames import wire_json
from chat.ids import MessageId
from chat.messages import feed
from chat.messages.ingest import store_within
from chat.models import Conversation, Message
from chat.refusals import NotAMember
from chat.visibility import VISIBLE, skipped
from gateway import limits, publish
from gateway.bus import Event
from gateway.errors import NotFound
from gateway.ids import ConversationId, UserId
from outbox.events import (
    ConversationChanged,
    MembersChanged,
    MembershipChange,
    MessageChange,
    MessagesChanged,
    MessagesDeleted,
)
from outbox.outbox import record

# A message as the user may see it, the user's membership, whether the other side of a direct chat blocks the user, and the
# members that a frame of the change leaves out. Indexes: message_id, message_key, member_once, block_unique.
MESSAGE = f"""
SELECT m.seq, m.rev, m.sender_id, m.version, m.status, m.content_type, m.content, m.data, m.mentions, m.everyone,
       m.attachments, m.reactions, m.created_at, m.edited_at, m.hidden, {skipped("m")},
       c.kind = 'direct' AND NOT m.hidden AND EXISTS (
           SELECT FROM chat_member o JOIN accounts_block b ON b.blocker_id = o.user_id AND b.blocked_id = %(viewer)s
           WHERE o.conversation_id = c.id AND o.user_id <> %(viewer)s AND o.left_seq IS NULL),
       own.n, own.role, own.joined_seq, own.read_seq, own.delivered_seq
FROM chat_message m
JOIN chat_conversation c ON c.id = m.conversation_id
LEFT JOIN chat_member own ON own.conversation_id = c.id AND own.user_id = %(viewer)s AND own.left_seq IS NULL
WHERE m.conversation_id = %(conversation)s AND m.id = %(id)s AND {VISIBLE}
"""  # noqa: S608


class MemberChange(NamedTuple):
    """Which members of a conversation changed how, and by whose act."""

    change: MembershipChange
    user_ids: Sequence[int]
    actor_id: UserId

    @property
    def growth(self) -> int:
        """By how much the number of members grows."""
        return {"joined": 1, "left": -1, "removed": -1, "role": 0}[self.change] * len(self.user_ids)


class LockedMessage(NamedTuple):
    """A message that is about to change, its locked conversation, and the membership of the user who changes it.

    `skipped` are the user ids that a frame of the change leaves out. `blocked_in_direct_chat` says that the other side of
    a direct chat blocks the user and would see the change: then the change is dropped without a word (F205), or an old
    message would still carry new words past the block. A message that the block hides may be changed: nobody sees it.
    """

    conversation: Conversation
    membership: Membership
    id: int
    seq: int
    rev: int
    sender_id: UserId
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
    skipped: list[int]
    blocked_in_direct_chat: bool

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

    def changed(self, change: MessageChange) -> MessagesChanged:
        """Return the event of this change by its user; `write` sets its rev."""
        return MessagesChanged(
            conversation_id=self.conversation_id,
            seq=self.seq,
            message_id=self.id,
            rev=0,
            change=change,
            actor_id=self.user_id,
        )

    def change(self, rev: int) -> events.Change:
        """Return where the change that took `rev` stands, for its frame."""
        held = self.conversation
        joined_before = 0 if held.shares_history else self.seq
        return events.Change(
            ConversationId(held.id),
            MessageId(self.id),
            self.seq,
            rev,
            held.members_version,
            joined_before,
            self.skipped,
        )


def charge(user_id: UserId) -> None:
    """Charge a change of a message to its user's rate: before any lock is taken. Raises RateLimited."""
    per_minute = settings.LIMITS.changes_per_minute
    limits.enforce(f"{user_id}:changes", per_minute / 60, per_minute)


def lock_message(user_id: UserId, message_id: MessageId) -> LockedMessage:
    """Lock a message's conversation and return the message as it then is: two queries. Raises NotFound, NotAMember.

    A message that the user may not see is NotFound; for one of a former member it is NotAMember.
    """
    # The subquery's index: message_id. A message never moves to another conversation.
    place = Message.objects.filter(id=message_id).values("conversation_id")
    conversation = Conversation.objects.select_for_update(no_key=True).filter(id=Subquery(place)).first()
    if conversation is None:
        raise NotFound
    with connection.cursor() as cursor:
        cursor.execute(MESSAGE, {"conversation": conversation.id, "id": message_id, "viewer": user_id})
        row = cursor.fetchone()
    if row is None:
        raise NotFound
    *columns, n, role, joined_seq, read_seq, delivered_seq = row
    if n is None:
        raise NotAMember
    membership = Membership(
        conversation_id=ConversationId(conversation.id),
        user_id=user_id,
        n=n,
        role=role,
        joined_seq=joined_seq,
        read_seq=read_seq,
        delivered_seq=delivered_seq,
        kind=conversation.kind,
        last_seq=conversation.last_seq,
        rev=conversation.rev,
        members_version=conversation.members_version,
        member_count=conversation.member_count,
    )
    message = LockedMessage(conversation, membership, message_id, *columns)
    return message._replace(data=wire_json(message.data), reactions=wire_json(message.reactions))


def lock_live_message(user_id: UserId, message_id: MessageId) -> LockedMessage:
    """Lock a message that has not been deleted, as `lock_message` does. Raises NotFound, NotAMember."""
    message = lock_message(user_id, message_id)
    if message.deleted:
        raise NotFound("this message has been deleted")
    return message


def write(message: LockedMessage, event: MessagesChanged, **values: Any) -> int:
    """Write a locked message's new columns, record the event, publish `message.updated` when it commits, and return the rev
    it took.
    """
    rev = _write(message.conversation, event, **values)
    _publish(feed.updated(ConversationId(message.conversation_id), message.seq))
    return rev


def write_reactions(message: LockedMessage, event: MessagesChanged, reactions: list[dict[str, Any]]) -> int:
    """Write a locked message's reactions, record the event, publish `message.reaction` when it commits, and return the rev
    it took.
    """
    rev = _write(message.conversation, event, reactions=reactions or None)
    _publish(events.reaction_event(message.change(rev), reactions))
    return rev


def write_tombstone(message: LockedMessage) -> int:
    """Empty a locked message that its user deletes for everyone, record and publish that, and return the rev it took."""
    rev = _write(
        message.conversation,
        MessagesDeleted(
            conversation_id=message.conversation_id, seq=message.seq, message_id=message.id, by=message.user_id
        ),
        status="deleted",
        deleted_by=message.user_id,
        content="",
        data=None,
        mentions=None,
        everyone=False,
        attachments=None,
        reactions=None,
    )
    _publish(events.deleted_event(message.change(rev), UserId(message.user_id)))
    return rev


def refresh(conversation_id: ConversationId, message_id: MessageId) -> None:
    """Give a message of a locked conversation a rev of its own, because its files have changed.

    This is nobody's act. A message that is gone or deleted shows no files, so nothing is published.
    """
    message = Message.objects.filter(conversation_id=conversation_id, id=message_id).exclude(status="deleted").first()
    if message is not None:
        event = MessagesChanged(
            conversation_id=conversation_id, seq=message.seq, message_id=message_id, rev=0, change="files"
        )
        _write(Conversation.objects.get(id=conversation_id), event)
        _publish(feed.updated(conversation_id, message.seq))


def _write(conversation: Conversation, event: MessagesChanged | MessagesDeleted, **values: Any) -> int:
    now = timezone.now()
    conversation.rev, conversation.changed_at = conversation.rev + 1, now
    conversation.save(update_fields=["rev", "changed_at"])
    Message.objects.filter(conversation_id=conversation.id, seq=event.seq).update(
        rev=conversation.rev, changed=True, updated_at=now, **values
    )
    record(replace(event, rev=conversation.rev))
    return conversation.rev


def _publish(event: Event) -> None:
    transaction.on_commit(partial(publish.to_conversation, event))


def lock_conversation(conversation_id: ConversationId) -> Conversation:
    """Lock a conversation's row until the transaction ends. Raises NotAMember for one that does not exist."""
    conversation = Conversation.objects.select_for_update(no_key=True).filter(id=conversation_id).first()
    if conversation is None:
        raise NotAMember
    return conversation


def advance(conversation: Conversation, members: MemberChange | None = None, **values: Any) -> None:
    """Write a locked conversation's change under a new rev, record it, and publish it when it commits.

    Where `members` changed, the membership version moves too; the caller has written their rows.
    """
    for name, value in values.items():
        setattr(conversation, name, value)
    conversation.rev += 1
    conversation.settings_rev, conversation.changed_at = conversation.rev, timezone.now()
    conversation.members_version += int(members is not None)
    conversation.member_count += members.growth if members else 0
    names = ["rev", "settings_rev", "changed_at", "members_version", "member_count", "next_n", *values]
    conversation.save(update_fields=names)
    _publish(
        events.chat_event(ConversationId(conversation.id), version=conversation.members_version, rev=conversation.rev)
    )
    if members:
        record_members(conversation, members, rev=conversation.rev)
    if values:
        record(ConversationChanged(conversation_id=conversation.id, rev=conversation.rev, fields=list(values)))


def record_members(conversation: Conversation, members: MemberChange, *, rev: int | None = None) -> None:
    """Record a change of members in the outbox; `rev` is that of the conversation's change, if this made one."""
    record(
        MembersChanged(
            conversation_id=conversation.id,
            user_ids=list(members.user_ids),
            change=members.change,
            actor_id=members.actor_id,
            rev=rev,
        )
    )


def post_system_message(conversation: Conversation, actor_id: UserId, event: str, text: str, **data: Any) -> None:
    """Store a system message of a locked conversation (F31): `text` for people, `event` and `data` for programs.

    The actor must be a member at this moment. The conversation's counters are read again after it.
    """
    store_within(
        Draft(
            conversation_id=ConversationId(conversation.id),
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


def announces_members(conversation: Conversation) -> bool:
    """Say whether a system message announces joins and leaves: in large chats these would drown the conversation."""
    return conversation.member_count < settings.LIMITS.fanout_threshold
