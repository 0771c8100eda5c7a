"""Authentication of a socket (protocol 1): bearer token, one-time ticket, web session, or token in the URL if allowed.

The first credential decides. If it is wrong, a second valid one does not help.
"""

from importlib import import_module
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host

from accounts import devices, sessions, tickets, tokens
from accounts.models import User
from gateway.errors import Closed, Overloaded, Refused, Unauthorized
from gateway.frames import Session
from gateway.ids import DeviceId, UserId
from gateway.routes import Handshake

CLOSE_CODE = devices.CLOSE_CODE


class WrongOrigin(Unauthorized):
    """This page may not use the socket with your session."""


class OtherSession(Unauthorized):
    """This token belongs to another user or device."""


def authenticate(handshake: Handshake) -> Session:
    """Return the session of a handshake; its device is signed in and its user active.

    Raises Closed (4401) with the reason. If Redis or the database is unavailable, raises Overloaded or
    OperationalError; the gateway then tells each client another time to reconnect.
    """
    try:
        return _identify(handshake)
    except Overloaded:
        raise
    except Refused as refusal:
        raise Closed(CLOSE_CODE, refusal.message) from None


def _identify(handshake: Handshake) -> Session:
    scheme, _, bearer = handshake.headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme:
        if scheme.lower() != "bearer":
            raise tokens.WrongToken
        return tokens.verify_access(bearer.strip())
    if "ticket" in handshake.query:
        session = tickets.redeem(handshake.query["ticket"])
        devices.get_active(session.user_id, session.device_id)
        return session
    if "token" in handshake.query:
        if not settings.TOKEN_IN_URL:
            raise Unauthorized("a token in the address is not accepted here: take a ticket")
        return tokens.verify_access(handshake.query["token"])
    return _web_session(handshake)


def _web_session(handshake: Handshake) -> Session:
    """Return the web session of the cookie. A browser sends it from any page, so the origin of the page is checked."""
    key = handshake.cookies.get(settings.SESSION_COOKIE_NAME)
    if not key:
        raise Unauthorized
    if not is_allowed_origin(handshake.headers.get(b"origin"), handshake.headers.get(b"host", b"")):
        raise WrongOrigin
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    user = get_user(request)
    if not isinstance(user, User) or not user.is_active:
        raise Unauthorized
    agent = handshake.headers.get(b"user-agent", b"").decode("latin-1")
    device = sessions.get_or_create_device(request.session, user, user_agent=agent)
    if request.session.modified:
        request.session.save()
    return Session(UserId(user.pk), DeviceId(device.pk), None)


def is_allowed_origin(origin: bytes | None, host: bytes) -> bool:
    """Return whether a page of this origin may use a web session: it is this host's own, or listed in PARLEY_ORIGINS.

    A missing origin and `null` (a sandboxed page, a local file) are not allowed.
    """
    text = (origin or b"").decode("latin-1").lower()
    if text in settings.ORIGINS:
        return True
    try:
        page = urlsplit(text)
    except ValueError:
        return False
    host_text = host.decode("latin-1").lower()
    schemes = ("https",) if settings.TLS else ("https", "http")
    served = validate_host(split_domain_port(host_text)[0], settings.ALLOWED_HOSTS)
    return page.scheme in schemes and page.netloc == host_text and served and text == f"{page.scheme}://{page.netloc}"


def renew(session: Session, token: str) -> Session:
    """Return the session with the expiry of a fresh token (`auth.renew`).

    Raises TokenExpired, WrongToken, Revoked, or OtherSession for a token of another user or device.
    """
    fresh = tokens.verify_access(token)
    if (fresh.user_id, fresh.device_id) != (session.user_id, session.device_id):
        raise OtherSession
    return fresh
