"""A server's log has no token, ticket, cookie, query string or message text, in both formats."""

import asyncio
import json
import urllib.error
import urllib.request
from uuid import uuid4

import pytest
from django.conf import settings

from accounts import tickets
from gateway.frames import Session
from tests.clients import WAIT_SECONDS, bearer, connected, opened
from tests.factories import Someone, direct, someone
from tests.servers import Server, serve

SAID = "pineapple-on-pizza"
QUERY = "quetzalcoatl"


async def handshakes(server: Server, person: Someone) -> list[str]:
    """Open sockets with every kind of credential, valid and invalid. Return the secrets used."""
    ticket = tickets.issue(Session(person.id, person.device_id, None)).ticket
    wrong = {name: f"{name}-{uuid4().hex}" for name in ("bearer", "ticket", "token", "cookie", "resume")}
    async with connected(server, person) as client:
        resume = str(client.hello["resumeToken"])
    shown = [
        (f"?ticket={ticket}&x={QUERY}", {}, "hello"),
        (f"?ticket={ticket}&x={QUERY}", {}, "4401"),
        (f"?token={person.access}&resume={resume}", {}, "hello"),
        (f"?ticket={wrong['ticket']}", {}, "4401"),
        (f"?token={wrong['token']}", {}, "4401"),
        ("", bearer(wrong["bearer"]), "4401"),
        ("", {"Cookie": f"parley_session={wrong['cookie']}", "Origin": server.url}, "4401"),
        (f"?resume={wrong['resume']}&v=2", bearer(person.access), "error"),
    ]
    for query, headers, first in shown:
        async with opened(server, query, headers=headers, subprotocols=[]) as client:
            assert await client.first() == first
    return [ticket, resume, person.access, *wrong.values()]


async def frames(server: Server, person: Someone, chat: int) -> None:
    """Send accepted, refused, malformed and oversized frames."""
    async with connected(server, person) as client:
        assert (await client.say(chat, SAID))["status"] == "ok"
        await client.say(1, SAID)
        await client.say(chat, SAID * 1000)
        await client.call("message.send", {"chatId": str(chat), "content": [SAID]})
        await client.send(SAID, {})
        await client.send_raw(f'{{"type":"{SAID}",')
        await client.send("auth.renew", {"token": person.access + "x"})
        await client.settled()
        await client.send_raw(SAID * 5000)
        assert await client.closed() == 1009


def requests(server: Server, person: Someone) -> None:
    """Request missing and foreign objects over HTTP, with secrets in the address."""
    for route in (
        f"/nowhere?token={person.access}&q={QUERY}",
        f"/api/v1/conversations/x?q={QUERY}",
        f"/ws/v1?ticket={QUERY}",
    ):
        try:
            urllib.request.urlopen(f"{server.url}{route}", timeout=WAIT_SECONDS)
        except urllib.error.HTTPError as answer:
            assert answer.code in (400, 401, 404, 426)


@pytest.mark.parametrize("format_", ["json", "console"])
@pytest.mark.parametrize("kind", ["uvicorn", "daphne"])
async def test_server_log_contains_neither_secrets_nor_message_text(
    open_database: None, kind: str, format_: str
) -> None:
    ada, bob = someone(), someone()
    with serve(settings.DATABASES["default"]["NAME"], PARLEY_SERVER=kind, PARLEY_LOG=format_) as server:
        secrets = await handshakes(server, ada)
        await frames(server, ada, direct(ada, bob))
        await asyncio.to_thread(requests, server, ada)
        async with connected(server, ada) as last:
            server.terminate()
            await last.closed()
        server.process.wait(20)
        text = server.text()

    assert "Not Found: /nowhere" in text, "nothing was logged: this test proves nothing"
    for secret in [*secrets, SAID, QUERY]:
        assert secret not in text
    assert "Traceback" not in text
    if format_ == "json":
        for line in text.splitlines():
            assert {"at", "level", "logger", "message"} <= set(json.loads(line))
