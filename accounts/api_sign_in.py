"""Registration and sign-in over the API. Both end with a signed-in device and its token pair."""

from dataclasses import dataclass

from django.db import transaction

from accounts import devices, known_clients, mails, registration, sign_in, tokens
from accounts.known_clients import Client
from accounts.models import User
from accounts.tokens import Pair
from gateway.errors import Forbidden
from gateway.ids import DeviceId, UserId


class EmailUnconfirmed(Forbidden):
    """Follow the link in our mail first: it confirms your e-mail address."""

    code = "EMAIL_UNCONFIRMED"


@dataclass(frozen=True)
class SignInResult:
    """The user that signed in, and the tokens of the device."""

    user: User
    pair: Pair


def register(
    *, email: str, password: str, display_name: str, device_name: str, invitation: str, client: Client
) -> SignInResult | None:
    """Create an account and sign its first device in; None if a mail must be answered first.

    The mail has the link that confirms the address or, if the address has an account, tells its owner so. Raises the
    refusals of `accounts.registration.register`, and RateLimited for too many registrations from one network.
    """
    sign_in.charge_network(client, "register")
    user = registration.register(email=email, password=password, display_name=display_name, invitation_token=invitation)
    if user is None:
        mails.send_already_registered(email.strip().casefold())
        return None
    if user.confirmed_at is None:
        mails.send_confirmation(user)
        return None
    device = devices.add(UserId(user.pk), name=device_name, platform="api", network_hash=client.network_hash)
    return SignInResult(user, tokens.issue(device))


def sign_in_device(
    *, email: str, password: str, device_id: DeviceId | None, device_name: str, client: Client
) -> SignInResult:
    """Sign a device in: the one with `device_id` if it is the user's and not signed out, otherwise a new one.

    Raises WrongCredentials or RateLimited, as `accounts.sign_in.authenticate`, and EmailUnconfirmed after sending the
    link again.
    """
    user = sign_in.authenticate(email=email, password=password, client=client)
    if user.confirmed_at is None:
        mails.send_confirmation(user)
        raise EmailUnconfirmed
    unusual = known_clients.is_unusual(user, client)
    with transaction.atomic():
        sign_in.lock_user(user)
        device = devices.sign_in(
            UserId(user.pk),
            device_id=device_id,
            name=device_name,
            platform="api",
            network_hash=client.network_hash,
        )
        result = SignInResult(user, tokens.issue(device))
    if unusual:
        mails.send_new_sign_in(user, device.name or "an app")
    return result
