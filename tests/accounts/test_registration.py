"""Sign-up: whom the setting lets in, addresses confirmed by mail, and no answer that reveals an account."""

import re
import secrets
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.core.mail import EmailMessage
from django.test import Client
from django.urls import reverse
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts import access, invitations, registration, users
from accounts.models import Invitation, User
from gateway.errors import NotFound
from gateway.ids import UserId
from tests.accounts.conftest import PASSWORD, Somebody, new_email
from tests.accounts.test_networks import random_address

Make = Callable[..., Somebody]
NewClient = Callable[..., APIClient]
SENT = {"confirm": "email"}


@pytest.fixture
def browser() -> Client:
    return Client(REMOTE_ADDR=random_address())


def register(api: APIClient, email: str, **more: str) -> Any:
    body = {"email": email, "password": PASSWORD, "displayName": "Ada", **more}
    return api.post("/api/v1/auth/register", body)


def sign_up(browser: Client, email: str, **more: str) -> Any:
    form = {"email": email, "password1": PASSWORD, "display_name": "Ada", **more}
    return browser.post(reverse("account_signup"), form)


def sign_in(api: APIClient, email: str) -> Any:
    return api.post("/api/v1/auth/token", {"email": email, "password": PASSWORD})


def follow(mail: EmailMessage) -> None:
    """Follow the link of a mail in some browser, and press its button."""
    link = re.search(r"http://testserver(/\S+)", str(mail.body))
    assert link is not None
    Client().post(link[1])


def test_account_registered_over_rest_is_confirmed_by_mail_before_it_signs_in(
    client: NewClient, confirming: Settings, mailoutbox: list[EmailMessage], somebody: Make
) -> None:
    api, email, other = client(), new_email(), somebody()

    answer = register(api, email)

    assert (answer.status_code, answer.json()) == (202, SENT)
    user = User.objects.get(email=email)
    refused = sign_in(api, email)
    assert (refused.status_code, refused.json()["code"]) == (403, "EMAIL_UNCONFIRMED")
    with pytest.raises(NotFound):
        access.get_person(other.id, UserId(user.pk))
    assert [mail.to for mail in mailoutbox] == [[email]], "a second mail within 3 minutes has nothing new"

    follow(mailoutbox[0])

    assert sign_in(api, email).status_code == 200
    assert access.get_person(other.id, UserId(user.pk)).display_name == "Ada"


def test_account_signed_up_by_page_is_confirmed_by_mail_before_it_signs_in(
    browser: Client, confirming: Settings, mailoutbox: list[EmailMessage]
) -> None:
    email = new_email()
    form = {"login": email, "password": PASSWORD}
    waiting = reverse("account_email_verification_sent")

    assert sign_up(browser, email)["Location"] == waiting
    assert browser.post(reverse("account_login"), form)["Location"] == waiting
    assert browser.get("/api/v1/me").status_code == 401
    follow(mailoutbox[0])

    assert browser.post(reverse("account_login"), form)["Location"] == "/"
    assert browser.get("/api/v1/me").json()["email"] == email


def test_registration_of_a_taken_address_looks_like_one_of_a_free_address(
    client: NewClient, confirming: Settings, mailoutbox: list[EmailMessage], somebody: Make
) -> None:
    owner = somebody(password=PASSWORD)
    taken, free = owner.user.email or "", new_email()

    answers = [register(client(), email.upper()) for email in (taken, free)]
    weak = [register(client(), email, password="short") for email in (taken, new_email())]

    assert [(a.status_code, a.json()) for a in answers] == [(202, SENT)] * 2
    assert weak[0].status_code == weak[1].status_code == 422
    assert weak[0].json() == weak[1].json()
    assert [mail.to for mail in mailoutbox] == [[taken], [free]]
    assert "already" in mailoutbox[0].subject.lower()
    assert users.get(owner.id).display_name == "Somebody"


def test_sign_up_page_looks_the_same_for_a_taken_address(
    confirming: Settings, mailoutbox: list[EmailMessage], somebody: Make
) -> None:
    taken = somebody().user.email or ""
    free = new_email()
    browsers = [Client(REMOTE_ADDR=random_address()) for _ in range(2)]
    answers = [sign_up(browser, email) for browser, email in zip(browsers, (taken, free), strict=True)]
    pages = [
        browser.get(answer["Location"]).content.decode() for browser, answer in zip(browsers, answers, strict=True)
    ]
    weak = [sign_up(Client(), email, password1="short").content.decode() for email in (taken, new_email())]

    assert [(a.status_code, a["Location"]) for a in answers] == [(302, reverse("account_email_verification_sent"))] * 2
    assert answers[0].cookies.keys() == answers[1].cookies.keys()
    assert pages[0].replace(taken, "") == pages[1].replace(free, "")
    assert len({re.sub(r'(value|content)="[^"]*"', "", page) for page in weak}) == 1
    assert mailoutbox[0].to == [taken]


