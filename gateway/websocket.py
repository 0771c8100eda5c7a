"""uvicorn's protocols with additions: a socket's application learns of pings, and may hand over whole frames.

A frame for a thousand members is serialized once, by `message`; where the protocol finds `raw` and the connection is
plainly open it writes those bytes as they are. Any other server sees an ordinary `websocket.send` with its text.
"""

import struct
from typing import Any

from django.conf import settings
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.protocol import State

TEXT_FRAME, BINARY_FRAME = 0x81, 0x82
HEARTBEAT = {"type": "websocket.receive"}
CLOSE_SECONDS = 5.0


def message(frame: bytes) -> dict[str, Any]:
    """Return the ASGI message of an encoded text frame; it may be shared by any number of connections."""
    return {"type": "websocket.send", "text": frame.decode(), "raw": _header(TEXT_FRAME, len(frame)) + frame}


def binary(content: bytes) -> dict[str, Any]:
    """Return the ASGI message of a binary frame."""
    return {"type": "websocket.send", "bytes": content, "raw": _header(BINARY_FRAME, len(content)) + content}


def _header(opcode: int, length: int) -> bytes:
    """Return the head of an unmasked, final frame (RFC 6455 5.2)."""
    if length < 126:
        return bytes((opcode, length))
    if length < 65536:
        return struct.pack("!BBH", opcode, 126, length)
    return struct.pack("!BBQ", opcode, 127, length)


class Http(HttpToolsProtocol):
    """uvicorn's HTTP connection, that does not wait for ever for its first request (protocol 2.6: 10 s)."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._patience = self.loop.call_later(settings.LIMITS.handshake_timeout, self._lose_patience)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over and be gone: parser and protocol hold each other, else until the collector comes."""
        super().handle_websocket_upgrade()
        self._patience.cancel()
        self.parser = None  # type: ignore[assignment]

    def _lose_patience(self) -> None:
        if self.cycle is None and self.transport.get_protocol() is self:
            self.transport.abort()


class Protocol(WebSocketsSansIOProtocol):
    """One socket of uvicorn. Compression must be off: raw frames are written past it.

    Raw frames of one turn of the event loop leave in one write: a batch's ack, message and receipts for a connection
    cost one system call.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unsent: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        """Take bytes. A handshake that cannot be read (a line above 8 KB) is answered and ended; uvicorn would wait on."""
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    def handle_cont(self, event: Frame) -> None:
        """Take a piece of a message; an empty one counts nowhere as long, and would be kept all the same."""
        if event.data or event.fin:
            super().handle_cont(event)

    def handle_ping(self) -> None:
        """Answer a ping, and let the application know of the sign of life (protocol 2.1, `ping`)."""
        super().handle_ping()
        if self.handshake_complete and not self.close_sent:
            self.queue.put_nowait(HEARTBEAT)  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        """Say 1006 where no close frame came before; uvicorn alone says what an empty one does (1005)."""
        if self.handshake_complete:
            self.queue.put_nowait({"type": "websocket.disconnect", "code": 1006})
        super().connection_lost(exc)

    async def send(self, message: Any) -> None:
        """Write a message; waits while the peer takes nothing."""
        raw = message.get("raw")
        if raw is None or not self.writable.is_set() or not self._plainly_open():
            self.flush()
            if message["type"] == "websocket.close" and self.handshake_complete:
                self._cut_soon()
            await super().send(message)
            return
        if not self._unsent:
            _write_soon(self)
        self._unsent.append(raw)

    def flush(self) -> None:
        """Write the raw frames of this turn."""
        if self._unsent:
            frames, self._unsent = self._unsent, []
            if self._plainly_open():
                self.transport.write(frames[0] if len(frames) == 1 else b"".join(frames))

    def shutdown(self) -> None:
        self.flush()
        super().shutdown()

    def _cut_soon(self) -> None:
        """Let the close frame follow what is written at once, and cut off a peer that does not read that far in time."""
        self.writable.set()
        self.loop.call_later(CLOSE_SECONDS, self.transport.abort)

    def _plainly_open(self) -> bool:
        return self.handshake_complete and not self.disconnected and self.conn.state is State.OPEN


_waiting: list[Protocol] = []


def _write_soon(protocol: Protocol) -> None:
    if not _waiting:
        protocol.loop.call_soon(_write_all)
    _waiting.append(protocol)


def _write_all() -> None:
    protocols = _waiting[:]
    _waiting.clear()
    for protocol in protocols:
        protocol.flush()
