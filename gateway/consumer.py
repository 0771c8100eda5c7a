"""The life of a socket: handshake, then frame after frame: decoded, passed to its handler, answered (protocol 2)."""

import asyncio
import logging
import secrets
import time
from typing import Any, NamedTuple

import msgspec
from channels.consumer import AsyncConsumer
from django.conf import settings
from django.db import InterfaceError, OperationalError

from gateway import codec, connection_registry, handshake, hub, indicators, threads
from gateway.connection import Connection
from gateway.errors import BadFrame, Closed, Internal, Overloaded, Refused, UnknownType
from gateway.frames import AuthRenew, Caller, Envelope, ErrorBody, ErrorFrame
from gateway.routes import TRACEPARENT, Answer, Compiled, Route, Wiring, compile_routes
from gateway.shedding import Load

logger = logging.getLogger(__name__)
BAD_FRAME_WINDOW = 60.0
ABNORMAL = 1006
FAILED = 1011
# The client closed it (with a code or none), or the server signed it out or replaced it. Any other code is a loss.
INTENTIONAL = {1000, 1001, 1005, 4401, 4409}
# Each is a frame of its own to its handler; those of one chat and state are merged.
INDICATOR_BYTES_CHARGED = 32
RENEW = Route(AuthRenew, handle=lambda caller, frame: None)


class ChatIndicator(NamedTuple):
    """One indicator from a client: the flags of its state, the conversation, and the seq of a receipt."""

    state: int
    chat: int
    seq: int


_renewal_decoder = msgspec.json.Decoder(AuthRenew)


