"""uvicorn's protocol with our additions: memory of fragments and of closed HTTP protocols."""

import asyncio
import gc
import weakref
from unittest.mock import Mock

import uvicorn
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode

from bench import echo
from gateway.websocket import Http, Protocol


async def test_empty_fragments_of_a_message_use_no_memory() -> None:
    """Empty fragments do not count for the size limit: a client could send them without end."""

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


HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def test_http_protocol_is_freed_once_socket_is_open() -> None:
    """Without the garbage collector, which runs rarely: some kilobytes for each connection."""
    config = uvicorn.Config(echo.application, ws=Protocol)
    config.load()
    spoke: list[weakref.ref[Http]] = []

    def accept() -> Http:
        http = Http(config, ServerState(), {}, asyncio.get_running_loop())
        spoke.append(weakref.ref(http))
        return http

    gc.disable()
    try:
        server = await asyncio.get_running_loop().create_server(accept, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(HANDSHAKE)
        assert b"101 Switching" in await reader.readuntil(b"\r\n\r\n")
        assert [ref() for ref in spoke] == [None]
        writer.close()
        server.close()
        await server.wait_closed()
    finally:
        gc.enable()
