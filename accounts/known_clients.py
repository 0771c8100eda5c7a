"""Browsers and networks from which an account has signed in before.

Strangers can fail to sign in as somebody as often as they like, but not from that person's browsers and networks. The
limits of `accounts.sign_in` therefore count these apart, and a sign-in from neither is reported to the account's owner.

A browser is known by a signed cookie, which names the accounts that signed in with it. A network is known by a keyed
hash in the device's row: the address itself is not stored.
"""

import hmac
import ipaddress
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpResponse
from django.utils import timezone

from accounts.models import Device, User
from gateway.ids import UserId

COOKIE = "parley_known"
KNOWN_FOR = timedelta(days=180)
MAX_ACCOUNTS = 5
_SALT = "parley known browser 1"


@dataclass(frozen=True)
class Client:
    """A client before it signs in: its network address, and the value of its cookie COOKIE."""

    address: str
    cookie: str = ""

    @property
    def network(self) -> str:
        """The IPv4 address, or the /64 network of an IPv6 address: one client usually has all of it."""
        try:
            ip = ipaddress.ip_address(self.address)
        except ValueError:
            return "unknown"
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is None:
            return str(ipaddress.ip_network((ip, 64), strict=False))
        return str(getattr(ip, "ipv4_mapped", None) or ip)

    @property
    def network_hash(self) -> bytes:
        """The 16 bytes by which a device's row remembers the network."""
        return hmac.digest(settings.SECRET_KEY.encode(), f"parley network 1 {self.network}".encode(), "sha256")[:16]


def find_browser(user: User, client: Client) -> str | None:
    """Return the id of the client's browser if the user has signed in with it since their last change of password."""
    known = _read(client.cookie)
    return known["browser"] if known["accounts"].get(str(user.pk)) == _password_mark(user) else None


def is_known_network(user_id: UserId, client: Client) -> bool:
    """Return whether a device of the user has signed in from the client's network within KNOWN_FOR."""
    return bool(_located_devices(user_id).filter(network_hash=client.network_hash).exists())


def is_unusual(user: User, client: Client) -> bool:
    """Return whether browser and network are both unknown to an account that has signed in somewhere else."""
    if find_browser(user, client):
        return False
    user_id = UserId(user.pk)
    return _located_devices(user_id).exists() and not is_known_network(user_id, client)


def remember_browser(response: HttpResponse, user: User, client: Client) -> None:
    """Set the cookie by which the browser is known to this account from now on, besides up to 4 earlier accounts."""
    known = _read(client.cookie)
    accounts = {id_: mark for id_, mark in known["accounts"].items() if id_ != str(user.pk)}
    accounts = dict([*accounts.items(), (str(user.pk), _password_mark(user))][-MAX_ACCOUNTS:])
    response.set_cookie(
        COOKIE,
        signing.dumps({"browser": known["browser"], "accounts": accounts}, salt=_SALT),
        max_age=KNOWN_FOR,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _located_devices(user_id: UserId) -> Any:
    return Device.objects.filter(
        user_id=user_id, network_hash__isnull=False, last_seen_at__gt=timezone.now() - KNOWN_FOR
    )


def _read(cookie: str) -> dict[str, Any]:
    try:
        known: dict[str, Any] = signing.loads(cookie, salt=_SALT, max_age=KNOWN_FOR)
    except signing.BadSignature:
        return {"browser": secrets.token_urlsafe(12), "accounts": {}}
    return known


def _password_mark(user: User) -> str:
    """Return a text that changes with the password: a changed password makes all browsers unknown."""
    return user.get_session_auth_hash()[:16]