def test_registration_of_a_taken_address_costs_the_same_hashing(
    client: NewClient, confirming: Settings, somebody: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, hashed = somebody().user.email or "", []
    encode = Argon2PasswordHasher.encode

    def counted(self: Any, password: str, salt: str) -> str:
        hashed.append(password)
        return str(encode(self, password, salt))

    monkeypatch.setattr(Argon2PasswordHasher, "encode", counted)
    for email in (taken, new_email()):
        register(client(), email)

    assert hashed == [PASSWORD] * 2


def test_owner_of_a_squatted_address_gets_the_account_by_a_reset_link(
    client: NewClient, confirming: Settings, mailoutbox: list[EmailMessage], browser: Client
) -> None:
    email = new_email()
    register(client(), email)
    browser.post(reverse("account_reset_password"), {"email": email})
    link = re.search(r"http://testserver(/\S+)", str(mailoutbox[-1].body))
    assert link is not None
    page = browser.get(link[1], follow=True).content.decode()
    action = re.search(r'<form method="post" action="([^"]+)"', page)
    assert action is not None

    browser.post(action[1], {"password1": "another-horse-8", "password2": "another-horse-8"})

    assert User.objects.get(email=email).confirmed_at is not None
    assert browser.get("/api/v1/me").json()["email"] == email
    assert sign_in(client(), email).status_code == 401


def test_reset_link_goes_to_the_address_of_sign_in_alone(
    somebody: Make, mailoutbox: list[EmailMessage], browser: Client
) -> None:
    """A second address, even a confirmed one that somebody else has entered, does not reset the password."""
    who, second = somebody(password=PASSWORD), new_email()
    who.user.emailaddress_set.create(email=second, verified=True)

    browser.post(reverse("account_reset_password"), {"email": second})

    assert all("password/reset/key" not in str(mail.body) for mail in mailoutbox)


@pytest.mark.parametrize(("rule", "status"), [("open", 202), ("domains", 202), ("invite", 403), ("closed", 403)])
def test_setting_decides_about_sign_up_without_an_invitation(
    client: NewClient, browser: Client, confirming: Settings, rule: str, status: int
) -> None:
    confirming.SIGN_UP, confirming.SIGN_UP_DOMAINS = rule, ["example.org"]

    assert register(client(), new_email()).status_code == status
    shown = 'name="password1"' in browser.get(reverse("account_signup")).content.decode()
    assert shown is (status == 202)


@pytest.mark.parametrize(
    "address", ["a@example.com", "a@sub.example.org", "a@example.org.evil.example", "example.org@b.example"]
)
def test_other_domains_cannot_sign_up(client: NewClient, browser: Client, confirming: Settings, address: str) -> None:
    confirming.SIGN_UP, confirming.SIGN_UP_DOMAINS = "domains", ["example.org"]

    assert register(client(), f"{secrets.token_hex(4)}{address}").status_code == 403
    assert sign_up(browser, f"{secrets.token_hex(4)}{address}").status_code == 200


def test_invitation_to_an_address_confirms_it(client: NewClient, confirming: Settings) -> None:
    confirming.SIGN_UP, email = "invite", new_email()
    token = invitations.token_of(invitations.create(email=email))

    assert register(client(), new_email(), invitation=token).status_code == 403
    assert register(client(), email, invitation=token).status_code == 201
    assert register(client(), email, invitation=token).status_code == 403


def test_open_invitation_confirms_an_address_only_if_no_mail_can_be_sent(
    client: NewClient, confirming: Settings
) -> None:
    confirming.SIGN_UP = "invite"
    token = invitations.token_of(invitations.create(max_uses=2))

    assert register(client(), new_email(), invitation=token).status_code == 202
    confirming.MAIL = False
    assert register(client(), new_email(), invitation=token).status_code == 201
    assert register(client(), new_email(), invitation=token).status_code == 403


def test_invitation_link_opens_the_sign_up_page(browser: Client, confirming: Settings) -> None:
    confirming.SIGN_UP, email = "invite", new_email()
    link = invitations.link_to(invitations.create(email=email))

    page = browser.get(link).content.decode()
    assert f'value="{email}"' in page
    action = re.search(r'<form method="post" action="([^"]+)"', page)
    assert action is not None
    form = {"email": email, "password1": PASSWORD, "display_name": "Ada"}
    assert browser.post(unescape(action[1]), form)["Location"] == "/"
    assert browser.get("/api/v1/me").json()["email"] == email
    assert 'name="password1"' not in Client().get(link).content.decode()


@pytest.mark.parametrize("end", ["expired", "revoked", "used", "forged"])
def test_ended_invitation_lets_nobody_in(client: NewClient, browser: Client, confirming: Settings, end: str) -> None:
    confirming.SIGN_UP = "invite"
    invitation = invitations.create(days=-1 if end == "expired" else 1)
    token = invitations.token_of(invitation)
    if end == "revoked":
        invitations.revoke(invitation.pk)
    if end == "used":
        register(client(), new_email(), invitation=token)
    if end == "forged":
        token = f"{invitation.pk}:x{token.partition(':')[2][1:]}"

    assert register(client(), new_email(), invitation=token).status_code == 403
    assert 'name="password1"' not in browser.get(reverse("account_signup"), {"invitation": token}).content.decode()


def test_refused_registration_does_not_use_the_invitation_but_a_taken_address_does(
    client: NewClient, confirming: Settings, somebody: Make
) -> None:
    """A link that were left over would reveal that the address has an account."""
    confirming.SIGN_UP = "invite"
    invitation = invitations.create(max_uses=2)
    token = invitations.token_of(invitation)

    register(client(), new_email(), invitation=token, password="short")
    assert Invitation.objects.get(pk=invitation.pk).uses == 0
    register(client(), somebody().user.email or "", invitation=token)
    assert Invitation.objects.get(pk=invitation.pk).uses == 1


def test_registrations_are_limited_by_network(client: NewClient, confirming: Settings) -> None:
    confirming.LIMITS = replace(confirming.LIMITS, sign_ins_per_minute=2)
    api = client()

    assert [register(api, new_email()).status_code for _ in range(3)] == [202, 202, 429]


def test_rule_of_the_demo_confirms_at_once(settings: Settings) -> None:
    user = registration.register(display_name="Ada", email=new_email(), password=PASSWORD)

    assert user is not None
    assert user.confirmed_at is not None
