"""Limits of sign-in: what strangers fail at never keeps the owner out, and never gets cheaper for them."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from django.core.mail import EmailMessage
from django.test import Client as Browser
from django.urls import reverse
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts import known_clients, sign_in
from accounts.known_clients import Client
from accounts.models import User
from tests.accounts.conftest import PASSWORD, Somebody, new_email
from tests.accounts.test_networks import random_address
from tests.servers import free_port

Make = Callable[..., Somebody]
NewClient = Callable[..., APIClient]
TOKEN = "/api/v1/auth/token"
WRONG = "wrong-horse-7"


@pytest.fixture(autouse=True)
def few(settings: Settings) -> None:
    settings.LIMITS = replace(settings.LIMITS, sign_ins_per_minute=3)


def post(api: APIClient, who: Somebody, password: str = PASSWORD) -> int:
    return int(api.post(TOKEN, {"email": who.user.email, "password": password}).status_code)


def spend_account(client: NewClient, who: Somebody) -> None:
    """Fail from many networks until the account's bucket for unknown networks is empty."""
    for _ in range(9):
        assert post(client(), who, WRONG) == 401
    assert post(client(), who, WRONG) == 429


def test_refused_network_does_not_spend_the_buckets_of_accounts(client: NewClient, somebody: Make) -> None:
    """One address kept every account from signing in: what its own bucket refused was charged to the accounts."""
    victims = [somebody(password=PASSWORD) for _ in range(3)]
    attacker = client()

    tries = [post(attacker, who, WRONG) for _ in range(5) for who in victims]

    assert tries == [401] * 3 + [429] * 12
    assert [post(client(), who) for who in victims] == [200] * 3


def test_browser_that_signed_in_before_is_not_kept_out_by_strangers(client: NewClient, somebody: Make) -> None:
    who, own = somebody(password=PASSWORD), Browser()
    form = {"login": who.user.email, "password": PASSWORD}
    assert own.post(reverse("account_login"), form, REMOTE_ADDR=random_address()).status_code == 302
    own.post(reverse("account_logout"))
    spend_account(client, who)

    assert own.post(reverse("account_login"), form, REMOTE_ADDR=random_address()).status_code == 302


def test_network_of_an_earlier_sign_in_is_not_kept_out_by_strangers(client: NewClient, somebody: Make) -> None:
    who, home = somebody(password=PASSWORD), client()
    assert post(home, who) == 200
    home.cookies.clear()
    spend_account(client, who)

    assert post(home, who) == 200


def test_known_browser_and_network_have_limits_of_their_own(client: NewClient, somebody: Make) -> None:
    who, home = somebody(password=PASSWORD), client()
    assert post(home, who) == 200

    assert [post(home, who, WRONG) for _ in range(4)] == [401] * 3 + [429]
    home.cookies.clear()
    assert [post(home, who, WRONG) for _ in range(4)] == [401] * 3 + [429]


def test_cookie_of_another_account_or_password_makes_no_browser_known(client: NewClient, somebody: Make) -> None:
    who, attacker = somebody(password=PASSWORD), somebody(password=PASSWORD)
    own, foreign = client(), client()
    assert (post(own, who), post(foreign, attacker)) == (200, 200)
    cookie = own.cookies[known_clients.COOKIE].value
    user = User.objects.get(pk=who.id)
    assert known_clients.find_browser(user, Client("", cookie))

    assert known_clients.find_browser(user, Client("", foreign.cookies[known_clients.COOKIE].value)) is None
    for forged in ("", "x", cookie[:-2], f"x{cookie}"):
        assert known_clients.find_browser(user, Client("", forged)) is None
    user.set_password("another-horse-8")
    assert known_clients.find_browser(user, Client("", cookie)) is None


def test_browser_is_known_to_the_last_five_accounts_that_used_it(client: NewClient, somebody: Make) -> None:
    people, browser = [somebody(password=PASSWORD) for _ in range(6)], client()
    for who in people:
        assert post(browser, who) == 200

    cookie = Client("", browser.cookies[known_clients.COOKIE].value)
    assert [known_clients.find_browser(who.user, cookie) is not None for who in people] == [False] + [True] * 5


def test_delay_grows_with_the_failures_of_an_account_and_is_bounded(somebody: Make) -> None:
    """The windows of an hour and a day hold, however many networks the failures come from."""
    who = somebody(password=PASSWORD)
    (_, growing) = sign_in._charges(who.user.email or "", who.user, Client(random_address()))

    longest = [1 / window.rate for window in growing.windows]

    assert [window.burst for window in growing.windows] == [9, 30, 90]
    assert longest == pytest.approx([20 / 3, 120, 960])


def test_unknown_account_is_limited_like_a_known_one(client: NewClient) -> None:
    email = new_email()
    statuses = [client().post(TOKEN, {"email": email, "password": PASSWORD}).status_code for _ in range(10)]

    assert statuses == [401] * 9 + [429]


def test_forgotten_password_is_reset_while_strangers_spend_the_limits(
    client: NewClient, somebody: Make, mailoutbox: list[EmailMessage]
) -> None:
    """Nobody can keep the owner from a reset link, nor fill their mailbox with them."""
    who = somebody(password=PASSWORD)
    pages = [
        Browser(REMOTE_ADDR=random_address()).post(reverse("account_reset_password"), {"email": who.user.email})
        for _ in range(7)
    ]

    assert {page["Location"] for page in pages} == {reverse("account_reset_password_done")}
    assert [mail.to for mail in mailoutbox] == [[who.user.email]] * 5


def test_owner_is_told_of_a_sign_in_from_an_unknown_browser_and_network(
    client: NewClient, somebody: Make, mailoutbox: list[EmailMessage]
) -> None:
    who, home = somebody(password=PASSWORD), client()
    assert post(home, who) == 200
    assert post(home, who) == 200
    home.cookies.clear()
    assert post(home, who) == 200
    assert mailoutbox == []

    assert post(client(), who) == 200
    away = Browser(REMOTE_ADDR=random_address(), headers={"user-agent": "Firefox/140.0 Linux"})
    away.post(reverse("account_login"), {"login": who.user.email, "password": PASSWORD})

    assert [mail.to for mail in mailoutbox] == [[who.user.email]] * 2
    assert "New sign-in" in mailoutbox[0].subject
    assert "Firefox on Linux" in str(mailoutbox[1].body)


def test_failing_mail_server_keeps_nobody_from_signing_in(
    client: NewClient, somebody: Make, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    who = somebody(password=PASSWORD)
    assert post(client(), who) == 200
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()

    assert post(client(), who) == 200
    assert "new sign-in not reported" in caplog.text


@pytest.mark.parametrize(
    ("address", "network"),
    [("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("2001:db8::7", "2001:db8::/64"), ("", "unknown")],
)
def test_network_of_a_client_is_an_ipv4_address_or_a_64(address: str, network: str) -> None:
    """IPv4 clients of a dual-stack listener are not all one network."""
    assert Client(address).network == network
