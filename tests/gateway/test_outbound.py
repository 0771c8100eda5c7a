"""A connection's queue: frames are written at once to a writable socket, and else queued by importance."""

import asyncio
from typing import Any

import pytest

from gateway.frames import Class
from gateway.outbound import MOST_BYTES, Outbound, Overflow

Message = dict[str, Any]


class Peer:
    """A socket that is writable, blocked until released, or gone."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.gone = False

    async def send(self, message: Message) -> None:
        if self.gone:
            raise OSError("gone")
        await self.open.wait()
        self.taken.append(message["text"])


def text(name: str) -> Message:
    return {"type": "websocket.send", "text": name}


async def test_frame_is_written_synchronously_while_socket_is_writable() -> None:
    peer = Peer()
    out = Outbound(peer.send, limit=10)

    out.offer(text("one"), Class.MESSAGE)
    out.offer(text("two"), Class.TYPING)

    assert peer.taken == ["one", "two"]
    assert out.stuck_since == 0.0


async def test_queued_frames_are_written_by_importance_and_later_ones_at_once() -> None:
    peer = Peer()
    out = Outbound(peer.send, limit=10)
    peer.open.clear()

    out.offer(text("begun"), Class.MESSAGE)
    for name, cls in (
        ("typing", Class.TYPING),
        ("read", Class.RECEIPT),
        ("first", Class.MESSAGE),
        ("second", Class.MESSAGE),
    ):
        out.offer(text(name), cls)
    assert (peer.taken, len(out)) == ([], 4)
    assert out.stuck_since > 0
    peer.open.set()
    await out.flush()
    out.offer(text("later"), Class.TYPING)

    assert peer.taken == ["begun", "first", "second", "read", "typing", "later"]


async def test_full_queue_drops_least_important_frames_but_no_message() -> None:
    peer = Peer()
    out = Outbound(peer.send, limit=3)
    peer.open.clear()
    out.offer(text("begun"), Class.MESSAGE)

    for name, cls in (("typing", Class.TYPING), ("read", Class.RECEIPT), ("first", Class.MESSAGE)):
        out.offer(text(name), cls)
    out.offer(text("more typing"), Class.TYPING)
    out.offer(text("second"), Class.MESSAGE)
    out.offer(text("third"), Class.MESSAGE)
    with pytest.raises(Overflow):
        out.offer(text("fourth"), Class.MESSAGE)
    peer.open.set()
    await out.flush()

    assert peer.taken == ["begun", "first", "second", "third"]
    assert out.dropped == 4


async def test_queue_is_limited_in_bytes() -> None:
    """Without it, a client that requests syncs and reads none would fill the memory with a thousand answers."""
    peer = Peer()
    out = Outbound(peer.send, limit=1000)
    peer.open.clear()
    long = {**text("long"), "raw": bytes(MOST_BYTES // 4)}
    for cls in (Class.MESSAGE, Class.MESSAGE, Class.TYPING, Class.MESSAGE, Class.MESSAGE):
        out.offer(long, cls)
    out.offer(long, Class.TYPING)
    out.offer(long, Class.MESSAGE)
    assert len(out) == 4
    with pytest.raises(Overflow):
        out.offer(text("more") | {"raw": b"x"}, Class.MESSAGE)
    peer.open.set()
    await out.flush()
    assert len(peer.taken) == 5
    peer.open.clear()
    out.offer(long, Class.MESSAGE)
    out.offer({**text("longest"), "raw": bytes(2 * MOST_BYTES)}, Class.MESSAGE)
    assert len(out) == 1


async def test_write_to_closed_socket_neither_raises_nor_queues() -> None:
    peer = Peer()
    out = Outbound(peer.send, limit=3)
    peer.gone = True

    out.offer(text("one"), Class.MESSAGE)
    peer.gone = False
    out.offer(text("two"), Class.MESSAGE)

    assert out.failed
    assert peer.taken == []


async def test_queue_is_dropped_when_socket_closes_while_frames_wait() -> None:
    peer = Peer()
    out = Outbound(peer.send, limit=3)
    peer.open.clear()
    out.offer(text("begun"), Class.MESSAGE)
    out.offer(text("waiting"), Class.MESSAGE)

    peer.gone = True
    peer.open.set()
    await out.flush()

    assert out.failed
    assert (peer.taken, len(out)) == (["begun"], 0)


async def test_discarded_frames_are_not_written_when_socket_becomes_writable() -> None:
    peer = Peer()
    out = Outbound(peer.send, limit=3)
    peer.open.clear()
    out.offer(text("begun"), Class.MESSAGE)
    out.offer(text("waiting"), Class.MESSAGE)

    out.discard()
    await out.flush()
    peer.open.set()
    out.offer(text("later"), Class.MESSAGE)

    assert peer.taken == []
