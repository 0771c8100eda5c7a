"""The bodies of chat's REST routes (protocol 3, 3.1)."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from chat.frames import ConversationMember, ConversationObject, Message, Seq, WireId
from gateway.frames import Frame
from gateway.paging import Listing


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
    """`PATCH /conversations/{id}`: the fields that are present are changed."""

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
    """`POST /conversations/{id}/backfill`: the messages after a message or seq."""

    last_message_id: WireId | None = None
    after: Seq = 0
    limit: Annotated[int, Meta(ge=1, le=500)] | None = None


class Conversations(Listing[ConversationObject], frozen=True):
    """A page of conversations: the pinned ones first, then the newest first."""


class Messages(Listing[Message], frozen=True):
    """A page of messages in seq order."""


class Members(Listing[ConversationMember], frozen=True):
    """A page of a conversation's members, in the order in which they came."""


class Sent(Frame, frozen=True):
    """The answer to a sent message: the message, and whether it had been sent before."""

    message: Message
    duplicate: bool


class Unread(Frame, frozen=True):
    """`GET /me/unread`."""

    total_unread: int
    chats: dict[str, int]
