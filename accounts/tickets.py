"""One-time tickets for the socket: a browser cannot set headers on it, and a token in an address would stay in logs."""

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
    """Make a ticket that lets one socket in as this session, within `ws_ticket` seconds. Raises Overloaded."""
    ticket = secrets.token_urlsafe(32)
    seconds = settings.LIMITS.ws_ticket
    try:
        thread_client().set(_key(ticket), msgspec.json.encode(session), ex=seconds)
    except RedisError:
        raise Overloaded(retry_after=5) from None
    return Ticket(ticket, timezone.now() + timedelta(seconds=seconds))


def redeem(ticket: str) -> Session:
    """Return the session behind a ticket and void it. Raises WrongTicket, or Overloaded where Redis is away."""
    try:
        stored = thread_client().getdel(_key(ticket))
    except RedisError:
        raise Overloaded(retry_after=5) from None
    if stored is None:
        raise WrongTicket
    return msgspec.json.decode(stored, type=Session)


def _key(ticket: str) -> str:
    """Only the hash is stored: who reads Redis gains no ticket."""
    return f"ws-ticket:{hashlib.sha256(ticket.encode('utf-8', 'surrogatepass')).hexdigest()}"
