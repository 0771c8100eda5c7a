"""Registration and profile: rules for names, e-mail addresses and passwords."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from django.db import connection
from pytest_django import Settings

from accounts import users
from accounts.models import User
from gateway.errors import InvalidPayload, RateLimited
from tests.accounts.conftest import PASSWORD, Somebody, new_email

Make = Callable[..., Somebody]


def test_password_is_hashed_with_argon2_and_configured_costs(somebody: Make) -> None:
    user = somebody(password=PASSWORD).user
    assert user.password.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
    assert User.objects.get(pk=user.pk).check_password(PASSWORD)


def test_email_in_other_case_is_taken(somebody: Make) -> None:
    email = new_email()
    somebody(email=email)
    with pytest.raises(users.EmailTaken) as refusal:
        users.register(display_name="Twin", email=email.upper(), password=None)
    assert refusal.value.field == "email"


def test_only_one_of_concurrent_registrations_with_one_email_succeeds() -> None:
    email = new_email()

    def register(_: int) -> bool:
        try:
            users.register(display_name="Twin", email=email, password=None)
        except users.EmailTaken:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(register, range(4))) == [False, False, False, True]


@pytest.mark.parametrize(
    "email",
    ["", " ", "plain", "a@b", "a@@example.org", "a\0@example.org", '"\x01"@example.org', "ü@example.org",
     "a@exämple.org", "\ud800@example.org", "a" * 250 + "@example.org"],
)  # fmt: skip
def test_invalid_email_is_refused(email: str) -> None:
    with pytest.raises(InvalidPayload) as refusal:
        users.register(display_name="Nobody", email=email, password=None)
    assert refusal.value.field == "email"


@pytest.mark.parametrize(
    "name",
    ["", "   ", "\u200b", "\u0301", "x" * 101, "x" * 100_000, "a\0b", "a\x07b", "\ud800", "good\u202ename", "\ufdfa" * 101],
)  # fmt: skip
def test_name_that_cannot_be_displayed_is_refused(name: str) -> None:
    with pytest.raises(InvalidPayload) as refusal:
        users.register(display_name=name, email=new_email(), password=None)
    assert refusal.value.field == "displayName"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("  Ada \n Lovelace ", "Ada Lovelace"),
        ("Zoe\u0308", "Zoë"),
        ("👩‍🚀 李", "👩‍🚀 李"),
        ("\ufdfa" * 100, "\ufdfa" * 100),
    ],
)
def test_name_is_normalized_and_stored(somebody: Make, given: str, kept: str) -> None:
    assert User.objects.get(pk=somebody(given).id).display_name == kept


@pytest.mark.parametrize("password", ["", "short", "password123", "12345678", "x" * 1001, "\ud800" * 10])
def test_weak_password_is_refused(password: str) -> None:
    with pytest.raises(users.WeakPassword) as refusal:
        users.register(display_name="Weak", email=new_email(), password=password)
    assert refusal.value.field == "password"


def test_user_can_register_with_a_phone_number_instead_of_an_email() -> None:
    phone = f"+49{int(new_email()[:8], 16):010d}"
    user = users.register(display_name="Phone", phone=phone, password=None)
    assert (user.phone, user.email) == (phone, None)
    with pytest.raises(users.PhoneTaken):
        users.register(display_name="Twin", phone=phone, password=None)
    with pytest.raises(InvalidPayload, match="\\+49"):
        users.register(display_name="Local", phone="0151 23", password=None)
    with pytest.raises(InvalidPayload):
        users.register(display_name="Neither", password=None)


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "http://example.org/a", "//example.org/a", "/\\example.org", "https://", "/a b", "https://[", "/" + "x" * 500]
)  # fmt: skip
def test_avatar_url_that_is_neither_https_nor_local_is_refused(somebody: Make, url: str) -> None:
    with pytest.raises(InvalidPayload) as refusal:
        users.change_profile(somebody().id, avatar_url=url)
    assert refusal.value.field == "avatarUrl"


def test_profile_changes_are_rate_limited(somebody: Make, settings: Settings) -> None:
    settings.LIMITS = replace(settings.LIMITS, profile_changes_per_day=2)
    who = somebody("First")
    users.change_profile(who.id, display_name="Second", avatar_url="/media/a.png")
    users.change_profile(who.id, display_name="Third")
    with pytest.raises(RateLimited):
        users.change_profile(who.id, display_name="Fourth")
    assert User.objects.get(pk=who.id).display_name == "Third"
