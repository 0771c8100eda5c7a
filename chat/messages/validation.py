"""Validation of messages: the rules for a draft before it is stored."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.conf import settings

from accounts.ids import from_wire
from chat.drafts import Draft
from chat.ids import AttachmentId, MessageId
from chat.messages import content_types
from gateway.errors import ContentTooLong, InvalidPayload
from gateway.ids import ConversationId, UserId
from gateway.routes import TRACEPARENT

PRIORITIES = ("normal", "urgent")
# F23: with more members than these only admins mention everybody (chat_ingest judges it when a message is stored).
EVERYONE_MEMBERS = 20


def draft(
    *,
    conversation_id: ConversationId,
    sender_id: UserId,
    client_id: str,
    content: str = "",
    content_type: str = "text",
    data: Any = None,
    reply_to: str | None = None,
    attachments: Sequence[str] = (),
    mentions: Sequence[str] = (),
    priority: str = "normal",
    last_seen_seq: int | None = None,
    traceparent: str | None = None,
    connection_id: int = 0,
) -> Draft:
    """Return a message that may be stored; text is kept as typed. Whether it mentions everybody is read after the limits.

    Words may be missing where a file or data speaks. Raises InvalidPayload with the wire's field name, ContentTooLong.
    """
    if len(attachments) > settings.LIMITS.max_attachments:
        raise InvalidPayload(f"at most {settings.LIMITS.max_attachments} attachments", field="attachments")
    files = tuple(dict.fromkeys(from_wire(file, AttachmentId) for file in attachments))
    kept = content_types.checked(content_type, data, len(files))
    check_text(content, needed=not files and kept is None)
    if priority not in PRIORITIES:
        raise InvalidPayload(f"one of {', '.join(PRIORITIES)}", field="priority")
    check_mentions(mentions)
    return Draft(
        conversation_id=conversation_id,
        sender_id=sender_id,
        client_id=uuid_of(client_id),
        content_type=content_type,
        content=content,
        data=kept,
        reply_to=from_wire(reply_to, MessageId) if reply_to is not None else None,
        mentions=tuple(dict.fromkeys(from_wire(user, UserId) for user in mentions)),
        priority=priority,
        last_seen_seq=last_seen_seq,
        traceparent=traceparent,
        connection_id=connection_id,
        attachments=files,
    )


def check_mentions(mentions: Sequence[Any]) -> None:
    """Raise InvalidPayload for more people than a message may mention."""
    if len(mentions) > settings.LIMITS.max_mentions:
        raise InvalidPayload(f"at most {settings.LIMITS.max_mentions} mentions", field="mentions")


def uuid_of(text: str) -> UUID:
    """Return a client's id of a message (F42). Raises InvalidPayload."""
    try:
        return UUID(text)
    except ValueError:
        raise InvalidPayload("a UUID that the client makes for each message", field="id") from None


def trace_of(text: str | None) -> str | None:
    """Return a W3C trace context, None for an invalid one, which refuses nothing."""
    return text if text and TRACEPARENT(text) else None


def check_text(content: str, *, needed: bool) -> None:
    """Raise InvalidPayload or ContentTooLong for an invalid text; `needed` if it may not be blank."""
    active = settings.LIMITS
    if needed and not content.strip():
        raise InvalidPayload("a message has text", field="content")
    if "\0" in content:
        raise InvalidPayload("NUL is no text", field="content")
    if len(content) > active.max_content_chars:
        raise ContentTooLong(f"at most {active.max_content_chars} characters", field="content")
    try:
        size = len(content.encode())
    except UnicodeEncodeError:
        raise InvalidPayload("a lone surrogate is no text", field="content") from None
    if size > active.max_content_bytes:
        raise ContentTooLong(f"at most {active.max_content_bytes} bytes of UTF-8", field="content")
