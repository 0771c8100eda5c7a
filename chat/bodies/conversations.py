"""The bodies of chat's REST routes (protocol 3, 3.1)."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from chat.frames import ConversationMember, ConversationObject, Message, Seq, WireId
from gateway.frames import Frame


class NewConversation(Frame, frozen=True):
    """`POST /conversations`: `{kind:"direct", userId}`, `{kind:"group", name, memberIds}` or
    `{kind:"channel"|"broadcast", teamId, name, topic?, private?, memberIds?}`."""

    kind: str
    user_id: WireId | None = None
    name: str = ""
    member_ids: Annotated[list[WireId], Meta(max_length=10_000)] = []
    team_id: WireId | None = None
    topic: str = ""
    private: bool = False


class ConversationChange(Frame, frozen=True):
    """`PATCH /conversations/{id}`: what is given is changed."""

    name: str | UnsetType = UNSET
    topic: str | UnsetType = UNSET
    avatar_url: str | UnsetType = UNSET
    shares_history: bool | UnsetType = UNSET


class NewMessage(Frame, frozen=True):
    """`POST …/messages`. `clientId` (or `tempId`, or the header `Idempotency-Key`) makes a repetition harmless."""

    content: str = ""
    chat_id: WireId | None = None
    conversation_id: WireId | None = msgspec.field(name="conversation_id", default=None)
    client_id: str | None = None
    temp_id: str | None = None
    content_type: str = "text"
    data: Any = None
    reply_to: WireId | None = None
    attachments: list[WireId] = []
    mentions: list[WireId] = []
    priority: str = "normal"
    last_seen_seq: Seq | None = None


class NewMembers(Frame, frozen=True):
    """`POST /conversations/{id}/members`: one or many."""

    user_id: WireId | None = None
    user_ids: Annotated[list[WireId], Meta(max_length=1000)] = []


class MemberChange(Frame, frozen=True):
    """`PATCH /conversations/{id}/members/{userId}`: `role` as an admin; the others on one's own row alone."""

    role: str | UnsetType = UNSET
    muted_until: datetime | UnsetType | None = UNSET
    pinned: bool | UnsetType = UNSET
    archived: bool | UnsetType = UNSET
    marked_unread: bool | UnsetType = UNSET
    draft: str | UnsetType = UNSET


class Backfill(Frame, frozen=True):
    """`POST /conversations/{id}/backfill`: what a client lacks above a message or seq."""

    last_message_id: WireId | None = None
    after: Seq = 0
    limit: Annotated[int, Meta(ge=1, le=500)] | None = None


class Conversations(Frame, frozen=True):
    """A page of conversations: the pinned ones first, then the newest first."""

    results: list[ConversationObject]
    next_cursor: str | None
    has_more: bool


class Messages(Frame, frozen=True):
    """A page of messages in seq order."""

    results: list[Message]
    next_cursor: str | None
    has_more: bool


class Members(Frame, frozen=True):
    """A page of a conversation's members, in the order in which they came."""

    results: list[ConversationMember]
    next_cursor: str | None
    has_more: bool


class Sent(Frame, frozen=True):
    """The answer to a sent message: the message, and whether it had been sent before."""

    message: Message
    duplicate: bool


class Unread(Frame, frozen=True):
    """`GET /me/unread`."""

    total_unread: int
    chats: dict[str, int]


def given(wanted: msgspec.Struct) -> dict[str, Any]:
    """Return the fields of a body that were given, by their Python names."""
    return {name: value for name in wanted.__struct_fields__ if (value := getattr(wanted, name)) is not UNSET}
