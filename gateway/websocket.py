"""uvicorn's protocols, extended: the application is notified of pings, and may send frames that are already serialized.

A frame for a thousand members is serialized once, by `message`. If the connection is open, the protocol writes the
bytes of `raw` unchanged. Other servers ignore `raw` and send the text.
"""

import asyncio
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
HEADER_BYTES = 64 * 1024
HEADERS_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def message(frame: bytes) -> dict[str, Any]:
    """Return the ASGI message of an encoded text frame. Any number of connections may share it."""
    return {"type": "websocket.send", "text": frame.decode(), "raw": _header(TEXT_FRAME, len(frame)) + frame}


def binary(content: bytes) -> dict[str, Any]:
    """Return the ASGI message of a binary frame."""
    return {"type": "websocket.send", "bytes": content, "raw": _header(BINARY_FRAME, len(content)) + content}


def _header(opcode: int, length: int) -> bytes:
    """Return the header of an unmasked, final frame (RFC 6455 5.2)."""
    if length < 126:
        return bytes((opcode, length))
    if length < 65536:
        return struct.pack("!BBH", opcode, 126, length)
    return struct.pack("!BBQ", opcode, 127, length)


class Http(HttpToolsProtocol):
    """uvicorn's HTTP connection. Each request has `handshake_timeout` (protocol 2.6: 10 s) and HEADER_BYTES for its headers."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._header_bytes = 0
        self._await_headers()

    def data_received(self, data: bytes) -> None:
        """Receive bytes. Answers 431 to a request whose headers are too long."""
        super().data_received(data)
        if self._header_timer is not None and self.parser is not None:
            self._header_bytes += len(data)
            if self._header_bytes > HEADER_BYTES:
                self.transport.write(HEADERS_TOO_LONG)
                self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_headers()

    def on_headers_complete(self) -> None:
        self._headers_have_come()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers_have_come()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over, and break the cycle of parser and protocol so that both are freed at once."""
        super().handle_websocket_upgrade()
        self._headers_have_come()
        self.parser = None  # type: ignore[assignment]

    def _await_headers(self) -> None:
        """Start the time for the headers of a request, or go on with that of the connection's first one."""
        if self._header_timer is None:
            self._header_bytes = 0
            self._header_timer = self.loop.call_later(settings.LIMITS.handshake_timeout, self._abort)

    def _headers_have_come(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _abort(self) -> None:
        if self.transport.get_protocol() is self:
            self.transport.abort()

    _header_timer: asyncio.TimerHandle | None = None


class Protocol(WebSocketsSansIOProtocol):
    """uvicorn's socket. Compression must be off, because raw frames are written past it.

    All raw frames of one turn of the event loop are written together: ack, message and receipts of a batch cost one
    system call for each connection.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unsent: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        """Receive bytes.

        Answers and closes an unreadable handshake (a line above 8 KB), on which uvicorn would wait.
        """
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    def handle_cont(self, event: Frame) -> None:
        """Receive a fragment of a message. Drops empty ones, which fill the memory and count for no size limit."""
        if event.data or event.fin:
            super().handle_cont(event)

    def handle_ping(self) -> None:
        """Answer a ping, and notify the application of the sign of life (protocol 2.1, `ping`)."""
        super().handle_ping()
        if self.handshake_complete and not self.close_sent:
            self.queue.put_nowait(HEARTBEAT)  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        """Report 1006 if no close frame came before; uvicorn alone reports 1005, as for an empty close frame."""
        if self.handshake_complete:
            self.queue.put_nowait({"type": "websocket.disconnect", "code": 1006})
        super().connection_lost(exc)

    async def send(self, message: Any) -> None:
        """Write a message. Waits while the peer reads nothing."""
        raw = message.get("raw")
        if raw is None or not self.writable.is_set() or not self._is_open():
            self.flush()
            if message["type"] == "websocket.close" and self.handshake_complete:
                self._abort_later()
            await super().send(message)
            return
        if not self._unsent:
            _write_soon(self)
        self._unsent.append(raw)

    def flush(self) -> None:
        """Write the raw frames of this turn of the event loop."""
        if self._unsent:
            frames, self._unsent = self._unsent, []
            if self._is_open():
                self.transport.write(frames[0] if len(frames) == 1 else b"".join(frames))

    def shutdown(self) -> None:
        self.flush()
        super().shutdown()

    def _abort_later(self) -> None:
        """Write the close frame at once, and abort if the peer does not read that far within CLOSE_SECONDS."""
        self.writable.set()
        self.loop.call_later(CLOSE_SECONDS, self.transport.abort)

    def _is_open(self) -> bool:
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
