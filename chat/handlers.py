"""Frames of chat in, one call, results out."""

import asyncio
from typing import Any

from accounts.ids import from_wire
from chat.drafts import Stored
from chat.frames import Delete, Edit, Focus, PollClose, PollVote, React, Send, SyncRequest, wire_time
from chat.ids import MessageId
from chat.messages import deletions, edits, polls, reactions, validation
from chat.messages.ingest import lane_of
from chat.sync.requests import answer_request
from gateway import codec, hub
from gateway.frames import Caller
from gateway.ids import ConversationId, UserId
from gateway.routes import Answer

CHATS_CHARGED = 20


def send(caller: Caller, frame: Send) -> "asyncio.Future[Stored]":
    """`message.send` (hot): a future of the stored message; `ack_of` makes its ack."""
    draft = validation.draft(
        conversation_id=from_wire(frame.chat_id, ConversationId),
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
    """Return the ack of a stored message."""
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
        connection.focus = from_wire(frame.chat_id, ConversationId) if frame.chat_id else None


def edit(caller: Caller, frame: Edit) -> dict[str, Any]:
    """`message.edit`: the version that it now has."""
    people = [from_wire(user, UserId) for user in frame.mentions] if frame.mentions is not None else None
    edited = edits.edit(
        caller.user_id, from_wire(frame.message_id, MessageId), frame.content, version=frame.version, mentions=people
    )
    return {
        "messageId": frame.message_id,
        "version": edited.version,
        "rev": edited.rev,
        "editedAt": wire_time(edited.edited_at),
    }


def delete(caller: Caller, frame: Delete) -> dict[str, Any]:
    """`message.delete`: the rev of the tombstone; none where it was deleted for oneself."""
    message_id = from_wire(frame.message_id, MessageId)
    if frame.scope == "self":
        deletions.hide(caller.user_id, message_id)
        return {"messageId": frame.message_id, "rev": None}
    return {"messageId": frame.message_id, "rev": deletions.delete(caller.user_id, message_id)}


def react(caller: Caller, frame: React) -> dict[str, Any]:
    """`message.react`: all reactions that the message now has."""
    act = reactions.add if frame.action == "add" else reactions.remove
    reacted = act(caller.user_id, from_wire(frame.message_id, MessageId), frame.emoji)
    return {"messageId": frame.message_id, "rev": reacted.rev, "reactions": reacted.reactions}


def vote(caller: Caller, frame: PollVote) -> dict[str, Any]:
    """`poll.vote`: the poll as it then is."""
    voted = polls.vote(caller.user_id, from_wire(frame.message_id, MessageId), frame.options)
    return {"messageId": frame.message_id, "rev": voted.rev, "data": voted.data}


def close(caller: Caller, frame: PollClose) -> dict[str, Any]:
    """`poll.close`: the poll as it then is."""
    voted = polls.close(caller.user_id, from_wire(frame.message_id, MessageId))
    return {"messageId": frame.message_id, "rev": voted.rev, "data": voted.data}


def synchronise(caller: Caller, frame: SyncRequest) -> Answer:
    """`sync.request`: a `sync.response`, then the ack."""
    _charge(caller, frame)
    response = answer_request(caller.viewer, frame)
    return Answer(codec.frame("sync.response", response), {})


def backfill(caller: Caller, frame: SyncRequest) -> Answer:
    """`request-backfill`, an older name of `sync.request`: a `backfill-messages`, then the ack (F369)."""
    _charge(caller, frame)
    response = answer_request(caller.viewer, frame)
    return Answer(codec.frame("backfill-messages", response), {})


def _charge(caller: Caller, frame: SyncRequest) -> None:
    """Charge a request by the chats that it names, besides its route's cost."""
    if frame.chats and (connection := hub.current().connections.get(caller.connection_id)):
        connection.charge(0, len(frame.chats) // CHATS_CHARGED)
