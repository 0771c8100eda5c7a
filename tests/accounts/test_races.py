"""Concurrent transactions on one account: the second sees the effect of the first."""

from collections.abc import Callable
from threading import Thread

import pytest
from django.db import connection, transaction

from accounts import api_sign_in, blocks, contacts, devices, tokens, users
from accounts.known_clients import Client
from accounts.models import Contact, Device, User
from accounts.sign_in import WrongCredentials
from gateway.bus import Event
from gateway.errors import NotFound, Refused
from gateway.ids import DeviceId
from tests.accounts.conftest import PASSWORD, Somebody
from tests.chat.sessions import WAIT_SECONDS, until_somebody_waits

Make = Callable[..., Somebody]


def refusal_of_second(first: Callable[[], object], second: Callable[[], object]) -> type[Refused] | None:
    """Run `first`, start `second` so that it waits for the commit; return the class of its refusal, if any."""
    refusals: list[type[Refused]] = []

    def act() -> None:
        try:
            second()
        except Refused as refusal:
            refusals.append(type(refusal))
        finally:
            connection.close()

    thread = Thread(target=act)
    with transaction.atomic():
        first()
        thread.start()
        until_somebody_waits()
    thread.join(WAIT_SECONDS)
    return refusals[0] if refusals else None


def sign_in(who: Somebody, device_id: DeviceId | None = None) -> api_sign_in.SignInResult:
    return api_sign_in.sign_in_device(
        email=who.user.email or "", password=PASSWORD, device_id=device_id, device_name="", client=Client("192.0.2.1")
    )


def test_user_blocked_concurrently_cannot_add_the_blocker_as_contact(somebody: Make) -> None:
    """F204."""
    ada, bob = somebody(), somebody()

    refusal = refusal_of_second(lambda: blocks.block(ada.id, bob.id), lambda: contacts.add(bob.id, ada.id))

    assert refusal is NotFound
    assert not Contact.objects.filter(user_id=bob.id).exists()


def test_second_sign_in_of_a_device_voids_a_concurrent_refresh(somebody: Make) -> None:
    who = somebody(password=PASSWORD)
    stolen: list[tokens.Pair] = []

    refusal_of_second(
        lambda: stolen.append(tokens.rotate(who.pair.refresh)), lambda: sign_in(who, device_id=who.device_id)
    )

    with pytest.raises(tokens.WrongToken):
        tokens.rotate(stolen[0].refresh)


@pytest.mark.parametrize("change", ["password", "disabled"])
def test_sign_in_concurrent_with_disable_or_password_change_is_refused(
    somebody: Make, published: list[Event], change: str
) -> None:
    who = somebody(password=PASSWORD)
    user = User.objects.get(pk=who.id)

    def close() -> None:
        if change == "password":
            user.set_password("another-horse-8")
            user.save()
            devices.sign_out_all(who.id)
        else:
            users.disable(who.id)

    refusal = refusal_of_second(close, lambda: sign_in(who))

    assert refusal is WrongCredentials
    assert not Device.objects.filter(user_id=who.id, revoked_at=None).exists()
