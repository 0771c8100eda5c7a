"""The frames that members get when something has changed, each encoded once, with its receivers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from msgspec import UNSET

from accounts.privacy import PRIVACY_CHANGED
from chat import links
from chat.drafts import Draft, Stored
from chat.frames import (
    ChatChanged,
    ConversationObject,
    Message,
    MessageDeleted,
    MessageNew,
    MessageReaction,
    MessageUpdated,
    Person,
    Quote,
    wire_time,
)
from chat.ids import MessageId
from gateway import codec, publish
from gateway.bus import Event
from gateway.frames import Class
from gateway.ids import ConversationId, UserId
from outbox.nudge import nudge

# A message is committed so long after its time at the latest, usually some milliseconds.
COMMIT_SECONDS = 0.5
# The notice that somebody sends without a socket: about them, with the conversation's id in decimal digits.
SENDING = "sending"
# What takes the closing braces' place for the sender's own connections (protocol 2.3: `state` only to its sender).
OWN = b',"state":"sent"}}}'


def publish_stored(drafts: Sequence[Draft], stored: Sequence[Stored], *, duplicates: bool = False) -> None:
    """Publish messages that were just stored to their members, and wake the outbox."""
    told = 0
    for draft, result in zip(drafts, stored, strict=True):
        if result.outcome == "stored" or (duplicates and result.duplicate):
            publish.to_conversation(_stored(draft, result))
            told += 1
    if told:
        nudge()


def _stored(draft: Draft, result: Stored) -> Event:
    """A blocked sender's message in a direct chat is published to the sender's own devices only (F205)."""
    payload = MessageNew(chat_id=str(draft.conversation_id), message=_message(draft, result))
    frame = codec.frame("message.new", payload, traceparent=draft.traceparent)
    return Event(
        conversation_id=draft.conversation_id,
        version=result.members_version,
        seq=result.seq,
        rev=result.rev,
        cls=Class.MESSAGE,
        frame=frame,
        own=OWN,
        actor=draft.sender_id,
        skip_connection=draft.connection_id,
        skip_users=result.blockers,
    )


def _message(draft: Draft, result: Stored) -> Message:
    quote = None
    if result.reply_sender is not None and result.reply_excerpt is not None:
        quote = Quote(id=str(draft.reply_to), sender_name=result.reply_sender, excerpt=result.reply_excerpt)
    return Message(
        id=str(result.id),
        chat_id=str(draft.conversation_id),
        seq=result.seq,
        rev=result.rev,
        client_id=str(draft.client_id),
        version=1,
        sender=Person(id=str(draft.sender_id), display_name=result.sender_name),
        content_type=draft.content_type,
        content=draft.content,
        data=draft.data,
        reply_to=quote,
        attachments=links.linked(result.attachments),
        mentions=[str(user) for user in draft.mentions],
        reactions=[],
        priority=draft.priority,
        status="active",
        created_at=wire_time(result.created_at) or "",
        edited_at=None,
        last_seen_seq=draft.last_seen_seq,
        thread_id=str(result.root) if result.root else UNSET,
        mentions_all=draft.everyone or UNSET,
    )


def message_event(
    message: Message, *, version: int, skipped: list[int], stored_at: datetime, traceparent: str | None
) -> Event:
    """The frame of a message read back from the table: for the outbox, a gap, a resumed connection."""
    sender = int(message.sender.id)
    return Event(
        conversation_id=int(message.chat_id),
        version=version,
        seq=message.seq,
        rev=message.rev,
        cls=Class.MESSAGE,
        frame=codec.frame("message.new", MessageNew(chat_id=message.chat_id, message=message), traceparent=traceparent),
        own=OWN,
        actor=sender,
        skip_users=skipped,
        replay_time=_late(stored_at),
    )


class Change(NamedTuple):
    """Where a message's change stands and which members are sent it.

    `version` is the conversation's membership version, `skipped` the user ids that are left out. `joined_before` is 0, or
    where the conversation does not share its history the message's seq: members who joined at it or later are left out.
    """

    conversation_id: ConversationId
    message_id: MessageId
    seq: int
    rev: int
    version: int
    joined_before: int
    skipped: list[int]


def reaction_event(change: Change, reactions: list[dict[str, Any]]) -> Event:
    """Return `message.reaction` with all reactions that the message now has."""
    payload = MessageReaction(
        chat_id=str(change.conversation_id), message_id=str(change.message_id), rev=change.rev, reactions=reactions
    )
    return _change_event(change, Class.COSMETIC, codec.frame("message.reaction", payload))


def deleted_event(change: Change, deleted_by: UserId, *, late: datetime | None = None) -> Event:
    """Return `message.deleted`; `late`, the time of the change, marks one that is read back."""
    payload = MessageDeleted(
        chat_id=str(change.conversation_id),
        message_id=str(change.message_id),
        seq=change.seq,
        rev=change.rev,
        by=str(deleted_by),
    )
    return _change_event(change, Class.MESSAGE, codec.frame("message.deleted", payload), late)


def updated_event(change: Change, message: Message, *, late: datetime | None = None) -> Event:
    """Return `message.updated` with the message in its latest state; `late`, the time of the change, as above."""
    payload = MessageUpdated(chat_id=message.chat_id, message=message)
    return _change_event(change, Class.MESSAGE, codec.frame("message.updated", payload), late)


def _change_event(change: Change, cls: Class, frame: bytes, late: datetime | None = None) -> Event:
    return Event(
        conversation_id=change.conversation_id,
        version=change.version,
        joined_before=change.joined_before,
        rev=change.rev,
        cls=cls,
        frame=frame,
        skip_users=change.skipped,
        replay_time=_late(late) if late else 0,
    )


def chat_event(conversation_id: ConversationId, *, version: int, rev: int, late: datetime | None = None) -> Event:
    """`chat.updated` for all members, without `chat`: the conversation has a new rev, whose state they may fetch."""
    payload = ChatChanged(chat_id=str(conversation_id), rev=rev)
    return Event(
        conversation_id=conversation_id,
        version=version,
        rev=rev,
        frame=codec.frame("chat.updated", payload),
        replay_time=_late(late) if late else 0,
    )


def _late(at: datetime) -> int:
    return int((at.timestamp() + COMMIT_SECONDS) * 1000)


def publish_chat(type_: str, user_id: UserId, chat: ConversationObject, *, rev: int | None = None) -> None:
    """Send a user `chat.created` or `chat.updated` with the conversation as that user sees it.

    `rev` only where the frame tells of a change that made it; what a user sets for themself makes none.
    """
    payload = ChatChanged(chat_id=chat.id, chat=chat, rev=rev)
    opens = int(chat.id) if type_ == "chat.created" else 0
    publish.to_users([user_id], codec.frame(type_, payload), cls=Class.MESSAGE, opens=opens)


def publish_created(conversation_id: ConversationId, user_ids: Sequence[int]) -> None:
    """Send many users `chat.created` without `chat`: each fetches it as they see it."""
    frame = codec.frame("chat.created", ChatChanged(chat_id=str(conversation_id)))
    publish.to_users(list(user_ids), frame, cls=Class.MESSAGE, opens=conversation_id)


def publish_removed(conversation_id: ConversationId, user_ids: Sequence[int]) -> None:
    """Send users `chat.removed`: left or removed. It may have been the last thing that they and somebody had in common."""
    frame = codec.frame("chat.removed", ChatChanged(chat_id=str(conversation_id)))
    publish.to_users(list(user_ids), frame, cls=Class.MESSAGE)
    publish.notice(PRIVACY_CHANGED, list(user_ids))


def publish_sending(user_id: UserId, conversation_id: ConversationId) -> None:
    """Notify every process that a user sends over REST, which ends the user's typing (F134). A send over a socket ends it by itself."""
    publish.notice(SENDING, [user_id], b"%d" % conversation_id)


def publish_hidden(user_id: UserId, conversation_id: ConversationId, message_id: MessageId, seq: int) -> None:
    """Tell a user's own devices that they have deleted a message for themself (F27)."""
    payload = MessageDeleted(
        chat_id=str(conversation_id), message_id=str(message_id), seq=seq, rev=None, by=str(user_id)
    )
    publish.to_users([user_id], codec.frame("message.deleted", payload), cls=Class.MESSAGE)
