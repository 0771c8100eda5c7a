"""One-time tickets for sockets. Browsers cannot set headers on a WebSocket; a token in the URL would stay in logs."""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from django.conf import settings
from django.utils import timezone
from redis import RedisError

from gateway.errors import Overloaded, Unauthorized
from gateway.frames import Session
from gateway.redis_clients import thread_client


class WrongTicket(Unauthorized):
    """This ticket is not valid, or it was used before: get another."""


class Ticket(NamedTuple):
    ticket: str
    expires_at: datetime


def issue(session: Session) -> Ticket:
    """Create a ticket that opens one socket for this session within `ws_ticket` seconds.

    Raises Overloaded if Redis is unavailable.
    """
    ticket = secrets.token_urlsafe(32)
    seconds = settings.LIMITS.ws_ticket
    try:
        thread_client().set(_key(ticket), msgspec.json.encode(session), ex=seconds)
    except RedisError:
        raise Overloaded(retry_after=5) from None
    return Ticket(ticket, timezone.now() + timedelta(seconds=seconds))


def redeem(ticket: str) -> Session:
    """Return the session of a ticket and void the ticket. Raises WrongTicket, or Overloaded if Redis is unavailable."""
    try:
        stored = thread_client().getdel(_key(ticket))
    except RedisError:
        raise Overloaded(retry_after=5) from None
    if stored is None:
        raise WrongTicket
    return msgspec.json.decode(stored, type=Session)


def _key(ticket: str) -> str:
    """Return the Redis key. It contains only a hash, so that reading Redis reveals no ticket."""
    return f"ws-ticket:{hashlib.sha256(ticket.encode('utf-8', 'surrogatepass')).hexdigest()}"
