"""The handshake: credentials, versions and the content of `hello` (protocol 1); on both servers."""

import asyncio
import dataclasses
import uuid
from datetime import UTC, datetime
from importlib import import_module

import pytest
import websockets
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from pytest_django import Settings

from accounts import devices, tickets
from accounts.models import User
from gateway.frames import Session
from tests.clients import MOMENT, bearer, connected, opened
from tests.factories import Someone, another_device, someone
from tests.servers import Server, serve


def cookie_of(person: Someone) -> str:
    """Return the session cookie of a user signed in on the web."""
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    user = User.objects.get(pk=person.id)
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return f"{settings.SESSION_COOKIE_NAME}={session.session_key}"


def ticket_of(person: Someone) -> str:
    return tickets.issue(Session(person.id, person.device_id, None)).ticket


# --- credentials ------------------------------------------------------------------------------------------------------


async def test_bearer_token_opens_a_socket(either_server: Server) -> None:
    ada = someone()
    async with opened(either_server, headers=bearer(ada.access)) as client:
        hello = await client.expect("hello")
    assert (hello["userId"], hello["deviceId"]) == (str(ada.id), str(ada.device_id))


async def test_ticket_opens_only_one_socket(either_server: Server) -> None:
    ada = someone()
    query = f"?ticket={ticket_of(ada)}"
    async with opened(either_server, query) as client:
        hello = await client.expect("hello")
    async with opened(either_server, query) as again:
        assert await again.closed() == 4401
    assert hello["userId"] == str(ada.id)
    assert again.frames == []


@pytest.mark.parametrize("origin", ["own", "none", "null", "foreign", "other port"])
async def test_session_cookie_opens_a_socket_from_own_origin_only(either_server: Server, origin: str) -> None:
    ada = someone()
    origins = {
        "own": either_server.url,
        "null": "null",
        "foreign": "https://evil.example",
        "other port": "http://127.0.0.1:1",
    }
    headers = {"Cookie": cookie_of(ada)} | ({"Origin": origins[origin]} if origin in origins else {})

    async with opened(either_server, headers=headers) as client:
        if origin == "own":
            assert (await client.expect("hello"))["userId"] == str(ada.id)
        else:
            assert await client.closed() == 4401
            assert client.frames == []


async def test_session_cookie_is_found_beside_foreign_cookies(either_server: Server) -> None:
    """All ports of a host share their cookies, and some are not valid by RFC 6265."""
    ada = someone()
    headers = {"Cookie": f'prefs={{"dark":[1,2]}}; =x; odd; {cookie_of(ada)}', "Origin": either_server.url}
    async with opened(either_server, headers=headers) as client:
        assert (await client.expect("hello"))["userId"] == str(ada.id)


async def test_token_in_the_address_is_accepted_if_the_setting_is_on(either_server: Server) -> None:
    ada = someone()
    async with opened(either_server, f"?token={ada.access}") as client:
        assert (await client.expect("hello"))["userId"] == str(ada.id)


async def test_token_in_the_address_is_refused_if_the_setting_is_off(open_database: None) -> None:
    ada = someone()
    with serve(settings.DATABASES["default"]["NAME"], PARLEY_TOKEN_IN_URL="0") as server:
        async with opened(server, f"?token={ada.access}") as refused:
            assert await refused.closed() == 4401
        async with opened(server, headers=bearer(ada.access)) as client:
            await client.expect("hello")
    assert refused.frames == []


