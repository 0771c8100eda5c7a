"""The events that can be recorded, and the keys of each: ids, names and lists of them, never what people wrote.

A key that does not apply is left out of the row. A new key needs a default, because rows and jobs of the previous build
do not have it.
"""

from typing import ClassVar, Literal

from msgspec import Struct

MessageChange = Literal["edited", "reacted", "voted", "closed", "files"]
MembershipChange = Literal["joined", "left", "removed", "role"]


class OutboxEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event with its keys; `name` is its name in the outbox and in `config/reactions.py`."""

    name: ClassVar[str]


class MessagesStored(OutboxEvent, frozen=True, kw_only=True):
    """Messages of a conversation were stored, those of a batch together. `chat_ingest` writes its row."""

    name: ClassVar[str] = "messages.stored"
    conversation_id: int
    from_seq: int
    to_seq: int


class MessagesChanged(OutboxEvent, frozen=True, kw_only=True):
    """A message was changed, by `actor_id`; its files are changed by nobody.

    `mentions_added` and `everyone_added` belong to `edited`: who is mentioned now and was not before. `emoji` and `added`
    belong to `reacted`; `added` is False where the emoji was taken away.
    """

    name: ClassVar[str] = "messages.changed"
    conversation_id: int
    seq: int
    message_id: int
    rev: int
    change: MessageChange
    actor_id: int | None = None
    mentions_added: list[int] = []
    everyone_added: bool = False
    emoji: str | None = None
    added: bool | None = None


class MessagesDeleted(OutboxEvent, frozen=True, kw_only=True):
    """A message was deleted for everyone, or for the user `only_for` alone, which makes no rev."""

    name: ClassVar[str] = "messages.deleted"
    conversation_id: int
    seq: int
    message_id: int
    by: int
    rev: int | None = None
    only_for: int | None = None


class MessagesPurged(OutboxEvent, frozen=True, kw_only=True):
    """What deleted messages had said was removed for good."""

    name: ClassVar[str] = "messages.purged"
    conversation_id: int
    seqs: list[int]


class MembersChanged(OutboxEvent, frozen=True, kw_only=True):
    """Users joined or left a conversation, were removed from it, or have another role in it, by `actor_id`'s act.

    A new conversation's first members joined it, without a rev.
    """

    name: ClassVar[str] = "members.changed"
    conversation_id: int
    user_ids: list[int]
    change: MembershipChange
    actor_id: int
    rev: int | None = None


class ConversationChanged(OutboxEvent, frozen=True, kw_only=True):
    """Columns of a conversation were changed."""

    name: ClassVar[str] = "conversation.changed"
    conversation_id: int
    rev: int
    fields: list[str]


class UserChanged(OutboxEvent, frozen=True, kw_only=True):
    """Columns of a user were changed."""

    name: ClassVar[str] = "user.changed"
    user_id: int
    fields: list[str]


class UserDisabled(OutboxEvent, frozen=True, kw_only=True):
    """A user's account was disabled."""

    name: ClassVar[str] = "user.disabled"
    user_id: int


class DeviceSignedOut(OutboxEvent, frozen=True, kw_only=True):
    """Devices of a user were signed out."""

    name: ClassVar[str] = "device.signed_out"
    user_id: int
    device_ids: list[int]


EVENTS: dict[str, type[OutboxEvent]] = {
    event.name: event
    for event in (
        MessagesStored,
        MessagesChanged,
        MessagesDeleted,
        MessagesPurged,
        MembersChanged,
        ConversationChanged,
        UserChanged,
        UserDisabled,
        DeviceSignedOut,
    )
}
