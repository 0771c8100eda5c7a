"""Sign-up, sign-in and sign-out in a browser."""

import re
import secrets
from collections.abc import Callable
from dataclasses import replace

import pytest
from django.core.mail import EmailMessage
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts import cache, sessions, tokens
from accounts.models import Device, User
from gateway.bus import Event
from tests.accounts.conftest import PASSWORD, Somebody, new_email

Make = Callable[..., Somebody]
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def browser() -> Client:
    """A browser with its own network address."""
    address = ".".join(["10", *(str(secrets.randbelow(256)) for _ in range(3))])
    return Client(headers={"user-agent": FIREFOX}, REMOTE_ADDR=address)


def _sign_in(browser: Client, who: Somebody, password: str = PASSWORD, **more: str) -> HttpResponse:
    answer = browser.post(reverse("account_login"), {"login": who.user.email, "password": password, **more})
    assert isinstance(answer, HttpResponse)
    return answer


def _sign_up(browser: Client, **change: str) -> HttpResponse:
    form = {"email": new_email(), "password1": PASSWORD, "display_name": "Ada", **change}
    answer = browser.post(reverse("account_signup"), form)
    assert isinstance(answer, HttpResponse)
    return answer


def _device_of(browser: Client) -> Device:
    return Device.objects.get(pk=browser.session[sessions.DEVICE_KEY])


def test_sign_up_registers_signs_in_and_creates_a_device(browser: Client) -> None:
    email = new_email()
    answer = _sign_up(browser, email=email.upper(), display_name=" Ada  Lovelace ")
    assert (answer.status_code, answer["Location"]) == (302, "/")
    device = _device_of(browser)
    assert (device.user.email, device.user.display_name) == (email, "Ada Lovelace")
    assert (device.name, device.platform) == ("Firefox on Linux", "web")
    assert device.session_key == browser.session.session_key


@pytest.mark.parametrize(
    ("field", "value"),
    [("email", "plain"), ("email", "a@exämple.org"), ("password1", "short"), ("password1", "password123"),
     ("password1", "x" * 1001), ("display_name", ""), ("display_name", "\u202e"), ("display_name", "a\0b"),
     ("display_name", "x" * 101), ("display_name", "\x07")],
)  # fmt: skip
def test_invalid_sign_up_shows_the_error_beside_its_field(browser: Client, field: str, value: str) -> None:
    before = User.objects.count()
    answer = _sign_up(browser, **{field: value})
    assert answer.status_code == 200
    assert f'id="id_{field}_error"' in answer.content.decode()
    assert User.objects.count() == before


def test_sign_up_with_a_taken_email_is_refused(browser: Client, somebody: Make) -> None:
    email = new_email()
    somebody(email=email)
    answer = _sign_up(browser, email=email.upper())
    assert answer.status_code == 200
    assert 'id="id_email_error"' in answer.content.decode()
    assert User.objects.filter(email=email).count() == 1


def test_sign_in_creates_a_device_for_each_session(browser: Client, somebody: Make) -> None:
    who = somebody(password=PASSWORD)
    assert _sign_in(browser, who).status_code == 302
    first = _device_of(browser)
    other = Client()
    _sign_in(other, who)
    assert _device_of(other).pk != first.pk
    assert {first.user_id, _device_of(other).user_id} == {who.id}


def test_failed_sign_in_page_is_the_same_for_unknown_accounts(browser: Client, somebody: Make) -> None:
    who = somebody(password=PASSWORD)
    texts = set()
    for email, password in ((who.user.email, "wrong-horse-7"), (new_email(), PASSWORD)):
        answer = browser.post(reverse("account_login"), {"login": email, "password": password})
        texts.add(re.sub(r'(value|content)="[^"]*"', "", answer.content.decode()))
        assert answer.status_code == 200
    assert len(texts) == 1
    assert "errorlist" in texts.pop()


def test_failed_sign_ins_of_browser_and_api_share_one_limit(
    browser: Client, somebody: Make, settings: Settings
) -> None:
    settings.LIMITS = replace(settings.LIMITS, sign_ins_per_minute=2)
    who = somebody(password=PASSWORD)
    for _ in range(2):
        _sign_in(browser, who, "wrong-horse-7")
    body = {"email": who.user.email, "password": PASSWORD}
    assert browser.post("/api/v1/auth/token", body, "application/json").status_code == 429
    assert "Too many failed login attempts" in _sign_in(browser, who).content.decode()


def test_sign_up_and_sign_in_work_with_limits_without_redis(
    browser: Client,
    somebody: Make,
    settings: Settings,
    mailoutbox: list[EmailMessage],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cache, "_unavailable_until", 0.0)
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "unix:///nowhere/redis.sock"}}
    who = somebody(password=PASSWORD)
    forgotten = [browser.post(reverse("account_reset_password"), {"email": new_email()}) for _ in range(21)]
    assert [answer.status_code for answer in forgotten] == [302] * 20 + [429]
    assert _sign_in(browser, who).status_code == 302
    assert _sign_up(Client()).status_code == 302


