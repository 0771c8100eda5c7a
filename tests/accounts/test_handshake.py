"""Authentication of sockets."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings as active
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts import devices, handshake, sessions, tickets, tokens, users
from accounts.models import Device
from gateway.bus import Event
from gateway.errors import Closed, Overloaded, TokenExpired
from gateway.frames import Session
from gateway.ids import DeviceId
from gateway.routes import Handshake
from tests.accounts.conftest import Somebody

Make = Callable[..., Somebody]
HOST = b"localhost:8000"
OWN_ORIGIN = b"http://localhost:8000"


def _request(
    headers: dict[bytes, bytes] | None = None,
    query: dict[str, str] | None = None,
    cookies: dict[str, str] | None = None,
) -> Handshake:
    return Handshake({b"host": HOST, **(headers or {})}, query or {}, cookies or {})


def _refusal(request: Handshake) -> Closed:
    with pytest.raises(Closed) as closed:
        handshake.authenticate(request)
    assert len(closed.value.reason.encode()) <= 123
    return closed.value


def _bearer(token: str) -> Handshake:
    return _request({b"authorization": b"Bearer " + token.encode("latin-1", "replace")})


@pytest.fixture
def browser(somebody: Make) -> tuple[Somebody, Client]:
    """A user and their signed-in browser."""
    who = somebody()
    client = Client(headers={"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"})
    client.force_login(who.user)
    return who, client


def _cookie(client: Client) -> dict[str, str]:
    return {active.SESSION_COOKIE_NAME: client.cookies[active.SESSION_COOKIE_NAME].value}


def test_bearer_token_opens_a_socket(somebody: Make) -> None:
    who = somebody()
    session = handshake.authenticate(_bearer(who.pair.access))
    assert session == Session(who.id, who.device_id, who.pair.access_expires_at.timestamp())


@pytest.mark.parametrize(
    "headers", [{b"authorization": b"Bearer x"}, {b"authorization": b"Basic eDp5"}, {b"authorization": b"\xff\xfe"}, {}]
)
def test_socket_without_a_valid_credential_closes_with_4401(headers: dict[bytes, bytes]) -> None:
    assert _refusal(_request(headers)).code == 4401


def test_expired_token_closes_the_socket_with_its_reason(somebody: Make) -> None:
    who = somebody()
    with time_machine.travel(timezone.now() + timedelta(seconds=active.LIMITS.access_token + 1)):
        closed = _refusal(_bearer(who.pair.access))
    assert (closed.code, closed.reason) == (4401, TokenExpired().message)


def test_wrong_bearer_token_is_refused_despite_a_valid_ticket(somebody: Make) -> None:
    ticket = tickets.issue(tokens.decode_access(somebody().pair.access)).ticket
    assert _refusal(_request({b"authorization": b"Bearer x"}, {"ticket": ticket})).code == 4401


def test_ticket_opens_only_one_socket(somebody: Make) -> None:
    session = tokens.decode_access(somebody().pair.access)
    ticket = tickets.issue(session).ticket
    assert handshake.authenticate(_request(query={"ticket": ticket})) == session
    assert _refusal(_request(query={"ticket": ticket})).code == 4401


def test_ticket_of_a_signed_out_device_is_refused(somebody: Make, published: list[Event]) -> None:
    who = somebody()
    ticket = tickets.issue(tokens.decode_access(who.pair.access)).ticket
    devices.revoke(who.id, who.device_id)
    closed = _refusal(_request(query={"ticket": ticket}))
    assert (closed.code, closed.reason) == (4401, devices.Revoked().message)


@pytest.mark.parametrize(("allowed", "opens"), [(True, True), (False, False)])
def test_token_in_the_url_works_only_if_the_setting_allows_it(
    somebody: Make, settings: Settings, allowed: bool, opens: bool
) -> None:
    settings.TOKEN_IN_URL = allowed
    who = somebody()
    request = _request(query={"token": who.pair.access})
    if opens:
        assert handshake.authenticate(request).user_id == who.id
    else:
        assert _refusal(request).code == 4401


def test_disabled_user_cannot_open_a_socket(somebody: Make, published: list[Event]) -> None:
    who = somebody()
    users.disable(who.id)
    assert _refusal(_bearer(who.pair.access)).code == 4401


def test_web_session_opens_a_socket_for_its_own_device(browser: tuple[Somebody, Client]) -> None:
    who, client = browser
    request = _request(
        {b"origin": OWN_ORIGIN, b"user-agent": b"Mozilla/5.0 (X11; Linux) Firefox/140.0"}, cookies=_cookie(client)
    )
    first = handshake.authenticate(request)
    assert (first.user_id, first.expires_at) == (who.id, None)
    assert first.device_id != who.device_id
    assert handshake.authenticate(request) == first
    assert Device.objects.get(pk=first.device_id).name == "Firefox on Linux"


@pytest.mark.parametrize(
    "origin",
    [None, b"", b"null", b"http://evil.example", b"http://localhost:8001", b"http://localhost", b"ftp://localhost:8000",
     b"http://localhost:8000.evil.example", b"http://localhost:8000@evil.example", b"http://evil@localhost:8000",
     b"http://localhost:8000/", b"http://[", b"\xff"],
)  # fmt: skip
def test_page_of_another_origin_cannot_open_a_socket_with_the_web_session(
    browser: tuple[Somebody, Client], origin: bytes | None
) -> None:
    headers = {} if origin is None else {b"origin": origin}
    closed = _refusal(_request(headers, cookies=_cookie(browser[1])))
    assert (closed.code, closed.reason) == (4401, handshake.WrongOrigin().message)


def test_configured_origin_can_use_the_web_session(browser: tuple[Somebody, Client], settings: Settings) -> None:
    settings.ORIGINS = ["https://app.example.org"]
    request = _request({b"origin": b"https://APP.example.org"}, cookies=_cookie(browser[1]))
    assert handshake.authenticate(request).user_id == browser[0].id


def test_origin_equal_to_an_unknown_host_is_refused(browser: tuple[Somebody, Client]) -> None:
    request = _request({b"host": b"rebound.example", b"origin": b"http://rebound.example"}, cookies=_cookie(browser[1]))
    assert _refusal(request).code == 4401


def test_http_origin_is_refused_when_tls_is_on(browser: tuple[Somebody, Client], settings: Settings) -> None:
    settings.TLS = True
    assert _refusal(_request({b"origin": OWN_ORIGIN}, cookies=_cookie(browser[1]))).code == 4401
    good = _request({b"origin": b"https://localhost:8000"}, cookies=_cookie(browser[1]))
    assert handshake.authenticate(good).user_id == browser[0].id


def test_web_session_signed_out_elsewhere_is_refused_and_deleted(
    browser: tuple[Somebody, Client], published: list[Event]
) -> None:
    who, client = browser
    request = _request({b"origin": OWN_ORIGIN}, cookies=_cookie(client))
    device_id = handshake.authenticate(request).device_id
    devices.revoke(who.id, device_id)
    assert _refusal(request).code == 4401
    assert not client.session.exists(_cookie(client)[active.SESSION_COOKIE_NAME])
    assert [o.close_device for o in published] == [device_id]


def test_session_saved_again_after_its_revocation_is_flushed(
    browser: tuple[Somebody, Client], published: list[Event]
) -> None:
    who, client = browser
    device = sessions.get_or_create_device(session := client.session, who.user)
    session.save()
    devices.revoke(who.id, DeviceId(device.pk))
    session.save(must_create=True)  # as a request in flight would have
    closed = _refusal(_request({b"origin": OWN_ORIGIN}, cookies=_cookie(client)))
    assert closed.reason == devices.Revoked().message
    assert not client.session.exists(_cookie(client)[active.SESSION_COOKIE_NAME])


def test_password_change_invalidates_web_sessions(browser: tuple[Somebody, Client]) -> None:
    who, client = browser
    who.user.set_password("another-horse-8")
    who.user.save(update_fields=["password"])
    assert _refusal(_request({b"origin": OWN_ORIGIN}, cookies=_cookie(client))).code == 4401


@pytest.mark.parametrize("key", ["", "x", "\0", "x" * 5000, "'; --"])
def test_unknown_session_cookie_is_refused(key: str) -> None:
    request = _request({b"origin": OWN_ORIGIN}, cookies={active.SESSION_COOKIE_NAME: key})
    assert _refusal(request).code == 4401


@pytest.mark.parametrize("fault", [Overloaded, OperationalError])
def test_unavailable_store_does_not_report_a_wrong_credential(
    monkeypatch: pytest.MonkeyPatch, fault: type[Exception]
) -> None:
    """A client signs in again after 4401, so an outage must not cause it."""

    def away(ticket: str) -> Session:
        raise fault

    monkeypatch.setattr(tickets, "redeem", away)
    with pytest.raises(fault):
        handshake.authenticate(_request(query={"ticket": "x"}))


def test_token_renews_only_the_session_of_its_own_device(somebody: Make) -> None:
    who, other = somebody(), somebody()
    session = Session(who.id, who.device_id, 1.0)
    assert handshake.renew(session, who.pair.access).expires_at == who.pair.access_expires_at.timestamp()
    second = tokens.issue(devices.add(who.id))
    for foreign in (other.pair.access, second.access):
        with pytest.raises(handshake.OtherSession):
            handshake.renew(session, foreign)
    with pytest.raises(tokens.WrongToken):
        handshake.renew(session, "x")
