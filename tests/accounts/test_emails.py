"""The page of a user's e-mail addresses: adding one, and refusal of addresses of other users."""

import re
from collections.abc import Callable

import pytest
from allauth.account.models import EmailAddress
from django.core.mail import EmailMessage
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.models import User
from accounts.users import EmailTaken
from tests.accounts.conftest import PASSWORD, Somebody, new_email

Make = Callable[..., Somebody]
PAGE = reverse("account_email")


def sign_in(who: Somebody) -> Client:
    browser = Client()
    browser.post(reverse("account_login"), {"login": who.user.email, "password": PASSWORD})
    return browser


def press(browser: Client, action: str, email: str) -> str:
    """Press a button of the page and return the next page."""
    return browser.post(PAGE, {f"action_{action}": "", "email": email}, follow=True).content.decode()


def confirm(browser: Client, mail: EmailMessage) -> None:
    """Follow the link of a confirmation mail."""
    link = re.search(r"http://testserver(/\S+)", str(mail.body))
    assert link is not None
    browser.post(link[1])


def email_of(who: Somebody) -> str | None:
    return User.objects.get(pk=who.id).email


def test_user_can_add_an_email_and_make_it_primary(somebody: Make, mailoutbox: list[EmailMessage]) -> None:
    who, other = somebody(password=PASSWORD), new_email()
    browser = sign_in(who)

    press(browser, "add", other.upper())
    press(browser, "primary", other)
    assert email_of(who) == who.user.email, "only a confirmed address can be signed in with"
    confirm(browser, mailoutbox[0])
    press(browser, "primary", other)

    assert email_of(who) == other
    assert mailoutbox[0].to == [other]


def test_staff_cannot_change_their_own_address(somebody: Make, mailoutbox: list[EmailMessage]) -> None:
    """Whoever reads their mail could reset their password: a superuser changes it, in the admin (F275)."""
    who, other = somebody(password=PASSWORD), new_email()
    browser = sign_in(who)
    User.objects.filter(pk=who.id).update(is_staff=True)

    assert "A superuser changes" in press(browser, "add", other)

    assert not EmailAddress.objects.filter(email=other).exists()
    assert mailoutbox == []


def test_page_does_not_reveal_that_an_address_has_an_account(
    somebody: Make, mailoutbox: list[EmailMessage], confirming: Settings
) -> None:
    who, other = somebody(password=PASSWORD), somebody()
    browser, taken, free = sign_in(who), other.user.email or "", new_email()

    pages = [press(browser, "add", address).replace(address, "") for address in (taken, free)]
    press(browser, "primary", taken)

    assert "sign in." not in pages[0]
    assert [mail.to for mail in mailoutbox] == [[taken], [free]]
    assert email_of(who) == who.user.email


def test_email_of_another_user_cannot_be_added(somebody: Make) -> None:
    who, other = somebody(password=PASSWORD), somebody()

    page = press(sign_in(who), "add", other.user.email or "")

    assert EmailTaken().message in page
    assert not EmailAddress.objects.filter(email=other.user.email).exists()


@pytest.mark.parametrize("way", ["primary", "confirm"])
def test_email_taken_by_a_later_sign_up_is_refused_and_nothing_changes(
    somebody: Make, mailoutbox: list[EmailMessage], way: str
) -> None:
    who, new_address = somebody(password=PASSWORD), new_email()
    browser = sign_in(who)
    press(browser, "add", new_address)
    twin = somebody(email=new_address)
    if way == "primary":
        EmailAddress.objects.filter(email=new_address).update(verified=True)
    before = list(EmailAddress.objects.filter(user=who.user).order_by("pk").values())

    if way == "primary":
        page = press(browser, "primary", new_address)
    else:
        confirm(browser, mailoutbox[0])
        page = browser.get(PAGE).content.decode()

    assert EmailTaken().message in page
    assert (email_of(who), email_of(twin)) == (who.user.email, new_address)
    assert list(EmailAddress.objects.filter(user=who.user).order_by("pk").values()) == before
