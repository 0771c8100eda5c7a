"""Periodic checks of all open connections: missed heartbeats, expiring tokens, revoked devices, stuck writes."""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from django.conf import settings
from redis import RedisError

from gateway import codec, connection_registry, threads
from gateway.connection import Connection
from gateway.frames import TokenRefresh
from gateway.hub import Hub
from gateway.ids import DeviceId

logger = logging.getLogger(__name__)
INTERVAL = 1.0
# F273: a revocation takes effect within 30 s even if the bus lost its event.
RECHECK_SECONDS = 15.0


async def run(hub: Hub, revoked: Callable[[list[DeviceId]], list[DeviceId]]) -> None:
    """Check every connection once a second, until cancelled.

    `revoked` returns those of some device ids that are revoked.
    """
    refreshed = rechecked = time.monotonic()
    while True:
        await asyncio.sleep(INTERVAL)
        now, wall = time.monotonic(), time.time()
        for connection in list(hub.connections.values()):
            check(connection, now, wall)
        if now - refreshed > connection_registry.TTL / 3:
            refreshed = now
            await _refresh_registry(hub)
        if now - rechecked > RECHECK_SECONDS:
            rechecked = now
            await _close_revoked(hub, revoked)


def check(connection: Connection, now: float, wall: float) -> None:
    """Close or warn one connection: 4408 for silence, 4401 for an expired token, 4413 for a write that does not end."""
    limits = settings.LIMITS
    if now - connection.heard_at > limits.heartbeat_timeout:
        connection.out.discard()
        connection.close(4408, "no heartbeat")
    elif connection.out.stuck_since and now - connection.out.stuck_since > limits.slow_seconds:
        connection.out.discard()
        connection.close(4413, "too slow: reconnect and sync")
    ends = connection.session.expires_at
    if ends is None:
        return
    if wall >= ends:
        connection.close(4401, "the token has expired")
    elif wall >= ends - limits.token_warning and not connection.warned:
        connection.warned = True
        moment = datetime.fromtimestamp(ends, UTC)
        connection.write(codec.frame("token.refresh", TokenRefresh(expires_at=codec.timestamp(moment))))


async def _refresh_registry(hub: Hub) -> None:
    try:
        await connection_registry.refresh(list(hub.connections.values()))
    except (RedisError, OSError) as fault:
        logger.warning("sockets: not refreshed (%s)", type(fault).__name__)


async def _close_revoked(hub: Hub, revoked: Callable[[list[DeviceId]], list[DeviceId]]) -> None:
    devices = {c.session.device_id for c in hub.connections.values()}
    if not devices:
        return
    try:
        signed_out = set(await threads.run(revoked, list(devices)))
    except Exception as fault:
        logger.warning("devices: not rechecked (%s)", type(fault).__name__)
        return
    for connection in list(hub.connections.values()):
        if connection.session.device_id in signed_out:
            connection.close(4401, "signed out")