@pytest.mark.parametrize(
    "headers",
    [{}, bearer("nonsense"), bearer(""), {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer \xff"}],
    ids=["none", "nonsense", "empty", "basic", "not ASCII"],
)
async def test_socket_without_valid_credential_gets_no_hello(either_server: Server, headers: dict[str, str]) -> None:
    async with opened(either_server, headers=headers) as client:
        assert await client.closed() == 4401
    assert client.frames == []


async def test_first_credential_in_the_order_of_the_protocol_decides(either_server: Server) -> None:
    ada = someone()
    async with opened(either_server, f"?ticket={ticket_of(ada)}", headers=bearer("nonsense")) as client:
        assert await client.closed() == 4401


async def test_token_of_a_signed_out_device_is_refused(either_server: Server) -> None:
    ada = someone()
    devices.revoke(ada.id, ada.device_id)
    async with opened(either_server, headers=bearer(ada.access)) as client:
        assert await client.closed() == 4401


async def test_expired_token_is_refused(either_server: Server, settings: Settings) -> None:
    settings.LIMITS = dataclasses.replace(settings.LIMITS, access_token=-1)
    late = another_device(someone())
    async with opened(either_server, headers=bearer(late.access)) as client:
        assert (await client.close()).code == 4401


# --- versions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "subprotocols", "confirmed"),
    [
        ("", ["parley.v1"], "parley.v1"),
        ("", ["parley.v9", "parley.v1"], "parley.v1"),
        ("", ["chat", "parley.v1"], "parley.v1"),
        ("?v=1", [], None),
        ("", [], None),
    ],
)
async def test_supported_protocol_version_is_accepted(
    either_server: Server, query: str, subprotocols: list[str], confirmed: str | None
) -> None:
    async with connected(either_server, someone(), query, subprotocols=subprotocols) as client:
        assert client.hello["version"] == 1
        assert client.socket.subprotocol == confirmed


@pytest.mark.parametrize(
    ("query", "subprotocols"),
    [
        ("", ["parley.v2"]),
        ("", ["parley.v3", "parley.v2"]),
        ("?v=2", []),
        ("?v=-1", []),
        ("?v=x", []),
        ("?v=99999999999999999999", []),
    ],
)
async def test_unsupported_version_gets_upgrade_required_and_is_closed(
    either_server: Server, query: str, subprotocols: list[str]
) -> None:
    headers = bearer(someone().access)
    async with opened(either_server, query, headers=headers, subprotocols=subprotocols) as client:
        assert await client.closed() == 4426
    assert [frame["type"] for frame in client.frames] == ["error"]
    assert client.frames[0]["payload"]["code"] == "UPGRADE_REQUIRED"
    assert "refId" not in client.frames[0]["payload"]


async def test_version_is_checked_before_the_credential(either_server: Server) -> None:
    async with opened(either_server, subprotocols=["parley.v2"]) as client:
        assert await client.closed() == 4426


async def test_frames_are_not_compressed(either_server: Server) -> None:
    async with connected(either_server, someone(), compression="deflate") as client:
        assert client.socket.protocol.extensions == []


async def test_unknown_socket_address_is_refused(either_server: Server) -> None:
    elsewhere = f"ws://127.0.0.1:{either_server.port}/ws/v2"
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with websockets.connect(elsewhere, additional_headers=bearer(someone().access)):
            pass
    assert refused.value.response.status_code in (403, 404)


async def test_plain_http_request_to_the_socket_address_is_answered(either_server: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", either_server.port)
    writer.write(b"GET /ws/v1 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    status = (await reader.readline()).decode()
    writer.close()
    assert status.split()[1] in ("400", "404", "426")


# --- hello ------------------------------------------------------------------------------------------------------------


async def test_hello_has_all_fields_of_the_protocol(either_server: Server) -> None:
    ada = someone()
    async with opened(either_server, headers=bearer(ada.access)) as client:
        frame = await client.expect_frame("hello")
    hello = frame["payload"]

    assert set(frame) == {"type", "id", "timestamp", "payload"}
    assert MOMENT.fullmatch(frame["timestamp"])
    assert hello.pop("connectionId").isdigit()
    assert len(hello.pop("resumeToken")) >= 32
    assert uuid.UUID(hello.pop("epoch"))
    assert abs((moment(hello.pop("serverTime")) - datetime.now(UTC)).total_seconds()) < 60
    assert 0 < (moment(hello.pop("tokenExpiresAt")) - datetime.now(UTC)).total_seconds() <= 900
    assert hello == {
        "version": 1,
        "userId": str(ada.id),
        "deviceId": str(ada.device_id),
        "resumeWindow": 300,
        "resumed": False,
        "heartbeatInterval": 30,
        "heartbeatTimeout": 90,
        "limits": {"maxFrameBytes": 65536, "maxContentChars": 10000, "maxAttachments": 10},
        "capabilities": ["compact-indicators"],
        "degraded": [],
    }


async def test_connections_have_own_ids_and_resume_tokens_and_share_the_epoch(either_server: Server) -> None:
    ada = someone()
    async with connected(either_server, ada) as one, connected(either_server, ada) as other:
        first, second = one.hello, other.hello
    assert first["connectionId"] != second["connectionId"]
    assert first["resumeToken"] != second["resumeToken"]
    assert first["epoch"] == second["epoch"]


async def test_web_session_has_no_token_expiry(either_server: Server) -> None:
    headers = {"Cookie": cookie_of(someone()), "Origin": either_server.url}
    async with opened(either_server, headers=headers) as client:
        assert (await client.expect("hello"))["tokenExpiresAt"] is None


def moment(text: str) -> datetime:
    assert MOMENT.fullmatch(text)
    return datetime.fromisoformat(text)
