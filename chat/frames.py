"""The frames and wire objects of chat: protocol 2.1, 2.2, 2.3, 3.1, as closed structs. Bounds that are settings are checked where the rule lives."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway import codec
from gateway.frames import Frame

WireId = Annotated[str, Meta(pattern=r"^[0-9]{1,19}$")]
Seq = Annotated[int, Meta(ge=0, le=2**62)]


class Send(Frame, frozen=True):
    """`message.send`: stores, then acks, then fans out. The envelope's id is the idempotency key (a UUID)."""

    chat_id: WireId
    content: str = ""
    content_type: str = "text"
    data: Any = None
    reply_to: WireId | None = None
    attachments: list[WireId] = []
    mentions: list[WireId] = []
    priority: str = "normal"
    last_seen_seq: Seq | None = None


class Watermark(Frame, frozen=True):
    """A client's state of a chat: all messages to `seq`, all changes to `rev`."""

    seq: Seq
    rev: Seq = 0


class SyncRequest(Frame, frozen=True):
    """`sync.request`: gap-fill for all chats at once, or for one by its last message."""

    chats: dict[WireId, Watermark] | None = None
    chat_id: WireId | None = None
    last_message_id: WireId | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] | None = None


class Focus(Frame, frozen=True):
    """`chat.focus`: the chat on this device's screen, or none."""

    chat_id: WireId | None = None


class Person(Frame, frozen=True):
    """A user as others see one."""

    id: str
    display_name: str


class Quote(Frame, frozen=True):
    """The message that one replies to, in short."""

    id: str
    sender_name: str
    excerpt: str


class Message(Frame, frozen=True):
    """The message object (protocol 2.3). `state` stands last, for its sender only. Fields that are UNSET are left out."""

    id: str
    chat_id: str
    seq: int
    rev: int
    client_id: str
    version: int
    sender: Person
    content_type: str
    content: str
    data: Any
    reply_to: Quote | None
    attachments: list[Any]
    mentions: list[str]
    reactions: list[Any]
    priority: str
    status: str
    created_at: str
    edited_at: str | None
    last_seen_seq: int | None
    expires_at: str | None = None
    thread_id: str | UnsetType = UNSET
    reply_count: int | UnsetType = UNSET
    last_reply_seq: int | UnsetType = UNSET
    mentions_all: bool | UnsetType = UNSET
    deleted_by: str | UnsetType = UNSET
    state: str | UnsetType = UNSET


class MessageNew(Frame, frozen=True):
    """`message.new`: to every member's connections but the one that sent it."""

    chat_id: str
    message: Message


class MessageUpdated(Frame, frozen=True):
    """`message.updated`: a message in its latest state; a client without the message adds it."""

    chat_id: str
    message: Message


class MessageDeleted(Frame, frozen=True):
    """`message.deleted`: for everyone (with its rev), or on all devices of one user (without)."""

    chat_id: str
    message_id: str
    seq: int
    rev: int | None
    by: str


class MessageReaction(Frame, frozen=True):
    """`message.reaction`: all reactions of a message, as the message object has them."""

    chat_id: str
    message_id: str
    rev: int
    reactions: list[Any]


class ConversationMember(Frame, frozen=True):
    """A member as conversation objects list them."""

    n: int
    user_id: str
    display_name: str
    role: str
    joined_seq: int
    delivered_seq: int
    read_seq: int


class ConversationObject(Frame, frozen=True):
    """A conversation as its member sees it (protocol 3.1)."""

    id: str
    kind: str
    name: str
    topic: str
    avatar_url: str
    team_id: str | None
    seq: int
    rev: int
    members_version: int
    member_count: int
    members: list[ConversationMember]
    last_message: Message | None
    unread_count: int
    mention_count: int
    pinned: bool
    archived: bool
    muted_until: str | None
    marked_unread: bool
    blocked: bool
    draft: str | None
    private: bool
    shares_history: bool
    created_at: str
    created_by: str


class ChatChanged(Frame, frozen=True, omit_defaults=True):
    """`chat.created`, `chat.updated`, `chat.removed`: joined, changed, left or removed."""

    chat_id: str
    chat: ConversationObject | None = None
    rev: int | None = None


class SyncChat(Frame, frozen=True):
    """One chat of a `sync.response`: what changed since the client's watermark, and the new one.

    `hidden` are the messages that the viewer deleted for themself; `chat` comes where its settings changed.
    """

    chat_id: str
    messages: list[Message]
    members: list[ConversationMember]
    seq: int
    rev: int
    has_more: bool
    too_large: bool
    cursor: str | None
    hidden: list[str] = []
    chat: ConversationObject | None = None


class SyncResponse(Frame, frozen=True):
    """`sync.response`."""

    chats: list[SyncChat]
    removed: list[str]
    has_more: bool
    cursor: str | None
    badges: dict[str, int]
    presence: list[Any] = []


def wire_json(value: str | None) -> Any:
    """Return a jsonb column's value: Django's cursors give its text."""
    return msgspec.json.decode(value) if value is not None else None


def wire_time(at: datetime | None) -> str | None:
    """Return a time as the wire writes it, None for none."""
    return codec.timestamp(at) if at else None


class Edit(Frame, frozen=True):
    """`message.edit`: by its author, within the window; a stale `version` is a VERSION_CONFLICT."""

    message_id: WireId
    content: str
    version: int | None = None
    mentions: list[WireId] | None = None


class Delete(Frame, frozen=True):
    """`message.delete`: for everyone (by its author within the window, or an admin), or for oneself."""

    message_id: WireId
    scope: Literal["everyone", "self"] = "everyone"


class React(Frame, frozen=True):
    """`message.react`: adds one's emoji or takes it away; idempotent."""

    message_id: WireId
    emoji: str
    action: Literal["add", "remove"]


Options = Annotated[list[int], Meta(max_length=20)]


class PollVote(Frame, frozen=True):
    """`poll.vote`: the places of the chosen options, in place of those chosen before; none takes the vote back."""

    message_id: WireId
    options: Options


class PollClose(Frame, frozen=True):
    """`poll.close`: by its author or an admin, for good."""

    message_id: WireId
