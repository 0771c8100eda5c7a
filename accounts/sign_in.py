"""Sign-in with a password. All failures give the same answer after the same amount of work, and are limited (F279)."""

import hashlib
import ipaddress

from django.conf import settings

from accounts.models import User
from gateway.errors import Unauthorized
from gateway.limits import Charge, Window, charge_in_thread, raise_if_limited


class WrongCredentials(Unauthorized):
    """E-mail address or password is wrong."""


def authenticate(*, email: str, password: str, address: str) -> User:
    """Return the user with this e-mail address and password. `address` is the client's network address, for the limit.

    Raises WrongCredentials for an unknown e-mail address, a wrong password and a disabled account alike. Raises
    RateLimited after `sign_ins_per_minute` failures from one network or for one account.
    """
    keys = _limit_keys(email, address)
    raise_if_limited(max(charge_in_thread([_charge_of(key) for key in keys])))
    user = _find_user(email)
    if user is None:
        User().set_password(password)  # As much work as a check, so that the time reveals nothing.
        raise WrongCredentials
    if not user.check_password(password) or not user.is_active:
        raise WrongCredentials
    charge_in_thread([_charge_of(key, cost=-1) for key in keys])  # Only failures count.
    return user


def lock_user(user: User) -> None:
    """Lock a user's row until the end of the transaction. Raises WrongCredentials if the account has changed meanwhile.

    A password change or disabling signs all devices out afterwards; the lock lets no new device in between.
    """
    unchanged = User.objects.filter(pk=user.pk, password=user.password, is_active=True)
    if unchanged.select_for_update(no_key=True).values_list("pk").first() is None:
        raise WrongCredentials


def charge_network(address: str, action: str) -> None:
    """Count an anonymous request against its network's `sign_ins_per_minute`. Raises RateLimited."""
    raise_if_limited(charge_in_thread([_charge_of(f"ratelimit:{_network(address)}:{action}")])[0])


def _find_user(email: str) -> User | None:
    folded = email.strip().casefold()
    return User.objects.filter(email=folded).first() if folded.isascii() and folded.isprintable() else None


def _limit_keys(email: str, address: str) -> list[str]:
    account = hashlib.sha256(email.strip().casefold().encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return [f"ratelimit:{_network(address)}:sign_in", f"ratelimit:{account}:sign_in"]


def _charge_of(key: str, cost: int = 1) -> Charge:
    limit = settings.LIMITS.sign_ins_per_minute
    return Charge(key, (Window(limit / 60, limit),), cost)


def _network(address: str) -> str:
    """Return an IPv4 address, or the /64 network of an IPv6 address: one client usually has all of it."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    return str(ip) if ip.version == 4 else str(ipaddress.ip_network((ip, 64), strict=False))
