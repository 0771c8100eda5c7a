"""Frames that change messages in, one call, results out."""

from typing import Any

from accounts.ids import from_wire
from chat import deletions, edits, polls, reactions
from chat.frames import wire_time
from chat.message_frames import Delete, Edit, PollClose, PollVote, React
from gateway.frames import Caller


def edit(caller: Caller, frame: Edit) -> dict[str, Any]:
    """`message.edit`: the version that it now has."""
    people = [from_wire(user) for user in frame.mentions] if frame.mentions is not None else None
    edited = edits.edit(
        caller.user_id, from_wire(frame.message_id), frame.content, version=frame.version, mentions=people
    )
    return {
        "messageId": frame.message_id,
        "version": edited.version,
        "rev": edited.rev,
        "editedAt": wire_time(edited.edited_at),
    }


def delete(caller: Caller, frame: Delete) -> dict[str, Any]:
    """`message.delete`: the rev of the tombstone; none where it was deleted for oneself."""
    message_id = from_wire(frame.message_id)
    if frame.scope == "self":
        deletions.hide(caller.user_id, message_id)
        return {"messageId": frame.message_id, "rev": None}
    return {"messageId": frame.message_id, "rev": deletions.delete(caller.user_id, message_id)}


def react(caller: Caller, frame: React) -> dict[str, Any]:
    """`message.react`: all reactions that the message now has."""
    act = reactions.add if frame.action == "add" else reactions.remove
    reacted = act(caller.user_id, from_wire(frame.message_id), frame.emoji)
    return {"messageId": frame.message_id, "rev": reacted.rev, "reactions": reacted.reactions}


def vote(caller: Caller, frame: PollVote) -> dict[str, Any]:
    """`poll.vote`: the poll as it then is."""
    voted = polls.vote(caller.user_id, from_wire(frame.message_id), frame.options)
    return {"messageId": frame.message_id, "rev": voted.rev, "data": voted.data}


def close(caller: Caller, frame: PollClose) -> dict[str, Any]:
    """`poll.close`: the poll as it then is."""
    voted = polls.close(caller.user_id, from_wire(frame.message_id))
    return {"messageId": frame.message_id, "rev": voted.rev, "data": voted.data}
