"""A message before it is stored, and the result of storing it: the values of the send path."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from chat.ids import MessageId
from gateway.ids import ConversationId, UserId


class Draft(NamedTuple):
    """A message to be stored, checked by `chat/messages/validation.py: draft`."""

    conversation_id: ConversationId
    sender_id: UserId
    client_id: UUID
    content_type: str
    content: str
    data: dict[str, Any] | None
    reply_to: MessageId | None
    mentions: tuple[int, ...]
    priority: str
    last_seen_seq: int | None
    traceparent: str | None
    connection_id: int = 0
    everyone: bool = False
    attachments: tuple[int, ...] = ()


class Stored(NamedTuple):
    """The result of storing a draft: the row's values, and the further fields of its frame."""

    outcome: str
    id: MessageId
    seq: int
    rev: int
    created_at: datetime
    members_version: int
    hidden: bool
    blockers: list[int]
    sender_name: str
    reply_sender: str | None
    reply_excerpt: str | None
    root: int | None = None
    attachments: list[dict[str, Any]] | None = None

    @property
    def duplicate(self) -> bool:
        return self.outcome == "duplicate"
