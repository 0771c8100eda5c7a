"""uvicorn's protocol with our additions: what a client sends piece by piece costs no more than its length."""

import asyncio
from unittest.mock import Mock

import uvicorn
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode

from gateway.websocket import Protocol


async def test_empty_pieces_of_a_message_are_not_kept() -> None:
    """They count nothing towards the limit of a frame's size: a client could send them without end."""

    async def application(scope: object, receive: object, send: object) -> None: ...

    config = uvicorn.Config(application, ws=Protocol)
    config.load()
    protocol = Protocol(config, ServerState(), {}, asyncio.get_running_loop())
    protocol.transport = Mock(asyncio.Transport)
    protocol.handle_text(Frame(Opcode.TEXT, b'{"type":', fin=False))
    for _ in range(1000):
        protocol.handle_cont(Frame(Opcode.CONT, b"", fin=False))
    assert len(protocol.frames) == 1
    protocol.handle_cont(Frame(Opcode.CONT, b'"ping"}', fin=False))
    protocol.handle_cont(Frame(Opcode.CONT, b"", fin=True))
    assert protocol.queue.get_nowait() == {"type": "websocket.receive", "text": '{"type":"ping"}'}
