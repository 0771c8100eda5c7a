"""Sign-in with a password. All failures give the same answer after the same amount of work, and are limited (F279).

Strangers cannot spend a limit against somebody: a browser or a network from which the account has signed in before has
a bucket of its own. All others share one for each account, whose windows make the delay between failures grow.
"""

import hashlib

from django.conf import settings

from accounts import known_clients
from accounts.known_clients import Client
from accounts.models import User
from gateway.errors import Unauthorized
from gateway.ids import UserId
from gateway.limits import Charge, Window, charge_in_thread, raise_if_limited

# Failures of one account from unknown networks, as multiples of `sign_ins_per_minute`. With 10 of them: 30 at once, then
# one in 2 s, after 100 one in 36 s, after 300 one in 5 minutes. None waits longer.
PER_MINUTE, PER_HOUR, PER_DAY = 3, 10, 30


class WrongCredentials(Unauthorized):
    """E-mail address or password is wrong."""


def authenticate(*, email: str, password: str, client: Client) -> User:
    """Return the user with this e-mail address and password.

    Raises WrongCredentials for an unknown e-mail address, a wrong password and a disabled account alike. Raises
    RateLimited after `sign_ins_per_minute` failures of the client's bucket.
    """
    user = _find_user(email)
    charges = _charges(email, user, client)
    for each in charges:  # In this order: what the network's bucket refuses costs the account nothing.
        raise_if_limited(charge_in_thread([each])[0])
    if user is None:
        User().set_password(password)  # As much work as a check, so that the time reveals nothing.
        raise WrongCredentials
    if not user.check_password(password) or not user.is_active:
        raise WrongCredentials
    charge_in_thread([each._replace(cost=-1) for each in charges])  # Only failures count.
    return user


def lock_user(user: User) -> None:
    """Lock a user's row until the end of the transaction. Raises WrongCredentials if the account has changed meanwhile.

    A password change or disabling signs all devices out afterwards; the lock lets no new device in between.
    """
    unchanged = User.objects.filter(pk=user.pk, password=user.password, is_active=True)
    if unchanged.select_for_update(no_key=True).values_list("pk").first() is None:
        raise WrongCredentials


def charge_network(client: Client, action: str) -> None:
    """Count an anonymous request against its network's `sign_ins_per_minute`. Raises RateLimited."""
    raise_if_limited(charge_in_thread([Charge(f"ratelimit:{client.network}:{action}", (_per_minute(),))])[0])


def _find_user(email: str) -> User | None:
    folded = email.strip().casefold()
    return User.objects.filter(email=folded).first() if folded.isascii() and folded.isprintable() else None


def _charges(email: str, user: User | None, client: Client) -> list[Charge]:
    """Return what a failure costs: a known browser's bucket alone; else the network's, then that of the account."""
    account = hashlib.sha256(email.strip().casefold().encode("utf-8", "surrogatepass")).hexdigest()[:32]
    browser = known_clients.find_browser(user, client) if user else None
    if browser:
        return [Charge(f"ratelimit:{account}:{browser}:sign_in", (_per_minute(),))]
    network = Charge(f"ratelimit:{client.network}:sign_in", (_per_minute(),))
    if known_clients.is_known_network(UserId(user.pk if user else 0), client):
        return [network, Charge(f"ratelimit:{account}:{client.network}:sign_in", (_per_minute(),))]
    most = settings.LIMITS.sign_ins_per_minute
    rates = ((PER_MINUTE * most, 60), (PER_HOUR * most, 3600), (PER_DAY * most, 86400))
    growing = tuple(Window(failures / seconds, failures) for failures, seconds in rates)
    return [network, Charge(f"ratelimit:{account}:sign_in", growing)]


def _per_minute() -> Window:
    most = settings.LIMITS.sign_ins_per_minute
    return Window(most / 60, most)
