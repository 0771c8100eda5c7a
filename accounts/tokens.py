"""Token pairs: short-lived access tokens (JWT), and refresh tokens that work once and are stored as hashes (F269).

A refresh token that is used twice was stolen or copied: its whole family is void and its device signed out.
"""

import hashlib
import hmac
import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import jwt
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts import devices
from accounts.models import Device, RefreshToken
from gateway.errors import TokenExpired, Unauthorized
from gateway.frames import Session
from gateway.ids import DeviceId, UserId

ALGORITHM = "HS256"
CLAIMS = ["sub", "did", "exp", "iat", "jti"]
MAX_TOKEN_CHARS = 2048


class WrongToken(Unauthorized):
    """This token is not valid: sign in again."""


class TokenReused(Unauthorized):
    """This refresh token was used before; the device has been signed out to be safe: sign in again."""


@dataclass(frozen=True)
class Pair:
    """The tokens of a device after a sign-in or refresh."""

    device_id: DeviceId
    access: str
    refresh: str
    access_expires_at: datetime
    refresh_expires_at: datetime


def issue(device: Device) -> Pair:
    """Create a token pair for a device."""
    now = timezone.now()
    refresh = secrets.token_urlsafe(32)
    refresh_expires_at = now + timedelta(seconds=settings.LIMITS.refresh_token)
    RefreshToken.objects.create(device=device, token_hash=_hash(refresh), expires_at=refresh_expires_at)
    access_expires = int(now.timestamp()) + settings.LIMITS.access_token
    claims = {
        "sub": str(device.user_id),
        "did": str(device.pk),
        "iat": int(now.timestamp()),
        "exp": access_expires,
        "jti": uuid.uuid4().hex,
    }
    access = jwt.encode(claims, _key(), algorithm=ALGORITHM)
    return Pair(DeviceId(device.pk), access, refresh, datetime.fromtimestamp(access_expires, UTC), refresh_expires_at)


def rotate(refresh: str) -> Pair:
    """Exchange a refresh token for a new pair. Of two concurrent calls one succeeds.

    Raises WrongToken, TokenExpired, or TokenReused after signing the device out.
    """
    row = RefreshToken.objects.select_related("device").filter(token_hash=_hash(refresh)).first()
    if row is None:
        raise WrongToken
    with transaction.atomic():
        device = _lock(DeviceId(row.device_id))
        token = RefreshToken.objects.filter(pk=row.pk).first()
        if device is None or token is None:
            raise WrongToken
        if token.used_at is None and token.expires_at <= timezone.now():
            raise TokenExpired
        if token.used_at is None:
            RefreshToken.objects.filter(pk=token.pk).update(used_at=timezone.now())
            RefreshToken.objects.filter(device=device, expires_at__lte=timezone.now()).delete()
            return issue(device)
    devices.sign_out(UserId(device.user_id), DeviceId(device.pk))
    raise TokenReused


def _lock(device_id: DeviceId) -> Device | None:
    """Return the device, locked until the end of the transaction; None if it is signed out or its user disabled."""
    return (
        Device.objects.select_for_update(no_key=True, of=("self",))
        .filter(pk=device_id, revoked_at=None, user__is_active=True)
        .first()
    )


def decode_access(token: str) -> Session:
    """Return the session of an access token, by signature and expiry only. Raises TokenExpired or WrongToken."""
    if len(token) > MAX_TOKEN_CHARS:
        raise WrongToken
    try:
        claims = jwt.decode(token, _key(), algorithms=[ALGORITHM], options={"require": CLAIMS})
        return Session(UserId(int(claims["sub"])), DeviceId(int(claims["did"])), float(claims["exp"]))
    except jwt.ExpiredSignatureError:
        raise TokenExpired from None
    except (jwt.PyJWTError, ValueError, TypeError, UnicodeError):
        raise WrongToken from None


def verify_access(token: str) -> Session:
    """Return the session of a valid access token. Raises TokenExpired, WrongToken, or Revoked (device signed out)."""
    session = decode_access(token)
    devices.get_active(session.user_id, session.device_id)
    return session


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _key() -> bytes:
    """Return the signing key, derived from SECRET_KEY: other signatures made with SECRET_KEY are no tokens."""
    return hmac.digest(settings.SECRET_KEY.encode(), b"parley access token 1", "sha256")
