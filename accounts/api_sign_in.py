"""Coming in through the API: an account or a password becomes a signed-in device with its tokens."""

from dataclasses import dataclass

from django.db import transaction

from accounts import devices, sign_in, tokens, users
from accounts.models import User
from accounts.tokens import Pair


@dataclass(frozen=True)
class Entry:
    """Who came in, and what their device holds now."""

    user: User
    pair: Pair


def register(*, email: str, password: str, display_name: str, device_name: str, address: str) -> Entry:
    """Make an account and sign its first device in.

    Raises what `accounts.users.register` refuses, and RateLimited for too many from one network.
    """
    sign_in.charge(address, "register")
    user = users.register(email=email, password=password, display_name=display_name)
    return Entry(user, tokens.issue(devices.add(user.pk, name=device_name, platform="api")))


def with_password(*, email: str, password: str, device_id: int | None, device_name: str, address: str) -> Entry:
    """Sign a device in; the named one where it is the user's and still signed in, else a new one.

    Raises WrongCredentials or RateLimited, as `accounts.sign_in.with_password`.
    """
    user = sign_in.with_password(email=email, password=password, address=address)
    with transaction.atomic():
        sign_in.hold(user)
        device = devices.signed_in(user.pk, device_id=device_id, name=device_name, platform="api")
        return Entry(user, tokens.issue(device))