def test_sign_in_does_not_redirect_to_another_site(browser: Client, somebody: Make) -> None:
    answer = _sign_in(browser, somebody(password=PASSWORD), next="https://evil.example/")
    assert answer["Location"] == "/"


def test_browser_sign_out_closes_only_sockets_of_its_session(
    browser: Client, somebody: Make, published: list[Event]
) -> None:
    who = somebody(password=PASSWORD)
    _sign_in(browser, who)
    device = _device_of(browser)
    assert browser.get(reverse("account_logout")).status_code == 200
    assert published == []
    assert browser.post(reverse("account_logout")).status_code == 302
    assert [(o.close_device, o.code) for o in published] == [(device.pk, 4401)]
    assert browser.get("/api/v1/me").status_code == 401
    assert tokens.verify_access(who.pair.access)


def test_password_change_keeps_this_session_and_signs_out_the_others(
    browser: Client, somebody: Make, published: list[Event]
) -> None:
    who = somebody(password=PASSWORD)
    _sign_in(browser, who)
    device = _device_of(browser)
    form = {"oldpassword": PASSWORD, "password1": "another-horse-8", "password2": "another-horse-8"}
    assert browser.post(reverse("account_change_password"), form).status_code == 302
    assert [o.close_device for o in published] == [who.device_id]
    assert browser.get("/api/v1/me").json()["id"] == str(who.id)
    assert _device_of(browser).pk == device.pk
    assert _device_of(browser).session_key == browser.session.session_key


def test_password_reset_by_mail_signs_out_all_devices(
    browser: Client, somebody: Make, published: list[Event], mailoutbox: list[EmailMessage]
) -> None:
    who = somebody(password=PASSWORD)
    assert browser.post(reverse("account_reset_password"), {"email": who.user.email}).status_code == 302
    link = re.search(r"http://testserver(/\S+)", str(mailoutbox[0].body))
    assert link is not None
    page = browser.get(link[1], follow=True)
    action = re.search(r'<form method="post" action="([^"]+)"', page.content.decode())
    assert action is not None
    form = {"password1": "another-horse-8", "password2": "another-horse-8"}
    assert browser.post(action[1], form).status_code == 302
    assert [o.close_device for o in published] == [who.device_id]
    assert _sign_in(browser, who, "another-horse-8").status_code == 302
    again = Client().get(link[1], follow=True).content.decode()
    assert "used up" in again


def test_password_reset_for_an_unknown_email_looks_the_same(browser: Client, mailoutbox: list[EmailMessage]) -> None:
    answer = browser.post(reverse("account_reset_password"), {"email": new_email()})
    assert answer["Location"] == reverse("account_reset_password_done")


@pytest.mark.parametrize(
    "page",
    ["account_login", "account_signup", "account_reset_password", "account_reset_password_done",
     "account_reset_password_from_key_done", "account_inactive", "account_email_verification_sent"],
)  # fmt: skip
def test_signed_out_pages_use_parley_layout(browser: Client, page: str) -> None:
    text = browser.get(reverse(page)).content.decode()
    assert "<h1>" in text
    assert "Parley</title>" in text
    assert "style=" not in text


@pytest.mark.parametrize(
    "page", ["account_logout", "account_change_password", "account_email", "account_reauthenticate"]
)
def test_account_pages_use_parley_layout(browser: Client, somebody: Make, page: str) -> None:
    _sign_in(browser, somebody(password=PASSWORD))
    text = browser.get(reverse(page)).content.decode()
    assert "<h1>" in text
    assert "Parley</title>" in text


def test_sign_up_fields_have_labels(browser: Client) -> None:
    text = browser.get(reverse("account_signup")).content.decode()
    for field in ("display_name", "email", "password1"):
        assert f'<label for="id_{field}">' in text
        assert f'id="id_{field}"' in text


def test_session_without_a_device_gets_one_on_first_use(browser: Client, somebody: Make) -> None:
    who = somebody(password=PASSWORD)
    browser.force_login(who.user)
    assert sessions.DEVICE_KEY not in browser.session
    assert browser.get("/api/v1/me").status_code == 200
    assert _device_of(browser).user_id == who.id


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (FIREFOX, "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) AppleWebKit/605 Version/18 Safari/605", "Safari on macOS"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18 Safari/604.1", "Safari on iPhone"),
        ("", "Browser"),
    ],
)
def test_device_name_is_derived_from_the_user_agent(agent: str, name: str) -> None:
    assert sessions.describe_browser(agent) == name
