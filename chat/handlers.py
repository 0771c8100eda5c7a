"""Frames of chat in, one call, results out."""

import asyncio
from typing import Any

from accounts.ids import from_wire
from chat import messages
from chat.frames import Focus, Send, wire_time
from chat.ingest import Stored, lane_of
from gateway import hub
from gateway.frames import Caller


def send(caller: Caller, frame: Send) -> "asyncio.Future[Stored]":
    """`message.send` (hot): what became of the message, once it is stored; `ack_of` makes the ack of it."""
    draft = messages.draft(
        conversation_id=from_wire(frame.chat_id),
        sender_id=caller.user_id,
        client_id=caller.frame_id,
        content=frame.content,
        content_type=frame.content_type,
        data=frame.data,
        reply_to=frame.reply_to,
        attachments=frame.attachments,
        mentions=frame.mentions,
        priority=frame.priority,
        last_seen_seq=frame.last_seen_seq,
        traceparent=caller.traceparent,
        connection_id=caller.connection_id,
    )
    return lane_of(draft.conversation_id).submit(draft)


def ack_of(stored: Stored) -> dict[str, Any]:
    """Return what a stored message's sender is told."""
    return {
        "messageId": str(stored.id),
        "seq": stored.seq,
        "rev": stored.rev,
        "createdAt": wire_time(stored.created_at),
        "duplicate": stored.duplicate,
    }


def focus(caller: Caller, frame: Focus) -> None:
    """`chat.focus` (hot): note which chat is on this device's screen."""
    connection = hub.current().connections.get(caller.connection_id)
    if connection is not None:
        connection.focus = from_wire(frame.chat_id) if frame.chat_id else None
