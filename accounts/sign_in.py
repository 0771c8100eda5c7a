"""Sign-in with a password. All failures give the same answer after the same amount of work, and are limited (F279)."""

import hashlib
import ipaddress
import logging

from django.conf import settings
from redis import RedisError

from accounts.models import User
from gateway.errors import Unauthorized
from gateway.limits import Charge, Window, charge_in_thread, raise_if_limited
from gateway.redis_clients import thread_client

logger = logging.getLogger(__name__)
KNOWN_SECONDS = 90 * 86400


class WrongCredentials(Unauthorized):
    """E-mail address or password is wrong."""


def authenticate(*, email: str, password: str, address: str) -> User:
    """Return the user with this e-mail address and password. `address` is the client's network address, for the limit.

    Raises WrongCredentials for an unknown e-mail address, a wrong password and a disabled account alike. Raises
    RateLimited after `sign_ins_per_minute` failures from one network, and after more for one account from networks from
    which nobody has signed in to it. Failures of strangers never shut out a network from which its user has signed in.
    """
    account, network = _account(email), _network(address)
    charges = [_charge_of(f"ratelimit:{network}:sign_in")]
    # The network first: a request that it refuses must not charge the account.
    raise_if_limited(charge_in_thread(charges)[0])
    if not _is_known(account, network):
        charges.append(Charge(f"ratelimit:{account}:sign_in", _strangers()))
        raise_if_limited(charge_in_thread(charges[1:])[0])
    user = _find_user(email)
    if user is None:
        User().set_password(password)  # As much work as a check, so that the time reveals nothing.
        raise WrongCredentials
    if not user.check_password(password) or not user.is_active:
        raise WrongCredentials
    charge_in_thread([charge._replace(cost=-1) for charge in charges])  # Only failures count.
    _remember(account, network)
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


def _account(email: str) -> str:
    return hashlib.sha256(email.strip().casefold().encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _charge_of(key: str) -> Charge:
    limit = settings.LIMITS.sign_ins_per_minute
    return Charge(key, (Window(limit / 60, limit),))


def _strangers() -> tuple[Window, ...]:
    """Return the rates of an account's failures from unknown networks: three networks' rates at once, less in the long run."""
    limit = settings.LIMITS.sign_ins_per_minute
    return Window(3 * limit / 60, 3 * limit), Window(10 * limit / 3600, 10 * limit)


def _is_known(account: str, network: str) -> bool:
    """Return whether this account was signed in to from a network within KNOWN_SECONDS; False without Redis."""
    try:
        return bool(thread_client().exists(f"known-network:{account}:{network}"))
    except RedisError:
        return False


def _remember(account: str, network: str) -> None:
    try:
        thread_client().set(f"known-network:{account}:{network}", 1, ex=KNOWN_SECONDS)
    except RedisError as fault:
        logger.warning("sign-in: Redis is unavailable (%s), the network stays unknown", type(fault).__name__)


def _network(address: str) -> str:
    """Return an IPv4 address, or the /64 network of an IPv6 address: one client usually has all of it."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if ip.version == 6 and ip.ipv4_mapped:  # a listener for both families gives an IPv4 client such an address
        return str(ip.ipv4_mapped)
    return str(ip) if ip.version == 4 else str(ipaddress.ip_network((ip, 64), strict=False))
