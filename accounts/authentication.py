"""Authentication of REST requests by bearer token or web session. `request.auth` is a `Session` in both cases."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.request import Request

from accounts import devices, sessions, tokens
from accounts.known_clients import COOKIE, Client
from accounts.models import User
from gateway.errors import Unauthorized
from gateway.frames import Session
from gateway.ids import DeviceId, UserId


def client_address(request: HttpRequest | Request) -> str:
    """Return the client's network address; behind trusted proxies, the address that the first proxy saw.

    uvicorn evaluates X-Forwarded-For itself. Daphne takes the first entry, which any client can forge: under Daphne
    the last entry counts, written by the proxy.
    """
    seen = request.META.get("HTTP_X_FORWARDED_FOR", "") if settings.ADDRESS_IS_CLAIMED else ""
    return seen.rpartition(",")[2].strip() or request.META.get("REMOTE_ADDR", "")


def client_of(request: HttpRequest | Request) -> Client:
    """Return the client of a request: its network, and the cookie by which its browser may be known."""
    return Client(client_address(request), request.COOKIES.get(COOKIE, ""))


def session_of(request: Request) -> Session:
    """Return the session of an authenticated request. Raises Unauthorized if there is none."""
    if not isinstance(request.auth, Session):
        raise Unauthorized
    return request.auth


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <access JWT>` of a device that is still signed in."""

    def authenticate(self, request: Request) -> tuple[User, Session] | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        session = tokens.decode_access(token.strip())
        return devices.get_active(session.user_id, session.device_id).user, session

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="parley"'


class WebSessionAuthentication(SessionAuthentication):
    """The web session's cookie with a CSRF token; its device must be signed in."""

    def authenticate(self, request: Request) -> tuple[User, Session] | None:
        user, _ = super().authenticate(request) or (None, None)
        if not isinstance(user, User):
            return None
        user_agent = request.headers.get("User-Agent", "")
        device = sessions.get_or_create_device(request._request.session, user, user_agent=user_agent)
        return user, Session(UserId(user.pk), DeviceId(device.pk), None)


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The bearer token in the OpenAPI schema."""

    target_class = BearerAuthentication
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class WebSessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The web session in the OpenAPI schema."""

    target_class = WebSessionAuthentication
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}
