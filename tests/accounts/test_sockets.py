"""Sockets of a running server: authentication, and their close after a sign-out."""

import asyncio
import json
import time
import urllib.error
import urllib.request
from typing import Any

import pytest
import websockets
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client as Browser
from django.utils import timezone

from accounts import devices, tokens, users
from accounts.models import User
from gateway.connection_checks import RECHECK_SECONDS
from tests.clients import WAIT_SECONDS, connected
from tests.factories import another_device, someone
from tests.servers import Server

REVOCATION_SECONDS = 2.0


def _post(server: Server, route: str, token: str) -> Any:
    request = urllib.request.Request(
        f"{server.url}/api/v1{route}", data=b"", headers={"Authorization": f"Bearer {token}"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as answer:
        body = answer.read()
    return json.loads(body) if body else None


async def _close_code(url: str, headers: dict[str, str]) -> int:
    """Open a socket and return its close code, or 0 if it got a frame."""
    async with websockets.connect(url, additional_headers=headers) as socket, asyncio.timeout(WAIT_SECONDS):
        try:
            await socket.recv()
        except websockets.ConnectionClosed:
            return socket.close_code or 0
    return 0


async def test_sign_out_in_another_process_closes_sockets_within_two_seconds(server: Server) -> None:
    person = someone()
    other = another_device(person)
    async with connected(server, person) as out, connected(server, other) as stays:
        began = time.monotonic()
        devices.revoke(person.id, person.device_id)
        assert await out.closed() == 4401
        assert time.monotonic() - began < REVOCATION_SECONDS
        await stays.settled()


async def test_logout_over_rest_closes_all_sockets_of_the_device(server: Server) -> None:
    person = someone()
    async with connected(server, person) as first, connected(server, person) as second:
        began = time.monotonic()
        await asyncio.to_thread(_post, server, "/auth/logout", person.access)
        assert [await first.closed(), await second.closed()] == [4401, 4401]
        assert time.monotonic() - began < REVOCATION_SECONDS


async def test_reuse_of_a_refresh_token_closes_the_devices_socket(server: Server) -> None:
    person = someone()
    pair = tokens.issue(devices.get_active(person.id, person.device_id))
    async with connected(server, person) as client:
        tokens.rotate(pair.refresh)
        with pytest.raises(tokens.TokenReused):
            tokens.rotate(pair.refresh)
        assert await client.closed() == 4401


async def test_disabled_users_sockets_are_closed(server: Server) -> None:
    person = someone()
    async with connected(server, person) as one, connected(server, another_device(person)) as other:
        users.disable(person.id)
        assert [await one.closed(), await other.closed()] == [4401, 4401]


async def test_ticket_opens_only_one_socket_of_a_running_server(server: Server) -> None:
    ticket = (await asyncio.to_thread(_post, server, "/auth/ws-ticket", someone().access))["ticket"]
    url = f"{server.ws_url}?ticket={ticket}"
    assert [await _close_code(url, {}), await _close_code(url, {})] == [0, 4401]


async def test_credentials_in_the_url_are_not_logged(server: Server) -> None:
    person = someone()
    ticket = (await asyncio.to_thread(_post, server, "/auth/ws-ticket", person.access))["ticket"]
    for query in (f"?ticket={ticket}", f"?token={person.access}"):
        await _close_code(server.ws_url + query, {})
    assert ticket not in server.text()
    assert person.access not in server.text()


@pytest.mark.parametrize(
    ("origin", "code"), [("{server}", 0), (None, 4401), ("null", 4401), ("http://evil.example", 4401)]
)
async def test_web_session_opens_a_socket_for_own_origin_only(server: Server, origin: str | None, code: int) -> None:
    browser = Browser()
    browser.force_login(User.objects.get(pk=someone().id))
    headers = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={browser.cookies[settings.SESSION_COOKIE_NAME].value}"}
    if origin is not None:
        headers["Origin"] = origin.format(server=server.url)
    assert await _close_code(server.ws_url, headers) == code


async def test_auth_renew_accepts_own_token_and_refuses_another_users(server: Server) -> None:
    person, other = someone(), someone()
    async with connected(server, person) as client:
        refused = await client.call("auth.renew", {"token": other.access})
        assert (refused["status"], refused["error"]["code"]) == ("error", "UNAUTHORIZED")
        fresh = tokens.issue(devices.get_active(person.id, person.device_id)).access
        assert (await client.call("auth.renew", {"token": fresh}))["status"] == "ok"
        await client.settled()


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"email":"\\ud800"}', b"\xff", b""])
async def test_malformed_body_is_refused_by_a_running_server(server: Server, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{server.url}/api/v1/auth/token", data=body, headers=headers, method="POST")
    with pytest.raises(urllib.error.HTTPError) as refusal:
        await asyncio.to_thread(urllib.request.urlopen, request, timeout=WAIT_SECONDS)
    assert refusal.value.code in (400, 422)
    assert refusal.value.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("end", ["expired", "deleted"])
async def test_socket_of_a_web_session_ends_with_the_session(server: Server, end: str) -> None:
    """It outlived the session by as long as the browser stayed open."""
    person = someone()
    browser = Browser()
    await asyncio.to_thread(browser.force_login, User.objects.get(pk=person.id))
    key = browser.cookies[settings.SESSION_COOKIE_NAME].value
    headers = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={key}", "Origin": server.url}
    async with (
        connected(server, person) as stays,
        websockets.connect(server.ws_url, additional_headers=headers) as socket,
        asyncio.timeout(WAIT_SECONDS + RECHECK_SECONDS),
    ):
        assert json.loads(await socket.recv())["type"] == "hello"
        row = Session.objects.filter(session_key=key)
        if end == "expired":
            row.update(expire_date=timezone.now())
        else:
            row.delete()
        with pytest.raises(websockets.ConnectionClosed):
            while True:
                await socket.recv()
        assert socket.close_code == 4401
        await stays.settled()
