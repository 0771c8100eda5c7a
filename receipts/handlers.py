"""Marks over the socket: frames in, results out."""

import asyncio
from functools import partial

from accounts.ids import from_wire
from chat.ids import MessageId
from chat.messages import history
from gateway import hub, threads
from gateway.errors import InvalidPayload
from gateway.frames import Caller
from gateway.ids import ConversationId
from receipts.frames import DeliveredMark, ReadMark
from receipts.mark_writer import mark_writer
from receipts.marks import Mark

# A mark by message reads the database for its seq, and is charged as so many frames more than a mark by seq.
COST_BY_MESSAGE = 20


def delivered(caller: Caller, frame: DeliveredMark) -> "asyncio.Future[None]":
    """`message.delivered` (hot)."""
    return mark_writer().submit(
        Mark(caller.user_id, from_wire(frame.chat_id, ConversationId), frame.seq, 0, caller.device_id)
    )


def read(caller: Caller, frame: ReadMark) -> "asyncio.Future[None]":
    """`read.mark` (hot): a seq is recorded at once, a message after its seq was read."""
    chat = from_wire(frame.chat_id, ConversationId)
    if frame.seq is not None:
        return mark_writer().submit(Mark(caller.user_id, chat, 0, frame.seq, caller.device_id))
    if frame.message_id is None:
        raise InvalidPayload("up to which seq or message?", field="seq")
    if connection := hub.current().connections.get(caller.connection_id):
        connection.charge(0, COST_BY_MESSAGE)
    find = partial(history.seq_of, caller.user_id, chat, from_wire(frame.message_id, MessageId))
    return asyncio.ensure_future(_read_message(caller, chat, find))


async def _read_message(caller: Caller, chat: ConversationId, find: "partial[int]") -> None:
    await mark_writer().submit(Mark(caller.user_id, chat, 0, await threads.run(find), caller.device_id))