class Gateway(AsyncConsumer):
    """One socket. `__call__` has its own loop: Channels' dispatch costs 50 µs a frame and a channel for each socket."""

    def __init__(self, wiring: Wiring, table: dict[str, Compiled], load: Load) -> None:
        self.wiring = wiring
        self.table = table
        self.load = load
        self.most_in_flight = settings.LIMITS.in_flight

    async def __call__(self, scope: handshake.Scope, receive: handshake.Receive, send: Any) -> None:
        await receive()  # websocket.connect
        request = handshake.parse(scope)
        number, subprotocol = handshake.negotiate_version(request, scope.get("subprotocols", []))
        await send({"type": "websocket.accept", "subprotocol": subprotocol})
        try:
            if number != settings.PROTOCOL_VERSION:
                await send({"type": "websocket.send", "text": upgrade_required().decode()})
                raise Closed(4426, "version")
            session = await handshake.authenticate(self.wiring, request, self.load, draining=hub.current().draining)
        except Closed as closed:
            await send({"type": "websocket.close", "code": closed.code, "reason": closed.reason})
            return
        connection = Connection(_new_id(), session, send, limit=settings.LIMITS.send_buffer_frames)
        code = ABNORMAL
        try:
            await handshake.admit(connection, self.wiring, request)
            code = await self.read_frames(connection, receive)
        except Closed as closed:
            connection.close(closed.code, closed.reason)
            await connection.closed
        finally:
            await self.disconnect(connection, code)

    async def disconnect(self, connection: Connection, code: int) -> None:
        """Remove a connection that ended with a close code. Its sends in flight are still stored."""
        # A failed write closes with 1011, but its peer may have sent a close frame before.
        connection.code = connection.code if connection.code not in (0, FAILED) else code
        hub.current().remove(connection)
        connection.discard_output()
        for closing in self.wiring.closing:
            closing(connection, connection.code in INTENTIONAL)
        await connection_registry.unregister(connection)

    async def read_frames(self, connection: Connection, receive: handshake.Receive) -> int:
        """Read and handle frames until the socket closes. Return its close code."""
        local_hub = hub.current()
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return ABNORMAL if local_hub.draining else message.get("code") or ABNORMAL
            connection.record_activity()
            if connection.closing or local_hub.draining:
                continue  # not acked: the client sends it again elsewhere
            text, content = message.get("text"), message.get("bytes")
            if text is not None:
                wait = connection.charge(len(text))
            elif content is not None:
                wait = connection.charge(len(content), 1 + len(content) // INDICATOR_BYTES_CHARGED)
            else:
                continue  # a ping of the WebSocket protocol
            if wait:
                await asyncio.sleep(wait)
                if connection.closing:
                    continue
            try:
                if text is not None:
                    await self.handle(connection, codec.read_envelope(text))
                elif content is not None:
                    await self.handle_indicators(connection, read_indicators(connection, content))
            except BadFrame as refusal:
                self.refuse_bad_frame(connection, refusal)

    async def handle(self, connection: Connection, envelope: Envelope) -> None:
        """Handle one frame.

        A hot frame is only started here; any other waits for the hot frames before it, and finishes here.
        """
        if envelope.type == "ping":
            connection.flush_receipts()
            connection.write(codec.frame("pong", {}))
            return
        if envelope.type == "auth.renew":
            await self.renew(connection, envelope)
            return
        compiled = self.table.get(envelope.type)
        if compiled is None:
            name = envelope.type[:40]
            connection.write(_error(UnknownType(f"there is no frame {name!r}"), envelope.id))
            return
        route, decoder = compiled
        if route.cost > 1:
            connection.charge(0, route.cost - 1)
        if not route.automatic:
            connection.active_at = connection.heard_at
        try:
            payload = codec.read_payload(decoder, envelope.payload)
            if route.hot:
                await self.start(connection, envelope, route, payload)
                return
            if connection.in_flight:
                await asyncio.wait(connection.in_flight)
            result = await threads.run(route.handle, _caller(connection, envelope), payload)
            answer(connection, envelope, route, result)
        except Exception as fault:
            refuse(connection, envelope, route, fault)

    async def handle_indicators(self, connection: Connection, claims: list[ChatIndicator]) -> None:
        """Handle the indicators of one binary frame, each like its text frame.

        Raises BadFrame for a state of the server's.
        """
        rows = [self.wiring.indicators.get(state) for state, _, _ in claims]
        if None in rows:
            raise BadFrame("only the server says that a message is sent")
        for (_, chat, seq), row in zip(claims, rows, strict=True):
            assert row is not None
            envelope, route = Envelope(type=row.type), self.table[row.type].route
            if not route.automatic:
                connection.active_at = connection.heard_at
            try:
                await self.start(connection, envelope, route, row.frame(str(chat), seq))
            except Exception as fault:
                refuse(connection, envelope, route, fault)

    async def start(self, connection: Connection, envelope: Envelope, route: Route, payload: Any) -> None:
        if len(connection.in_flight) >= self.most_in_flight:
            await asyncio.wait(connection.in_flight, return_when=asyncio.FIRST_COMPLETED)
        caller = _caller(connection, envelope)
        for hook in route.before:
            hook(caller, payload)
        future = route.handle(caller, payload)
        if future is None:
            if route.acked:
                answer(connection, envelope, route, None)
            return
        connection.in_flight.add(future)

        def done(future: "asyncio.Future[Any]") -> None:
            connection.in_flight.discard(future)
            try:
                answer(connection, envelope, route, future.result())
            except (Exception, asyncio.CancelledError) as fault:
                refuse(connection, envelope, route, fault)

        future.add_done_callback(done)

    async def renew(self, connection: Connection, envelope: Envelope) -> None:
        """Handle `auth.renew`, the only frame that changes the connection itself."""
        try:
            payload = codec.read_payload(_renewal_decoder, envelope.payload)
            connection.session = await threads.run(self.wiring.renew, connection.session, payload.token)
            connection.warned = False
            answer(connection, envelope, RENEW, None)
        except Exception as fault:
            refuse(connection, envelope, RENEW, fault)

    def refuse_bad_frame(self, connection: Connection, refusal: BadFrame) -> None:
        """Answer an unreadable frame. The 20th within a minute closes the connection (protocol 2.6)."""
        now = time.monotonic()
        connection.bad_frames = [at for at in connection.bad_frames if now - at < BAD_FRAME_WINDOW] + [now]
        connection.write(_error(refusal, None))
        if len(connection.bad_frames) >= settings.LIMITS.bad_frames:
            connection.close(4400, "too many malformed frames")


def read_indicators(connection: Connection, content: bytes) -> list[ChatIndicator]:
    """Return the indicators of a binary frame, merged to the highest seq of each chat and state. Raises BadFrame."""
    if connection.chats is None:
        raise BadFrame("binary frames need the capability compact-indicators")
    if len(content) > settings.LIMITS.indicator_bytes:
        raise BadFrame(f"at most {settings.LIMITS.indicator_bytes} bytes of indicators in one frame")
    highest: dict[tuple[int, int], int] = {}
    for state, alias, seq in indicators.decode(content):
        if not 0 < alias <= len(connection.chats):
            raise BadFrame(f"there is no alias {alias}")
        highest[state, alias] = max(seq, highest.pop((state, alias), 0))
    return [ChatIndicator(state, connection.chats[alias - 1], seq) for (state, alias), seq in highest.items()]


def answer(connection: Connection, envelope: Envelope, route: Route, result: Any) -> None:
    """Send the `ack` of a frame that succeeded, if its type has one."""
    if isinstance(result, Answer):
        connection.write(result.frame)
        result = result.result
    if route.acked:
        fields = route.reply(result) if route.reply else result or {}
        connection.write(codec.frame("ack", {"refId": envelope.id, "status": "ok", **fields}))


def refuse(connection: Connection, envelope: Envelope, route: Route, fault: BaseException) -> None:
    """Answer a frame that failed.

    A fault that is neither a refusal nor an outage is a bug, and logged with its traceback.
    """
    refusal = as_refusal(fault, envelope)
    if not route.acked:
        connection.write(_error(refusal, envelope.id))
        return
    payload = {"refId": envelope.id, "status": "error", "error": body(refusal)}
    connection.write(codec.frame("ack", payload))


def as_refusal(fault: BaseException, envelope: Envelope) -> Refused:
    if isinstance(fault, Refused):
        return fault
    if isinstance(fault, OperationalError | InterfaceError):
        logger.warning("%s: the database is unavailable (%s)", envelope.type, type(fault).__name__)
        return Overloaded(retry_after=5)
    logger.error("%s failed, trace %s", envelope.type, envelope.traceparent, exc_info=fault)
    return Internal()


def body(refusal: Refused) -> ErrorBody:
    """Return the body of a refusal for an ack."""
    return ErrorBody(code=refusal.code, message=refusal.message, retry_after=refusal.retry_after, field=refusal.field)


def _error(refusal: Refused, ref_id: str | None) -> bytes:
    shared = body(refusal)
    payload = ErrorFrame(
        code=shared.code, message=shared.message, retry_after=shared.retry_after, field=shared.field, ref_id=ref_id
    )
    return codec.frame("error", payload)


def upgrade_required() -> bytes:
    """Return the only frame that a client of another version gets. Its message says where the latest client is."""
    refusal = handshake.UpgradeRequired(f"this server speaks parley.v{settings.PROTOCOL_VERSION}; the client is at /")
    return _error(refusal, None)


def _caller(connection: Connection, envelope: Envelope) -> Caller:
    trace = envelope.traceparent
    session = connection.session
    return Caller(
        session.user_id,
        session.device_id,
        connection.id,
        envelope.id or "",
        trace if trace and TRACEPARENT(trace) else None,
    )


def _new_id() -> int:
    """Return a new connection id: Unix milliseconds, then 22 random bits.

    A user's lowest id is the oldest connection.
    """
    return int(time.time() * 1000) << 22 | secrets.randbits(22)


class UnknownAddress(AsyncConsumer):
    """Refuses the handshake at any other address."""

    async def __call__(self, scope: handshake.Scope, receive: handshake.Receive, send: Any) -> None:
        await receive()
        await send({"type": "websocket.close", "code": 4404, "reason": "the socket is at /ws/v1"})


def unknown_address() -> Any:
    """Return the ASGI application for all other socket addresses."""
    return UnknownAddress.as_asgi()  # type: ignore[no-untyped-call]


def application(wiring: Wiring, load: Load) -> Any:
    """Return the ASGI application for `/ws/v1`, with the frame table compiled."""
    table = compile_routes(wiring)
    return Gateway.as_asgi(  # type: ignore[no-untyped-call]
        wiring=wiring, table=table, load=load
    )
