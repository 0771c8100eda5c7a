"""Daphne with start and stop of the gateway: connections are closed before their applications are cancelled.

Daphne itself does not support ASGI's lifespan, and on SIGTERM cancels every application without a close frame.
"""

import asyncio
import logging
from functools import partial
from typing import Any

from daphne.server import Server
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from twisted.internet import defer, reactor

from config import asgi
from gateway import websocket

logger = logging.getLogger(__name__)
TEXT, BINARY = 1, 2  # RFC 6455 5.2
BUFFER_BYTES = 256 * 1024
MAX_WAITING = 32


class Inbox(asyncio.Queue[dict[str, Any]]):
    """The messages of a client that the gateway has not read. Above MAX_WAITING messages its socket is not read.

    Daphne alone would buffer without limit while the first frame is being handled.
    """

    def __init__(self, protocol: Any) -> None:
        super().__init__()
        self._protocol = protocol
        self._full = False

    def _put(self, item: dict[str, Any]) -> None:
        super()._put(item)
        if not self._full and self.qsize() > MAX_WAITING:
            self._full = True
            self._protocol.transport.pauseProducing()

    def _get(self) -> dict[str, Any]:
        item: dict[str, Any] = super()._get()
        if self._full and self.empty():
            self._full = False
            self._protocol.transport.resumeProducing()
        return item


class Socket(WebSocketProtocol):
    """Daphne's socket that reports pings to the application, which count as a sign of life (protocol 2.1).

    For a frame that is too large (1009) or not UTF-8 (1007) it sends the close code before it closes the connection.
    """

    def onConnect(self, request: Any) -> Any:
        self.failByDrop = False
        self.closeHandshakeTimeout = websocket.CLOSE_SECONDS
        return super().onConnect(request)

    def onOpen(self) -> None:
        super().onOpen()
        self.writable = asyncio.Event()
        self.writable.set()
        # Until now the HTTP channel was the producer that Twisted pauses when the buffer is full.
        self.transport.unregisterProducer()
        self.transport.registerProducer(self, True)
        # Twisted writes at the end of a loop iteration: a batch within one does not mean that the peer is slow.
        self.transport.bufferSize = BUFFER_BYTES

    def pauseProducing(self) -> None:
        """Make senders wait while the buffer is full (Daphne alone would buffer without limit)."""
        self.writable.clear()

    def resumeProducing(self) -> None:
        self.writable.set()

    def stopProducing(self) -> None:
        self.writable.set()

    def onPing(self, payload: bytes) -> None:
        super().onPing(payload)
        self.application_queue.put_nowait({"type": "websocket.receive"})

    def serverSend(self, content: str | bytes, binary: bool = False) -> None:
        """Write a frame. Daphne's own method refuses frames above the limit for clients' frames."""
        if self.state == self.STATE_OPEN:
            payload = content.encode() if isinstance(content, str) else content
            self.sendFrame(opcode=BINARY if binary else TEXT, payload=payload)


WebSocketFactory.protocol = Socket


class Daphne(Server):
    """daphne.server.Server that calls `config.asgi.start` and `stop`."""

    def run(self) -> None:
        reactor.callLater(0, self._start_gateway)  # type: ignore[arg-type]
        super().run()

    def _start_gateway(self) -> None:
        asyncio.ensure_future(asgi.start()).add_done_callback(self._check_start)

    def _check_start(self, start: "asyncio.Future[None]") -> None:
        if not start.cancelled() and start.exception():
            logger.critical("The gateway did not start", exc_info=start.exception())
            self.stop()

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        """Start the application of a request or socket and return the queue of its incoming messages."""
        if scope["type"] != "websocket":
            return super().create_application(protocol, scope)
        scope.setdefault("asgi", {"version": "3.0"})
        inbox = Inbox(protocol)
        send = partial(self.handle_reply, protocol)
        task = asyncio.ensure_future(self.application(scope=scope, receive=inbox.get, send=send))
        self.connections[protocol]["application_instance"] = task
        return inbox

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        """Forward a message. Daphne itself would drop the reason of a close frame, which says when to reconnect."""
        if (
            message["type"] == "websocket.close"
            and protocol in self.connections
            and protocol.state == protocol.STATE_OPEN
        ):
            protocol.sendClose(code=message.get("code") or 1000, reason=message.get("reason") or None)
        else:
            await super().handle_reply(protocol, message)
        if message["type"] == "websocket.send":
            await protocol.writable.wait()

    def kill_all_applications(self) -> Any:
        """Drain the gateway, then cancel the remaining applications. Twisted waits for the returned deferred."""
        return defer.Deferred.fromFuture(asyncio.ensure_future(self._stop_gateway()))

    async def _stop_gateway(self) -> None:
        try:
            await asgi.stop()
        finally:
            remaining = [
                details["application_instance"] for details in self.connections.values() if _is_running(details)
            ]
            for application in remaining:
                application.cancel()
            await asyncio.gather(*remaining, return_exceptions=True)


def _is_running(details: dict[str, Any]) -> bool:
    application = details.get("application_instance")
    return application is not None and not application.done()
