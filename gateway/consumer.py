"""The socket's life: handshake, then frames one after the other, each to its handler, each answered as protocol 2 says."""

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
# A client that says goodbye (with a code or none), and a server that signs it out or replaces it. The rest is a loss.
INTENTIONAL = {1000, 1001, 1005, 4401, 4409}
RENEW = Route(AuthRenew, handle=lambda caller, frame: None)


class ChatIndicator(NamedTuple):
    """One indicator from a client: its state's flags, the conversation, the seq of a receipt."""

    state: int
    chat: int
    seq: int


_renewal_decoder = msgspec.json.Decoder(AuthRenew)


class Gateway(AsyncConsumer):
    """One socket. The stock dispatch costs 50 µs a frame and a channel for each socket: `__call__` has its own loop."""

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
        """Forget a connection that ended with a close code; sends in flight are still stored."""
        # A write that failed closes with 1011, but a peer that has gone before it may have said goodbye.
        connection.code = connection.code if connection.code not in (0, FAILED) else code
        hub.current().remove(connection)
        connection.discard_output()
        self.wiring.closing(connection, connection.code in INTENTIONAL)
        await connection_registry.unregister(connection)

    async def read_frames(self, connection: Connection, receive: handshake.Receive) -> int:
        """Take frames until the socket closes; return its close code."""
        local = hub.current()
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return ABNORMAL if local.draining else message.get("code") or ABNORMAL
            connection.record_activity()
            if connection.closing or local.draining:
                continue  # not acked: the client sends it again elsewhere
            text = message.get("text")
            try:
                if text is not None:
                    await self.handle(connection, codec.read_envelope(text))
                elif message.get("bytes") is not None:
                    await self.handle_indicators(connection, read_indicators(connection, message["bytes"]))
            except BadFrame as refusal:
                self.refuse_bad_frame(connection, refusal)

    async def handle(self, connection: Connection, envelope: Envelope) -> None:
        """Handle one frame. A hot one is only begun local; any other waits for the hot ones before it, and is finished."""
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

    async def handle_indicators(self, connection: Connection, told: list[ChatIndicator]) -> None:
        """Handle the indicators of one binary frame, each as the text frame that says the same. Raises BadFrame."""
        rows = [self.wiring.indicators.get(state) for state, _, _ in told]
        if None in rows:
            raise BadFrame("only the server says that a message is sent")
        for (_, chat, seq), row in zip(told, rows, strict=True):
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
        if route.before is not None:
            route.before(_caller(connection, envelope), payload)
        future = route.handle(_caller(connection, envelope), payload)
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
        """`auth.renew`: the one frame that changes the connection itself."""
        try:
            payload = codec.read_payload(_renewal_decoder, envelope.payload)
            connection.session = await threads.run(self.wiring.renew, connection.session, payload.token)
            connection.warned = False
            answer(connection, envelope, RENEW, None)
        except Exception as fault:
            refuse(connection, envelope, RENEW, fault)

    def refuse_bad_frame(self, connection: Connection, refusal: BadFrame) -> None:
        """Answer a frame that could not be read; the 20th within a minute ends the connection (protocol 2.6)."""
        now = time.monotonic()
        connection.bad_frames = [at for at in connection.bad_frames if now - at < BAD_FRAME_WINDOW] + [now]
        connection.write(_error(refusal, None))
        if len(connection.bad_frames) >= settings.LIMITS.bad_frames:
            connection.close(4400, "too many malformed frames")


def read_indicators(connection: Connection, content: bytes) -> list[ChatIndicator]:
    """Return what a binary frame says, a chat's highest seq of each state once. Raises BadFrame: nothing of it counts."""
    if connection.chats is None:
        raise BadFrame("binary frames need the capability compact-indicators")
    highest: dict[tuple[int, int], int] = {}
    for state, alias, seq in indicators.decode(content):
        if not 0 < alias <= len(connection.chats):
            raise BadFrame(f"there is no alias {alias}")
        highest[state, alias] = max(seq, highest.pop((state, alias), 0))
    return [ChatIndicator(state, connection.chats[alias - 1], seq) for (state, alias), seq in highest.items()]


def answer(connection: Connection, envelope: Envelope, route: Route, result: Any) -> None:
    """Send the `ack` of a frame that succeeded, where its type has one."""
    if isinstance(result, Answer):
        connection.write(result.frame)
        result = result.result
    if route.acked:
        fields = route.reply(result) if route.reply else result or {}
        connection.write(codec.frame("ack", {"refId": envelope.id, "status": "ok", **fields}))


def refuse(connection: Connection, envelope: Envelope, route: Route, fault: BaseException) -> None:
    """Answer a frame that failed; what is neither a refusal nor an outage is a bug and logged with its trace."""
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
        logger.warning("%s: the database is away (%s)", envelope.type, type(fault).__name__)
        return Overloaded(retry_after=5)
    logger.error("%s failed, trace %s", envelope.type, envelope.traceparent, exc_info=fault)
    return Internal()


def body(refusal: Refused) -> ErrorBody:
    """Return a refusal as it stands in an ack."""
    return ErrorBody(code=refusal.code, message=refusal.message, retry_after=refusal.retry_after, field=refusal.field)


def _error(refusal: Refused, ref_id: str | None) -> bytes:
    shared = body(refusal)
    payload = ErrorFrame(
        code=shared.code, message=shared.message, retry_after=shared.retry_after, field=shared.field, ref_id=ref_id
    )
    return codec.frame("error", payload)


def upgrade_required() -> bytes:
    """Return the one frame that a client of another version gets; its message carries where the latest client is."""
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
    """Return a connection's id: milliseconds, then 22 random bits, so that the lowest of a user is the oldest."""
    return int(time.time() * 1000) << 22 | secrets.randbits(22)


class UnknownAddress(AsyncConsumer):
    """Any other address: the handshake is refused."""

    async def __call__(self, scope: handshake.Scope, receive: handshake.Receive, send: Any) -> None:
        await receive()
        await send({"type": "websocket.close", "code": 4404, "reason": "the socket is at /ws/v1"})


def unknown_address() -> Any:
    """Return the ASGI application for every other socket address."""
    return UnknownAddress.as_asgi()  # type: ignore[no-untyped-call]


def application(wiring: Wiring, load: Load) -> Any:
    """Return the ASGI application for `/ws/v1`; the frame table is compiled once."""
    table = compile_routes(wiring)
    return Gateway.as_asgi(  # type: ignore[no-untyped-call]
        wiring=wiring, table=table, load=load
    )
