"""Who may create an account, over REST and by the page: everybody, people with an invitation, nobody."""

import io
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings
from time_machine import travel

from accounts import invitations, registration
from accounts.models import User
from tests.accounts.conftest import PASSWORD, new_email
from tests.accounts.test_networks import random_address

REGISTER = "/api/v1/auth/register"


@pytest.fixture
def invite(settings: Settings) -> None:
    """An installation that takes new accounts by invitation."""
    settings.SIGN_UP = "invite"


def token(email: str | None = None, **more: Any) -> str:
    return invitations.token_of(invitations.create(email=email, **more))


def register(email: str, invitation: str = "") -> tuple[int, str]:
    body = {"email": email, "password": PASSWORD, "displayName": "New", "invitation": invitation}
    answer: Any = Client(REMOTE_ADDR=random_address()).post(REGISTER, body, "application/json")
    return answer.status_code, answer.json().get("code", "")


def sign_up(link: str, email: str) -> Any:
    """Fill in the sign-up page at a link."""
    browser = Client(REMOTE_ADDR=random_address())
    if browser.get(link).status_code == 200 and "No sign-up here" in browser.get(link).content.decode():
        return None
    return browser.post(link, {"display_name": "New", "email": email, "password1": PASSWORD})


def link(*arguments: str) -> str:
    """Return path and query of the link that `manage.py invite` prints."""
    out = io.StringIO()
    call_command("invite", *arguments, stdout=out)
    parts = urlsplit(out.getvalue().strip())
    return f"{parts.path}?{parts.query}"


def test_without_invitation_nobody_registers_over_rest_or_the_page(invite: None) -> None:
    email = new_email()
    assert register(email) == (403, "FORBIDDEN")
    assert sign_up(reverse("account_signup"), email) is None
    assert not User.objects.filter(email=email).exists()


def test_invitation_lets_in_over_rest_and_by_the_page(invite: None) -> None:
    one, other = new_email(), new_email()
    assert register(one, token()) == (201, "")
    assert sign_up(link(), other).status_code == 302
    assert User.objects.filter(email__in=[one, other]).count() == 2


def test_invitation_for_an_address_lets_in_that_address_only(invite: None) -> None:
    one, other = new_email(), new_email()
    invitation = token(one)
    assert register(other, invitation) == (403, "FORBIDDEN")
    assert sign_up(link("--email", one), other).status_code == 200
    assert register(one, invitation) == (201, "")
    assert not User.objects.filter(email=other).exists()


def test_invitation_ends_after_its_days(invite: None) -> None:
    with travel("2026-01-01T00:00:00Z", tick=False):
        invitation = token(days=1, max_uses=2)
    with travel("2026-01-01T23:59:00Z", tick=False):
        assert register(new_email(), invitation)[0] == 201
    with travel("2026-01-02T00:01:00Z", tick=False):
        assert register(new_email(), invitation) == (403, "FORBIDDEN")


@pytest.mark.parametrize("forged", ["x", "WyIiLDk5OTk5OTk5OTld:1vLx:abc", "a:b:c", "\0", "é" * 50, "x" * 5000])
def test_forged_invitation_is_refused(invite: None, forged: str) -> None:
    assert register(new_email(), forged)[0] in (403, 422)
    assert not registration.is_open_to(forged)


def test_closed_installation_takes_no_invitation(settings: Settings) -> None:
    settings.SIGN_UP = "invite"
    invitation = token()
    settings.SIGN_UP = "closed"
    assert register(new_email(), invitation) == (403, "FORBIDDEN")
    with pytest.raises(CommandError, match="closed"):
        call_command("invite")


def test_sign_in_page_offers_an_account_only_where_sign_up_is_open(settings: Settings) -> None:
    settings.SIGN_UP = "open"
    assert "Make an account" in Client().get(reverse("account_login")).content.decode()
    settings.SIGN_UP = "invite"
    assert "Make an account" not in Client().get(reverse("account_login")).content.decode()


@pytest.mark.parametrize("days", ["0", "91", "-1"])
def test_invitation_has_a_longest_life(invite: None, days: str) -> None:
    with pytest.raises(CommandError, match="1 to 90 days"):
        call_command("invite", "--days", days)
