"""The handshake of a socket: version, authentication, rate limit, resume, `hello`, connection cap (protocol 1, 2.8)."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import parse_cookie
from msgspec import UNSET

from gateway import codec, connection_registry, hub, limits, threads
from gateway.bus import Event
from gateway.connection import REPLAY_MARGIN, Connection
from gateway.errors import Closed, Overloaded, Refused
from gateway.frames import Hello, Limits, Session
from gateway.routes import Handshake, Wiring
from gateway.shedding import Load, reconnect_delay

R = TypeVar("R")
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
COMPACT = "compact-indicators"


class UpgradeRequired(Refused):
    """This version of the protocol is not spoken here: take a newer client."""

    code = "UPGRADE_REQUIRED"


def parse(scope: Scope) -> Handshake:
    """Return the headers, query and cookies of a socket. The last value of a repeated name wins."""
    headers = {name.lower(): value for name, value in scope["headers"]}
    cookies = parse_cookie(headers.get(b"cookie", b"").decode("latin-1"))
    query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1")))
    return Handshake(headers, query, cookies)


def negotiate_version(request: Handshake, offered: list[str]) -> tuple[int, str | None]:
    """Return the client's protocol version, 0 if unreadable, and the subprotocol to confirm.

    The default is our version.
    """
    spoken = {name: name.removeprefix("parley.v") for name in offered if name.startswith("parley.v")}
    for name, number in spoken.items():
        if number == str(settings.PROTOCOL_VERSION):
            return settings.PROTOCOL_VERSION, name
    number = next(iter(spoken.values()), request.query.get("v", str(settings.PROTOCOL_VERSION)))
    return (int(number) if number.isascii() and number.isdigit() and len(number) < 6 else 0), next(iter(spoken), None)


async def authenticate(wiring: Wiring, request: Handshake, load: Load, *, draining: bool) -> Session:
    """Return the session of a socket. Raises Closed: 4401, 4410, 4429, and 4503 while draining or overloaded."""
    if draining or load.critical(time.monotonic()):
        raise Closed(4503, reconnect_delay(settings.LIMITS.drain_seconds))
    session = await _within_timeout(threads.run(wiring.authenticate, request))
    per_minute = settings.LIMITS.handshakes_per_minute
    ask = limits.Charge(f"ratelimit:{session.user_id}:connect", (limits.Window(per_minute / 60, per_minute),))
    if (await limits.charge([ask]))[0] > 0:
        raise Closed(4429, "too many connections in a minute")
    return session


async def _within_timeout(step: Awaitable[R]) -> R:
    """Return the result of a step. Raises Closed: 4410 if it takes too long, 4503 if the database is unavailable."""
    try:
        async with asyncio.timeout(settings.LIMITS.handshake_timeout):
            return await step
    except TimeoutError:
        raise Closed(4410, "the handshake took too long") from None
    except (Overloaded, OperationalError, InterfaceError):
        raise Closed(4503, reconnect_delay(settings.LIMITS.drain_seconds)) from None


async def admit(connection: Connection, wiring: Wiring, request: Handshake) -> None:
    """Add a connection to the hub, write hello and the replay of a resumed one, and close the oldest above the cap.

    Raises Closed (4410, 4503) before hello if its content cannot be read.
    """
    local_hub = hub.current()
    if request.query.get("compact") == "1":
        connection.use_compact()
    local_hub.add(connection)  # newer events wait behind hello; older ones are read below
    resume, greeting = await _within_timeout(_prepare_greeting(connection, wiring, request))
    connection.greet(greeting)
    for opened in wiring.opened:
        opened(connection)
    if resume is not None:
        _close_resumed(resume.connection)
    for id_ in await connection_registry.register(connection, replaced=resume.connection if resume else 0):
        local_hub.publish(Event(close_connection=id_, code=4409, reason="replaced by a newer connection"))
    local_hub.close_oldest(connection.session.user_id)


async def _prepare_greeting(
    connection: Connection, wiring: Wiring, request: Handshake
) -> tuple[connection_registry.Resume | None, list[bytes]]:
    """Return the resume record, if one was redeemed, and the first frames: hello and the replay."""
    resume, replay = await _resume(connection, wiring, request)
    connection.token = secrets.token_urlsafe(24)
    connection.restored = resume is not None
    if resume is not None:
        _restore(connection, resume)
    if connection.chats is not None:
        connection.assign_aliases(await threads.run(wiring.chats, connection.session.user_id))
    hello = _hello(connection, await threads.run(wiring.epoch))
    return resume, [codec.frame("hello", hello), *replay]


def _close_resumed(resumed: int) -> None:
    """Close a connection that a newer one has resumed: its client is gone, and it no longer counts for the cap."""
    local_hub = hub.current()
    local_hub.publish(Event(close_connection=resumed, code=4409, reason="resumed by a newer connection"))
    connection = local_hub.connections.get(resumed)
    if connection is not None:
        local_hub.remove(connection)


def _restore(connection: Connection, resume: connection_registry.Resume) -> None:
    """Restore the state of the resumed connection. Reconnecting does not count as user activity."""
    connection.focus = resume.focus
    connection.resumed_from = resume.since
    connection.watching = dict(resume.watching)
    idle = time.time() - (resume.active_at or time.time())
    connection.active_at = time.monotonic() - max(0.0, idle)


async def _resume(
    connection: Connection, wiring: Wiring, request: Handshake
) -> tuple[connection_registry.Resume | None, list[bytes]]:
    token = request.query.get("resume")
    resume = await connection_registry.redeem_resume_token(token, connection.session) if token else None
    if resume is None:
        return None, []
    since = datetime.fromtimestamp(resume.since - REPLAY_MARGIN, UTC)
    replay = await threads.run(wiring.replay, connection.session.viewer, since)
    return (resume, replay) if replay is not None else (None, [])


def _hello(connection: Connection, epoch: str) -> Hello:
    session, active, aliases = connection.session, settings.LIMITS, connection.aliases
    expires = datetime.fromtimestamp(session.expires_at, UTC) if session.expires_at else None
    return Hello(
        version=settings.PROTOCOL_VERSION,
        user_id=str(session.user_id),
        device_id=str(session.device_id),
        connection_id=str(connection.id),
        resume_token=connection.token,
        resume_window=active.resume_window,
        resumed=connection.restored,
        epoch=epoch,
        heartbeat_interval=active.heartbeat_interval,
        heartbeat_timeout=active.heartbeat_timeout,
        server_time=codec.timestamp(),
        token_expires_at=codec.timestamp(expires) if expires else None,
        limits=Limits(
            max_frame_bytes=active.max_frame_bytes,
            max_content_chars=active.max_content_chars,
            max_attachments=active.max_attachments,
        ),
        capabilities=[COMPACT],
        degraded=hub.current().degraded(),
        aliases=UNSET if aliases is None else {str(chat): alias for chat, alias in aliases.items()},
    )
