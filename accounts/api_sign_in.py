"""Coming in through the API: an account or a password becomes a signed-in device with its tokens."""

from dataclasses import dataclass

from django.db import transaction

from accounts import devices, sign_in, tokens, users
from accounts.models import User
from accounts.tokens import Pair


@dataclass(frozen=True)
class SignInResult:
    """Who came in, and what their device holds now."""

    user: User
    pair: Pair


def register(*, email: str, password: str, display_name: str, device_name: str, address: str) -> SignInResult:
    """Make an account and sign its first device in.

    Raises what `accounts.users.register` refuses, and RateLimited for too many from one network.
    """
    sign_in.charge_network(address, "register")
    user = users.register(email=email, password=password, display_name=display_name)
    return SignInResult(user, tokens.issue(devices.add(user.pk, name=device_name, platform="api")))


def sign_in_device(*, email: str, password: str, device_id: int | None, device_name: str, address: str) -> SignInResult:
    """Sign a device in; the named one where it is the user's and still signed in, else a new one.

    Raises WrongCredentials or RateLimited, as `accounts.sign_in.authenticate`.
    """
    user = sign_in.authenticate(email=email, password=password, address=address)
    with transaction.atomic():
        sign_in.lock_user(user)
        device = devices.sign_in(user.pk, device_id=device_id, name=device_name, platform="api")
        return SignInResult(user, tokens.issue(device))
